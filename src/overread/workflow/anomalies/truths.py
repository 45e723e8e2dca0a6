"""Which labelled cases are normal, and where the lesions of the others were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Piece
from overread.core.question import Question
from overread.metrics.anomaly import NAME
from overread.metrics.components import components

DRAWN = ("segmentation", "detection", "instances")


@dataclass(frozen=True)
class Rule:
    """What counts as normal.

    normal   classes that exclude each other: the one that is normal; "" for findings and lesions, whose absence is
    lesions  structures or classes of objects that are lesions; empty where none are drawn
    """

    normal: str
    lesions: tuple[str, ...]
    words: str

    @classmethod
    def of(cls, question: Question, normal: str = "", lesions: Sequence[str] = ()) -> Rule:
        """As the user said, else as the project's positive class says; refused where nothing does."""
        if question.task in DRAWN:
            if normal:
                raise OverreadError("--normal names a class; here lesions are drawn.", "say which are lesions with --lesion")
            kept = _known(lesions, question, "--lesion") or question.classes
            return cls("", kept, f"normal is a case without {' and without '.join(kept)}")
        if question.task != "classification":
            raise OverreadError(
                f"The labelled project is of {question.task}, which does not say what is normal.",
                "give one of classification, segmentation, detection or instances, or new studies without labels",
            )
        if lesions:
            raise OverreadError("--lesion names what is drawn; here nothing is drawn.", "name the normal class with --normal")
        if not question.exclusive:
            return cls("", (), f"normal is a case without any of {', '.join(question.classes)}")
        if not normal and question.is_binary and question.positive is not None:
            normal = next(name for name in question.classes if name != question.positive)
        if not normal:
            raise OverreadError(
                f"Which of {', '.join(question.classes)} is normal was not said.", "name it with --normal NAME; it is not guessed"
            )
        _known([normal], question, "--normal")
        return cls(normal, (), f"normal is {normal}")


def _known(names: Sequence[str], question: Question, option: str) -> tuple[str, ...]:
    for name in names:
        if name not in question.classes:
            raise OverreadError(
                f"{option} '{name}' is not in the labelled project; it has {', '.join(question.classes)}.", "name one of them"
            )
    return tuple(names)


def truth_of(cohort: Cohort, case: Case, rule: Rule) -> tuple[bool | None, Instances | None]:
    """Is the case abnormal (None where nobody knows), and its lesions on the source grid where any may be drawn."""
    if case.truth is None:
        return None, None
    truth = load_truth(cohort, case)
    if isinstance(truth, Findings):
        return abnormal_by(truth, rule), None
    pieces = lesion_pieces(truth, rule.lesions)
    grid = cohort.grids[case.case_id]
    return bool(pieces), Instances(pieces, (NAME,) * len(pieces), np.ones(len(pieces)), grid)


def abnormal_by(truth: Findings, rule: Rule) -> bool | None:
    """What the classes say; None where nobody knows."""
    if rule.normal:
        value = truth.probabilities[rule.normal]
        return None if value is None else value < 0.5
    values = list(truth.probabilities.values())
    if any(value is not None and value >= 0.5 for value in values):
        return True
    return None if None in values else False


def lesion_pieces(truth: Any, lesions: Sequence[str]) -> tuple[Piece, ...]:
    """The voxels of each drawn lesion: objects, boxes, or the connected parts of structures."""
    if isinstance(truth, Instances):
        return tuple(piece for piece, name in zip(truth.pieces, truth.classes, strict=True) if name in lesions)
    if isinstance(truth, Boxes):
        return tuple(_filled(box) for box, name in zip(truth.corners, truth.classes, strict=True) if name in lesions)
    assert isinstance(truth, LabelMap)
    return tuple(piece for name in lesions for piece in _apart(truth.mask(name)))


def _apart(mask: np.ndarray) -> list[Piece]:
    """The connected parts of a mask (Z, Y, X)."""
    found = components(mask)
    if found.box is None:
        return []
    start = [place.start for place in found.box]
    pieces = [Piece.of(found.labels == number) for number in range(1, len(found.voxels) + 1)]
    return [
        Piece((piece.start[0] + start[0], piece.start[1] + start[1], piece.start[2] + start[2]), piece.mask) for piece in pieces
    ]


def _filled(box: np.ndarray) -> Piece:
    """All voxels whose centres a box (2, 3) holds, at least the nearest one: of a box nobody knows the outline."""
    first = np.clip(np.ceil(box[0]).astype(int), 0, None)
    last = np.maximum(np.floor(box[1]).astype(int), first)
    return Piece((int(first[0]), int(first[1]), int(first[2])), np.ones(tuple(last - first + 1), bool))
