"""FROC and average precision for thousands of weightings at once.

Between two hits nothing changes that counts: the sensitivity stays, and precision only falls. So it is enough to know, for each
hit, how many answers each case had given by then, and one matrix product does for all weightings what a pass over all answers
does for one. The numbers are those of `metrics.objects.froc` and `metrics.objects.average_precision`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.metrics.metric import ratio
from overread.metrics.objects.average_precision import RECALLS, RankedAnswers
from overread.metrics.objects.marks import Marks

ROUNDING = 1 + 1e-12


@dataclass(frozen=True)
class AtHits:
    """found, other  (N, H) what each case had given at each of H hits, highest score first: hits, and the other answers
    truths           (N,) number of truths in each case
    """

    found: np.ndarray
    other: np.ndarray
    truths: np.ndarray

    @classmethod
    def of_marks(cls, marks: Marks) -> AtHits:
        """Equal scores are called together."""
        hit = marks.is_hit
        steps = np.unique(marks.score[hit])[::-1]
        return cls(
            _reached(marks.answer_case[hit], marks.score[hit], steps, marks.cases),
            _reached(marks.answer_case[~hit], marks.score[~hit], steps, marks.cases),
            marks.truths,
        )

    @classmethod
    def of_ranked(cls, ranked: RankedAnswers, limit: int) -> AtHits:
        """Answers one after the other, as COCO takes them; at one limit of overlap."""
        hit = ranked.hit[limit]
        place = -np.arange(len(hit), dtype=float)  # as a score: the later, the lower
        steps, cases = place[hit], len(ranked.truths)
        return cls(
            _reached(ranked.case[hit], place[hit], steps, cases),
            _reached(ranked.case[~hit], place[~hit], steps, cases),
            ranked.truths,
        )

    def sensitivity_at(self, rates: Sequence[float], weights: np.ndarray) -> np.ndarray:
        """(R, N) weights -> (R, rates) highest sensitivity of a threshold with at most so many false positives per case."""
        found, false = weights @ self.found, weights @ self.other
        limits = weights.sum(1)[:, None] * np.asarray(rates, dtype=float) * ROUNDING
        places = np.array([np.searchsorted(line, limit, "right") for line, limit in zip(false, limits, strict=True)])
        reached = np.concatenate([np.zeros((len(weights), 1)), found], axis=1)
        return ratio(np.take_along_axis(reached, places.reshape(limits.shape), 1), (weights @ self.truths)[:, None])

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """(R, N) weights -> (R,) mean over 101 recalls of the best precision from there on; NaN where no truth has weight."""
        found, other = weights @ self.found, weights @ self.other
        every = weights @ self.truths
        called = found + other
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        read = np.searchsorted(RECALLS, np.nan_to_num(ratio(found, every[:, None])), "right")  # recalls reached by each hit
        steps = np.diff(read, axis=1, prepend=0)
        return np.where(every > 0, np.einsum("rh,rh->r", best, steps) / len(RECALLS), np.nan)


def _reached(case: np.ndarray, score: np.ndarray, steps: np.ndarray, cases: int) -> np.ndarray:
    """(N, H) how many of these answers each case has given down to each step; steps fall."""
    table = np.zeros((cases, len(steps) + 1))
    np.add.at(table, (case, np.searchsorted(-steps, -score, "left")), 1.0)  # the first step that is no higher than the score
    return np.cumsum(table, axis=1)[:, :-1]
