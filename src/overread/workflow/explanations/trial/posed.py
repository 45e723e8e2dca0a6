"""The cases on trial: each one opened once, its question asked, and what was drawn laid into the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.batches.prepare import Prepared, prepare_objects, prepare_truth
from overread.cohort.load import load_image, load_truth
from overread.cohort.progress import Progress, counted
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Kind, LabelMap, Structure
from overread.explanation.asked import Asked, ask, single
from overread.explanation.targets import targets_of
from overread.explanation.trial.posed import Posed, refuse_unlike
from overread.metrics.objects.overlap import box_iou
from overread.reading.predictor import Predictor
from overread.tasks.target import SAME_OBJECT, Target
from overread.workflow.explanations.subject import Subject
from overread.workflow.explanations.trial.drawn import Drawings


@dataclass(frozen=True)
class Cases:
    """What came of opening the cases.

    empty  cases of which there is nothing to ask: the answer holds no structure or object
    """

    posed: tuple[Posed, ...]
    empty: int


def pose(subject: Subject, drawn: Sequence[Drawings], progress: Progress | None = None) -> Cases:
    """One question per case: of several objects or structures the first that `targets_of` names.

    drawn  of readers, where drawings were given. Where the project's own truths are drawn these are the first reader's.
    """
    members = [(predictor, share) for predictor, share in single(subject.model.predictor) if share > 0]
    refuse_unlike(members)
    posed, empty = [], 0
    for case in counted(subject.cases, len(subject.cases), "Opening the cases", progress):
        image = load_image(subject.cohort, case)
        prepared = members[0][0].prepare(image)
        targets = targets_of(members[0][0], prepared)
        if not targets:
            empty += 1
            continue
        posed.append(_posed(subject, case, prepared, targets[0], members, drawn))
    if not posed:
        raise OverreadError(
            f"The model finds nothing in any of these {len(subject.cases)} cases, so there is nothing to explain.",
            "raise --limit, or train longer",
        )
    return Cases(tuple(posed), empty)


def _posed(
    subject: Subject,
    case: Case,
    prepared: Prepared,
    target: Target,
    members: Sequence[tuple[Predictor, float]],
    drawn: Sequence[Drawings],
) -> Posed:
    first = _without_image(ask(members[0][0], prepared, target))
    voices = tuple((replace(first.with_network(p.network.eval()), task=p.task), share) for p, share in members)
    name = first.task.question.classes[target.number]
    own = _own_truth(subject, case, prepared, target, name)
    given = [each.mask(case, prepared.source, name) for each in drawn]
    others = [None if mask is None else _on_prepared(mask, prepared) for mask in given]
    masks = [own, *others] if subject.project.question.task in ("segmentation", "detection", "instances") else others
    inside = [None if mask is None else _in_window(mask, first) for mask in masks]
    truth = inside[0] if inside and inside[0] is not None and inside[0].any() else None
    return Posed(case.case_id, case.patient_id, voices, truth, tuple(inside[1:]))


def _without_image(asked: Asked) -> Asked:
    """The question with its window alone: whole volumes of many cases would fill the memory."""
    shape = asked.prepared.array.shape
    return replace(asked, prepared=replace(asked.prepared, array=np.broadcast_to(np.float32(0), shape)))


def _in_window(mask: np.ndarray, asked: Asked) -> np.ndarray:
    voxels = Target("", 0, voxels=mask).within(asked.start, asked.patch).voxels
    assert voxels is not None
    return voxels


def _on_prepared(mask: np.ndarray, prepared: Prepared) -> np.ndarray:
    """(Z, Y, X) bool on the source grid -> on the prepared one."""
    return prepare_truth(_label_map(mask, prepared.source), prepared)[0] > 0


def _label_map(mask: np.ndarray, grid: Grid) -> LabelMap:
    return LabelMap(mask[None].astype(np.uint8), (Structure("drawn", 1),), grid)


def _own_truth(subject: Subject, case: Case, prepared: Prepared, target: Target, name: str) -> np.ndarray | None:
    """(Z, Y, X) bool on the prepared grid, where the project's truths are drawn: the structure, or the object that is meant."""
    if subject.project.question.task not in ("segmentation", "detection", "instances") or case.truth is None:
        return None
    truth: Kind = load_truth(subject.cohort, case)
    if isinstance(truth, LabelMap):
        return _on_prepared(truth.mask(name), prepared) if name in truth.names else None
    assert isinstance(truth, Boxes | Instances)
    return _object(truth, prepared, target, subject.project.question.classes)


def _object(truth: Boxes | Instances, prepared: Prepared, target: Target, classes: Sequence[str]) -> np.ndarray | None:
    """The drawn object of the target's class that overlaps its box most; None where the answer found what nobody drew."""
    objects = prepare_objects(truth, prepared, classes)
    assert target.box is not None
    overlap = np.where(objects.table.classes == target.number, box_iou(target.box[None], objects.table.boxes)[0], 0.0)
    if not len(overlap) or overlap.max() < SAME_OBJECT:
        return None
    best = int(overlap.argmax())
    if objects.layers is not None:
        return np.asarray((objects.layers == best + 1).any(0))
    inside = np.zeros(prepared.array.shape[1:], bool)
    box = objects.table.boxes[best]
    first, last = np.maximum(np.ceil(box[:3]), 0).astype(int), np.floor(box[3:]).astype(int) + 1
    inside[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = True
    return inside
