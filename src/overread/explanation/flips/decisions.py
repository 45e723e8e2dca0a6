"""What is decided about one window, with all frozen decisions: a class, a finding, the outline of a structure, an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.kinds import Findings
from overread.core.question import Question
from overread.metrics.objects.overlap import box_iou
from overread.metrics.table import positive_class
from overread.reading.predictor import Predictor
from overread.tasks.segments import connected
from overread.tasks.target import SAME_OBJECT, Target

LOST = 0.5  # Dice with its own former outline below which a structure counts as another one


@dataclass(frozen=True)
class Decided:
    """value  what is compared: name of the class, whether a finding is called, the outline, whether an object is listed
    words  for people
    """

    value: str | bool | np.ndarray
    words: str


def decide(predictor: Predictor, target: Target, array: np.ndarray) -> Decided:
    """What is answered to a window (C, *patch) about a target in it."""
    question = predictor.task.question
    if question.is_of_objects:
        return _object(predictor, target, array)
    if question.task == "segmentation":
        return _structure(predictor, target, array)
    return _class(predictor, array) if question.exclusive else _finding(predictor, target, array)


def is_other(before: Decided, now: Decided) -> bool:
    """Whether a decision is another one; of an outline, whether less than half of it is left (Dice)."""
    if isinstance(before.value, np.ndarray):
        return overlap(before.value, np.asarray(now.value)) < LOST
    return before.value != now.value


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks, of which the first is not empty."""
    return 2 * int((one & other).sum()) / (int(one.sum()) + int(other.sum()))


def class_given(predictor: Predictor, array: np.ndarray) -> tuple[str, dict[str, float]]:
    """The class that is answered, by the frozen threshold where there are two; and the calibrated probabilities."""
    question, shares = predictor.task.question, _probabilities(predictor, array)
    if question.is_binary:
        positive = positive_class(question)
        other = next(name for name in question.classes if name != positive)
        return (positive if shares[positive] >= predictor.decisions.threshold(positive) else other), shares
    return max(shares, key=shares.__getitem__), shares


def likeliest(predictor: Predictor, question: Question, array: np.ndarray) -> int:
    """The finding with the largest probability, of several that may occur together."""
    shares = _probabilities(predictor, array)
    return int(np.argmax([shares[name] for name in question.classes]))


def is_called(predictor: Predictor, name: str, array: np.ndarray) -> tuple[bool, float]:
    """Whether a finding is called by its frozen threshold, and its probability."""
    probability = _probabilities(predictor, array)[name]
    return probability >= predictor.decisions.threshold(name), probability


def _class(predictor: Predictor, array: np.ndarray) -> Decided:
    name, shares = class_given(predictor, array)
    question = predictor.task.question
    told = positive_class(question) if question.is_binary else name
    return Decided(name, f"{name} ({'' if told == name else f'{told} '}{shares[told]:.2f})")


def _finding(predictor: Predictor, target: Target, array: np.ndarray) -> Decided:
    name = predictor.task.question.classes[target.number]
    called, probability = is_called(predictor, name, array)
    return Decided(called, f"{name} {'called' if called else 'not called'} ({probability:.2f})")


def _structure(predictor: Predictor, target: Target, array: np.ndarray) -> Decided:
    """Before the clean-up of components, which a window cannot do."""
    raw, question = predictor.raw(array), predictor.task.question
    mask = raw.argmax(0) == target.number + 1 if question.exclusive else raw[target.number] > 0.5
    name = question.classes[target.number]
    assert target.voxels is not None
    kept = overlap(target.voxels, mask)
    return Decided(mask, f"{name}, {int(mask.sum())} voxels" + (f", Dice {kept:.2f} with the outline before" if kept < 1 else ""))


def _object(predictor: Predictor, target: Target, array: np.ndarray) -> Decided:
    """Whether an object of the class that overlaps the one that is asked about is listed at the frozen threshold."""
    name = predictor.task.question.classes[target.number]
    is_dense = predictor.task.serves == "dense"
    found = connected(predictor.raw(array)) if is_dense else predictor.found(array)
    assert target.box is not None
    near = box_iou(np.asarray(target.box).reshape(1, 2, 3), found.corners)[0] >= SAME_OBJECT
    scores = found.scores[near & (found.classes == target.number)]
    best = float(scores.max()) if len(scores) else 0.0
    listed = best > 0 and best >= predictor.decisions.threshold(name)
    return Decided(listed, f"{name} {'listed' if listed else 'lost'} ({best:.2f})")


def _probabilities(predictor: Predictor, array: np.ndarray) -> dict[str, float]:
    answer = predictor.task.decode(predictor.raw(array), predictor.decisions)
    assert isinstance(answer, Findings)
    return {name: float(value) for name, value in answer.probabilities.items() if value is not None}
