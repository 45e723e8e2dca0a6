"""Several models read a case, and their answers become one: probabilities and numbers averaged, boxes fused.

Every member prepares the image for itself, as it was trained. Boxes: Solovyev et al., Image and Vision Computing 107, 104117
(2021). A classifier may stand before them as a gate: where it sees no disease, no object is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from overread.batches.clinical import told
from overread.batches.prepare import Prepared
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Boxes, Instances
from overread.core.preparation import Preparation
from overread.core.question import Decisions
from overread.imaging.resample import resample_image
from overread.metrics.calibration import calibrated
from overread.metrics.table import positive_class
from overread.reading.answering import Answering
from overread.reading.objects import as_kind, surest
from overread.reading.predictor import Predictor
from overread.tasks.base import Task
from overread.tasks.found import Found, weighted_box_fusion


@dataclass(frozen=True)
class Together(Prepared):
    """An image as the first member sees it, and what gives it as the others do.

    views  one per member; volumes are prepared when it is the member's turn, so that one lies in memory at a time
    gate   the image as the gate sees it
    """

    views: tuple[Callable[[], Prepared], ...] = ()
    gate: Prepared | None = None


@dataclass(frozen=True)
class Gate:
    """A classifier of one finding with its frozen threshold."""

    reader: Answering

    @property
    def finding(self) -> str:
        question = self.reader.task.question
        return positive_class(question) if question.is_binary else question.classes[0]

    def opens(self, prepared: Prepared) -> bool:
        """The calibrated probability of the finding reaches the operating point."""
        question, decisions = self.reader.task.question, self.reader.decisions
        raw = self.reader.raws_of([prepared], 1)
        probability = calibrated(raw, question, decisions)[0, question.classes.index(self.finding)]
        return bool(probability >= decisions.threshold(self.finding))


@dataclass
class Ensemble(Answering):
    """Members of one question, each with its share of the answer; a member with a share of 0 is not asked.

    task, preparation  of the first member, on whose prepared grid the maps are averaged
    shares             of each member, 1 in all
    """

    task: Task
    preparation: Preparation
    decisions: Decisions
    members: tuple[Predictor, ...]
    shares: tuple[float, ...]
    gate: Gate | None = None

    @classmethod
    def of(
        cls, members: Sequence[Predictor], weights: Sequence[float], decisions: Decisions, gate: Answering | None = None
    ) -> Ensemble:
        first, shares = members[0], np.asarray(weights, dtype=float) / float(np.sum(weights))
        before = None if gate is None else Gate(gate)
        return cls(first.task, first.preparation, decisions, tuple(members), tuple(shares.tolist()), before)

    def prepare(self, image: Image) -> Prepared:
        """The image for the first member, and for the others where their preparation differs."""
        first = self.members[0].prepare(image)
        if any(member.preparation.spacing is not None for member in self.members):
            _ = image.grid.spacing_mm  # refused here by name, not when it is that member's turn
        views = tuple(self._view(member, first, image) for member in self.members)
        gate = None if self.gate is None else self.gate.reader.prepare(image)
        plain = {field.name: getattr(first, field.name) for field in fields(Prepared)}
        return Together(**plain, views=views, gate=gate)

    def raw_of(self, prepared: Prepared) -> np.ndarray:
        """The mean of the members' raw answers, weighted by their shares; maps on the first member's prepared grid."""
        if self.task.serves == "image":
            return self.raws_of([prepared], 1)[0]
        total: np.ndarray | None = None
        for member, share, view in self._asked(prepared):
            seen = view()
            part = moved(member.raw_of(seen), seen.grid, prepared.grid)
            part *= np.float32(share)  # in place: the maps of a large scan take gigabytes
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        return total

    def raws_of(self, several: Sequence[Prepared], batch: int) -> np.ndarray:
        every = [self._asked(prepared) for prepared in several]
        total: np.ndarray | None = None
        for turn in zip(*every, strict=True):
            member, share, _ = turn[0]
            part = member.raws_of([view() for _, _, view in turn], batch) * share
            total = part if total is None else total + part
        assert total is not None
        return total

    def candidates(self, prepared: Prepared) -> Boxes | Instances:
        """Boxes of all members fused on the source grid; nothing where the gate sees no disease."""
        question = self.task.question
        if self.gate is not None:
            assert isinstance(prepared, Together)
            assert prepared.gate is not None
            if not self.gate.opens(prepared.gate):
                return as_kind(Found.nothing(with_pieces=question.task == "instances"), question, prepared.source)
        asked = self._asked(prepared)
        answers = [member.candidates(view()) for member, _, view in asked]
        if len(answers) == 1:
            return answers[0]
        shares = [share for _, share, _ in asked]
        fused = weighted_box_fusion([_found(a, question.classes) for a in answers], weights=shares)
        return as_kind(surest(_filled(fused)), question, prepared.source)

    def _view(self, member: Predictor, first: Prepared, image: Image) -> Callable[[], Prepared]:
        """Members that see an image alike share it; one answer per case needs a small image, prepared at once."""
        if not _sees_alike(member.preparation, self.preparation):
            if self.task.serves != "image":
                return lambda: member.prepare(image)
            small = member.prepare(image)
            return lambda: small
        if member.preparation.clinical != self.preparation.clinical:
            variables = member.preparation.clinical
            own = replace(first, clinical=None if variables is None else told(image.clinical, variables))
            return lambda: own
        return lambda: first

    def _asked(self, prepared: Prepared) -> list[tuple[Predictor, float, Callable[[], Prepared]]]:
        assert isinstance(prepared, Together)
        rows = zip(self.members, self.shares, prepared.views, strict=True)
        return [(member, share, view) for member, share, view in rows if share > 0]


def moved(raw: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(K, Z, Y, X) maps on another grid, one at a time; voxels beyond the source repeat its border, as both see one image."""
    if source.is_same(target):
        return raw
    return np.concatenate([resample_image(channel[None], source, target, order=1, fill="edge") for channel in raw])


def _sees_alike(one: Preparation, other: Preparation) -> bool:
    """Both make the same array of an image; the window that is cut from it may differ."""
    names = ("channels", "units", "spacing", "shape", "is_planar", "normalisation")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _found(answer: Boxes | Instances, classes: Sequence[str]) -> Found:
    """Objects of a member on the source grid, in numbers."""
    pieces = answer.pieces if isinstance(answer, Instances) else None
    boxes = answer.corners.reshape(-1, 6).astype(np.float32)
    numbers = np.array([classes.index(name) for name in answer.classes], dtype=np.int64)
    return Found(boxes, np.asarray(answer.scores, dtype=np.float32), numbers, pieces)


def _filled(found: Found) -> Found:
    """Without instances of which no voxel is left: those that members laid side by side."""
    if found.pieces is None:
        return found
    return found.chosen(np.array([piece.voxels > 0 for piece in found.pieces], dtype=bool))
