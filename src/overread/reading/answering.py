"""Whatever answers cases, one network or several: how a raw answer becomes an answer on the grid of the source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from overread.batches.prepare import Prepared, undo_argmax, undo_map, undo_picture
from overread.cohort.pictures import answered_units
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances, Kind, Map, Picture
from overread.core.preparation import Preparation
from overread.core.question import Decisions
from overread.metrics.objects.decide import apply_decisions
from overread.metrics.voxel_table import tempered_volumes
from overread.tasks.base import Task


class Answering(ABC):
    """Prepares an image, reads it and decides; raw answers lie on the grid of what `prepare` gave.

    preparation  says which images can be read: channels, units, volumes or planar ones
    decisions    frozen on tuning cases
    """

    task: Task
    preparation: Preparation
    decisions: Decisions

    @abstractmethod
    def prepare(self, image: Image) -> Prepared:
        """An image as it is read; one of another kind than trained on is refused."""

    @abstractmethod
    def raw_of(self, prepared: Prepared) -> np.ndarray:
        """(K, Z, Y, X) probabilities on the prepared grid, or (K,) values per case; not for questions of objects."""

    @abstractmethod
    def raws_of(self, several: Sequence[Prepared], batch: int) -> np.ndarray:
        """(N, K) raw answers for N prepared images, where there is one answer per case."""

    @abstractmethod
    def candidates(self, prepared: Prepared) -> Boxes | Instances:
        """Objects on the source grid before any decision, low scores too; questions of objects only."""

    def answer(self, prepared: Prepared) -> Kind:
        """The answer on the source grid, decisions applied."""
        if self.task.question.is_of_objects:
            return apply_decisions(self.candidates(prepared), self.decisions, self.task.question.classes)
        return self.answer_from(self.raw_of(prepared), prepared)

    def answer_from(self, raw: np.ndarray, prepared: Prepared) -> Kind:
        if self.task.question.is_of_pictures:
            return self.picture(raw, prepared)
        if self.task.serves != "dense":
            return self.task.decode(raw, self.decisions)
        return self.task.decode_map(self.labels(raw, prepared), prepared.source, self.decisions)

    def picture(self, raw: np.ndarray, prepared: Prepared) -> Picture:
        """The picture that was answered, in its units on the source grid."""
        return Picture(undo_picture(raw, prepared, self.preparation), prepared.source, answered_units(self.task.question))

    def labels(self, raw: np.ndarray, prepared: Prepared) -> np.ndarray:
        """Class index (Z, Y, X), or bits (S, Z, Y, X) where structures overlap, on the source grid."""
        if self.task.question.exclusive:
            return undo_argmax(raw, prepared)
        return np.stack([undo_map(channel, prepared) > 0.5 for channel in raw]).astype(np.uint8)

    def maps(self, raw: np.ndarray, prepared: Prepared) -> tuple[Map, ...]:
        """Probability maps by structure on the source grid, after the frozen temperature; it changes no mask."""
        question, temperature = self.task.question, self.decisions.temperature
        first = 1 if question.exclusive else 0
        if temperature == 1.0:
            volumes = [undo_map(channel, prepared) for channel in raw[first:]]
        else:
            every = (undo_map(channel, prepared) for channel in raw)
            volumes = tempered_volumes(every, temperature, exclusive=question.exclusive)[first:]
        return tuple(Map(v, prepared.source, "probability", name) for v, name in zip(volumes, question.classes, strict=True))
