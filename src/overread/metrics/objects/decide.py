"""What was decided on tuning cases, applied to a raw answer: score thresholds, a least size, one answer in place of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.kinds import Boxes
from overread.core.question import Decisions
from overread.metrics.objects.choose import select
from overread.metrics.objects.overlap import Objects, overlaps
from overread.metrics.objects.sizes import longest_edge


def apply_decisions(answer: Objects, decisions: Decisions, classes: Sequence[str]) -> Objects:
    """The objects that are called: size and merging as `tidied`, and a score of at least the threshold of their class.

    classes  of the question; an object of another one is a mistake of the program
    """
    strangers = set(answer.classes) - set(classes)
    if strangers:
        raise ValueError(f"the answer has objects of {', '.join(sorted(strangers))}; the question asks for {', '.join(classes)}")
    threshold = np.array([decisions.threshold(name) for name in answer.classes], dtype=float)
    return tidied(select(answer, np.asarray(answer.scores, dtype=float) >= threshold), decisions)


def tidied(answer: Objects, decisions: Decisions) -> Objects:
    """Objects too small dropped, then of two of one class that overlap by more than `merge_overlap` the lower score.

    Scores stay as they are, and no lower score ever drops a higher one: a curve over all thresholds of what comes out is the
    curve of the objects that would be called at each.
    """
    if decisions.minimum_size:
        least = np.array([decisions.minimum_size.get(name, 0.0) for name in answer.classes], dtype=float)
        answer = select(answer, longest_edge(answer.corners, answer.grid) >= least)
    if decisions.merge_overlap is not None:
        answer = select(answer, _survivors(answer, decisions.merge_overlap))
    return answer


def _survivors(answer: Objects, limit: float) -> np.ndarray:
    """(N,) bool: greedy suppression within each class, by boxes for boxes and by voxels for instances."""
    close = overlaps(answer, answer, "box" if isinstance(answer, Boxes) else "mask") > limit
    names = np.asarray(answer.classes, dtype=object)
    close &= names[:, None] == names[None]
    stay = np.ones(len(names), bool)
    for number in np.argsort(-np.asarray(answer.scores, dtype=float), kind="stable"):
        if stay[number]:
            beaten = close[number].copy()
            beaten[number] = False
            stay &= ~beaten
    return stay
