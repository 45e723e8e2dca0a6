"""A difference between two, and a test of exactly that difference: its interval and its p value are one calculation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from overread.core.score import Interval


class Test(Protocol):
    """Everything that can be asked of one difference.

    method  in words, with its source
    reason  why there is no interval and no p value; "" where there are
    """

    @property
    def estimate(self) -> float: ...
    @property
    def method(self) -> str: ...
    @property
    def reason(self) -> str: ...
    def interval(self, level: float) -> tuple[float, float]: ...
    def p(self) -> float:
        """Two-sided, against a difference of 0; below 1 - level where, and only where, the interval leaves 0 out."""
        ...

    def p_above(self, floor: float) -> float:
        """One-sided: could the true difference be `floor` or less?"""
        ...

    def p_below(self, ceiling: float) -> float:
        """One-sided: could the true difference be `ceiling` or more?"""
        ...


@dataclass(frozen=True)
class StudentTest:
    """Estimate and standard error, with Student's quantiles, or normal ones where `freedom` is infinite."""

    estimate: float
    error: float
    method: str
    freedom: float = np.inf
    reason: str = ""

    def interval(self, level: float) -> tuple[float, float]:
        half = float(stats.t.ppf(0.5 + level / 2, self.freedom)) * self.error
        return self.estimate - half, self.estimate + half

    def p(self) -> float:
        return float(2 * stats.t.sf(abs(self.estimate) / self.error, self.freedom))

    def p_above(self, floor: float) -> float:
        return float(stats.t.sf((self.estimate - floor) / self.error, self.freedom))

    def p_below(self, ceiling: float) -> float:
        return float(stats.t.cdf((self.estimate - ceiling) / self.error, self.freedom))


@dataclass(frozen=True)
class NoTest:
    """A difference of which these cases cannot say how sure it is."""

    estimate: float
    method: str
    reason: str

    def interval(self, level: float) -> tuple[float, float]:
        raise ValueError(self.reason)

    def p(self) -> float:
        raise ValueError(self.reason)

    def p_above(self, floor: float) -> float:
        raise ValueError(self.reason)

    def p_below(self, ceiling: float) -> float:
        raise ValueError(self.reason)


def students_test(estimate: float, error: float, method: str, freedom: float = np.inf, *, why_none: str) -> Test:
    """Student's test; none where the standard error is 0, as an interval of width zero would say more than is known."""
    if not np.isfinite(error) or error <= 1e-12:
        return NoTest(estimate, method, why_none)
    return StudentTest(estimate, error, method, freedom)


def difference_interval(test: Test, cases: int, patients: int, level: float) -> Interval:
    low, high = (None, None) if test.reason else test.interval(level)
    return Interval(test.estimate, low, high, test.method, cases, patients, level, test.reason)


def holm(p: list[float]) -> list[float]:
    """Holm's correction: p values that keep the chance of any false alarm among all of them at the stated level.

    Source: Holm, Scand J Stat 1979;6:65.
    """
    adjusted = [0.0] * len(p)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return adjusted
