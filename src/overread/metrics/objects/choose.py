"""Some of the objects of an answer or a truth, in their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.kinds import Boxes
from overread.metrics.objects.overlap import Objects


def select(answer: Objects, stay: np.ndarray) -> Objects:
    """The objects where `stay`, (N,) bool, says so, in their order."""
    if stay.all():
        return answer
    numbers = np.flatnonzero(stay)
    classes = tuple(answer.classes[n] for n in numbers)
    scores = np.asarray(answer.scores)[numbers]
    if isinstance(answer, Boxes):
        return replace(answer, corners=answer.corners[numbers], classes=classes, scores=scores)
    return replace(answer, pieces=tuple(answer.pieces[n] for n in numbers), classes=classes, scores=scores)


def of_class(objects: Objects, class_name: str) -> Objects:
    return select(objects, np.array([name == class_name for name in objects.classes], dtype=bool))


def highest(objects: Objects, number: int) -> Objects:
    """The objects with the highest scores, in their order; of equal ones the first."""
    if len(objects.classes) <= number:
        return objects
    stay = np.zeros(len(objects.classes), bool)
    stay[np.argsort(-np.asarray(objects.scores, dtype=float), kind="stable")[:number]] = True
    return select(objects, stay)
