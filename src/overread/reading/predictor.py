"""A network reads a prepared image: by windows for an answer per voxel or a list of objects, at once for an answer per case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.clinical import stacked, with_clinical
from overread.batches.prepare import Prepared, prepare_image
from overread.batches.sampler import flatten
from overread.batches.windows import Merger, Shape, centred_start, cut
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances
from overread.core.preparation import Preparation
from overread.core.question import Decisions
from overread.networks.layout import memory_format
from overread.reading.answering import Answering
from overread.reading.objects import Lists, candidates, read_windows
from overread.reading.region import Finder
from overread.tasks.base import ObjectTask, Task
from overread.tasks.found import Found

WINDOW_BATCH = 4
MAPS = ("dense", "centres", "pictures")  # routes whose network answers per voxel


@dataclass
class Predictor(Answering):
    """A network with everything that it needs to read: task, preparation, decisions.

    overlap    share by which neighbouring windows overlap
    mirror     array axes over which the image is mirrored and read again (test-time augmentation);
               only those that training mirrored too
    precision  "float32" or "bfloat16"
    finder     the first model, where this is the second of two: it says which part of an image is read
    """

    network: nn.Module
    task: Task
    preparation: Preparation
    decisions: Decisions
    overlap: float = 0.5
    mirror: tuple[int, ...] = ()
    precision: str = "float32"
    device: str = "cpu"
    finder: Finder | None = None

    def prepare(self, image: Image) -> Prepared:
        """An image as the network sees it; one of another kind than trained on is refused."""
        wanted = self.preparation.region
        if wanted is not None and self.finder is not None and (image.region is None or image.region.of != wanted):
            image = replace(image, region=self.finder.find(image, wanted))
        return prepare_image(image, self.preparation)

    def raw_of(self, prepared: Prepared) -> np.ndarray:
        """Raw answer for one prepared image, see `raw`."""
        return self.raw(prepared.array, prepared.clinical)

    def raws_of(self, several: Sequence[Prepared], batch: int) -> np.ndarray:
        """(N, K) raw answers for N prepared images, where there is one answer per case."""
        return self.raw_several([each.array for each in several], batch, [each.clinical for each in several])

    def raw(self, array: np.ndarray, clinical: np.ndarray | None = None) -> np.ndarray:
        """Raw answer for one prepared image (C, Z, Y, X): (K, Z, Y, X) maps, or (K,) per case.

        clinical  (D,) numbers that are read beside it, where the network reads any
        """
        if self.task.serves in MAPS:
            return self._dense(array)
        start = centred_start(array.shape[1:], self.preparation.patch)
        return self._respond([cut(array, start, self.preparation.patch)], stacked([clinical]))[0]

    def raw_several(
        self, arrays: Sequence[np.ndarray], batch: int, clinical: Sequence[np.ndarray | None] | None = None
    ) -> np.ndarray:
        """(N, K) raw answers for N prepared images of the input shape, where there is one answer per case."""
        parts, values = [], clinical or [None] * len(arrays)
        for k in range(0, len(arrays), batch):
            some = [np.asarray(a, dtype=np.float32) for a in arrays[k : k + batch]]
            parts.append(self._respond(some, stacked(values[k : k + batch])))
        return np.concatenate(parts)

    def found(self, array: np.ndarray) -> Found:
        """Objects in one prepared image (C, Z, Y, X), on its grid; questions of objects only."""
        if self.task.serves in MAPS:
            return self._object_task.found(self.raw(array))
        return read_windows(array, self.preparation.patch, self.overlap, _subsets(self.mirror), self._window_batch, self._lists)

    def candidates(self, prepared: Prepared) -> Boxes | Instances:
        """Objects on the source grid before any decision, low scores too; questions of objects only."""
        return candidates(self.found(prepared.array), prepared, self.task.question)

    def _dense(self, array: np.ndarray) -> np.ndarray:
        shape: Shape = array.shape[1:]
        merger = Merger(self._channels, shape, self.preparation.patch)
        starts = list(merger.starts(self.overlap))
        for k in range(0, len(starts), WINDOW_BATCH):
            some = starts[k : k + WINDOW_BATCH]
            answers = self._respond([cut(array, start, self.preparation.patch) for start, _ in some])
            for values, (_, place) in zip(answers, some, strict=True):
                merger.add(values.reshape(-1, *self.preparation.patch), place)
        return merger.result()

    @property
    def _object_task(self) -> ObjectTask:
        assert self.task.question.is_of_objects
        return cast(ObjectTask, self.task)

    @property
    def _channels(self) -> int:
        """Of the maps: route "centres" adds background, the heat of centres, and an offset along each axis."""
        extra = 2 + self.preparation.dimensions if self.task.serves == "centres" else 0
        return self.task.outputs + extra

    @property
    def _window_batch(self) -> int:
        """Windows of networks that list masks are read one by one: every mask is a window of its own in memory."""
        return 1 if self.task.question.task == "instances" else WINDOW_BATCH

    @torch.inference_mode()
    def _respond(self, windows: Sequence[np.ndarray], clinical: np.ndarray | None = None) -> np.ndarray:
        """(B, K, ...) answers for windows (C, *patch), averaged over mirrorings; with clinical numbers (B, D) or without."""
        choices = _subsets(self.mirror)
        total: Tensor | None = None
        for axes in choices:
            answer = self._at_once(windows, axes, clinical)
            if axes and self.task.serves in MAPS:
                answer = self._back(answer, axes)
            total = answer if total is None else total + answer
        assert total is not None
        return (total / len(choices)).float().cpu().numpy()

    def _lists(self, windows: Sequence[np.ndarray], axes: Sequence[int]) -> Lists:
        """A list of objects for each window, which is mirrored over some array axes before it is read."""
        answers: Lists = self._at_once(windows, axes)
        return answers

    @torch.inference_mode()
    def _at_once(self, windows: Sequence[np.ndarray], axes: Sequence[int], clinical: np.ndarray | None = None) -> Any:
        """What the task's network answers to windows (C, *patch), mirrored over some array axes."""
        images = torch.from_numpy(np.stack(windows)).to(self.device).float()
        images = flatten(images, self.preparation.dimensions)
        if axes:
            images = images.flip(self._batch_axes(axes))
        images = with_clinical(images, clinical)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.task.respond(self.network, images.contiguous(memory_format=memory_format(images.ndim)))

    def _back(self, answer: Tensor, axes: Sequence[int]) -> Tensor:
        """Maps of mirrored windows as if these had not been mirrored; a task of objects has maps that point somewhere."""
        along = self._batch_axes(axes)
        return self._object_task.turned_back(answer, along) if self.task.question.is_of_objects else answer.flip(along)

    def _batch_axes(self, axes: Sequence[int]) -> list[int]:
        """Where array axes (Z, Y, X) lie in a batch."""
        first_axis = 2 if self.preparation.dimensions == 3 else 1  # where array axis 0 would lie in the batch
        return [axis + first_axis for axis in axes]


def _subsets(axes: Sequence[int]) -> list[list[int]]:
    result: list[list[int]] = [[]]
    for axis in axes:
        result += [[*chosen, axis] for chosen in result]
    return result
