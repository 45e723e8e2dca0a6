"""An interval about patients, widened by how far pairs of trainings lie apart: another training might have turned out otherwise.

Two things vary: which patients tune, and how a training turns out. The distances from the estimate to the ends of both intervals
are put together by squares (MOVER, Zou and Donner, Stat Med 2008;27:1693).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from overread.evaluation.comparing.difference import Test

STEPS = 40  # halvings of the logarithm of p
LEAST, MOST = 1e-12, 0.999  # p values that are told apart from 0 and from 1


def reach(error: float, freedom: int, level: float) -> float:
    """How far a mean over trainings may lie from what it would be over all of them; freedom: of the spread behind the error."""
    return float(stats.t.ppf((1 + level) / 2, freedom) * error)


def by_squares(estimate: float, ends: tuple[float, float], further: float) -> tuple[float, float]:
    """The ends of an interval after a second source of error that reaches as far to both sides."""
    low, high = ends
    return estimate - float(np.hypot(estimate - low, further)), estimate + float(np.hypot(high - estimate, further))


@dataclass(frozen=True)
class OverTrainings:
    """A test by patient of a mean over R pairs of trainings, with the spread of the pairs in its interval and its p value.

    test     of these trainings, by patient
    error    standard error of the mean over pairs, from their spread
    freedom  its degrees of freedom
    """

    test: Test
    error: float
    freedom: int
    reason: str = ""

    @classmethod
    def of(cls, test: Test, pairs: Sequence[float]) -> OverTrainings:
        """pairs  (R,) the difference of each pair alone, two or more"""
        return cls(test, float(np.std(pairs, ddof=1) / np.sqrt(len(pairs))), len(pairs) - 1, test.reason)

    @property
    def estimate(self) -> float:
        return self.test.estimate

    @property
    def method(self) -> str:
        return f"{self.test.method}, and the spread of {self.freedom + 1} pairs of trainings, joined by squares"

    def interval(self, level: float) -> tuple[float, float]:
        return by_squares(self.estimate, self.test.interval(level), reach(self.error, self.freedom, level))

    def p(self) -> float:
        """Two-sided, of no difference: 1 less the level at which the interval just reaches 0, found by halving."""
        return self._where_reached(0.0)

    def p_above(self, floor: float) -> float:
        half = self._where_reached(floor) / 2
        return half if self.estimate > floor else 1 - half

    def p_below(self, ceiling: float) -> float:
        half = self._where_reached(ceiling) / 2
        return half if self.estimate < ceiling else 1 - half

    def _where_reached(self, null: float) -> float:
        if self._holds(null, MOST):
            return 1.0
        low, high = np.log(LEAST), np.log(MOST)
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._holds(null, float(np.exp(middle))) else (low, middle)
        return float(np.exp(high))

    def _holds(self, null: float, p: float) -> bool:
        low, high = self.interval(1 - p)
        return low <= null <= high
