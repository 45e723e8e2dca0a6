"""Do groups of cases differ in a score by more than chance? The clearest difference of all pairs, with its interval and test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from overread.core.score import Interval

METHOD = (
    "difference of two intervals (MOVER); interval and p take into account that the clearest of all pairs was picked "
    "(Tukey's studentised range)"
)
Correlation = Callable[[int, int], float]


@dataclass(frozen=True)
class Gap:
    """The clearest difference between two groups.

    higher, lower   numbers of the groups
    difference      score of the one less score of the other
    low, high       its interval, for all pairs at once
    p               how often a difference as clear as this one would come about between groups that do not differ
    """

    higher: int
    lower: int
    difference: float
    low: float
    high: float
    p: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def clearest_gap(intervals: Sequence[Interval], correlation: Correlation, level: float) -> Gap:
    """The pair of groups whose difference is largest for its uncertainty.

    intervals    of at least two groups, each with low and high
    correlation  of the sampling errors of two groups, by their numbers; 0 where they share no patient

    The interval of a difference from those of its two parts keeps what they know of small numbers and of the edges 0 and 1,
    and is no narrower for all patients of a group scoring alike: Zou and Donner, Stat Med 2008;27:1693 (correlated: Zou,
    Psychol Methods 2007;12:399). For k groups the normal quantile gives way to that of the studentised range of k.

    The test tests the difference that is given: p is below 1 - level just where its interval leaves out 0.
    """
    pairs = [_ordered(intervals, a, b) for a, b in combinations(range(len(intervals)), 2)]
    reach = float(stats.norm.ppf(0.5 + level / 2))
    clear = [_clearness(intervals[a], intervals[b], correlation(a, b), reach) for a, b in pairs]
    best = int(np.argmax(clear))
    higher, lower = pairs[best]
    top, bottom, shared = intervals[higher], intervals[lower], correlation(higher, lower)
    k = len(intervals)
    widened = float(stats.studentized_range.ppf(level, k, np.inf) / np.sqrt(2) / reach) if k > 2 else 1.0
    difference = _value(top) - _value(bottom)
    low = difference - widened * _side(_value(top) - _low(top), _high(bottom) - _value(bottom), shared)
    high = difference + widened * _side(_high(top) - _value(top), _value(bottom) - _low(bottom), shared)
    return Gap(higher, lower, difference, low, high, _p(clear[best], k))


def _ordered(intervals: Sequence[Interval], a: int, b: int) -> tuple[int, int]:
    return (a, b) if _value(intervals[a]) >= _value(intervals[b]) else (b, a)


def _clearness(top: Interval, bottom: Interval, shared: float, reach: float) -> float:
    """The difference in standard errors, these on the sides that face each other."""
    side = _side(_value(top) - _low(top), _high(bottom) - _value(bottom), shared)
    return reach * (_value(top) - _value(bottom)) / side if side > 0 else 0.0


def _side(one: float, other: float, shared: float) -> float:
    return float(np.sqrt(max(one**2 + other**2 - 2 * shared * one * other, 0.0)))


def _p(clearness: float, groups: int) -> float:
    if groups == 2:
        return float(2 * stats.norm.sf(clearness))
    return float(np.clip(stats.studentized_range.sf(clearness * np.sqrt(2), groups, np.inf), 0.0, 1.0))


def _value(interval: Interval) -> float:
    assert interval.estimate is not None
    return interval.estimate


def _low(interval: Interval) -> float:
    assert interval.low is not None
    return interval.low


def _high(interval: Interval) -> float:
    assert interval.high is not None
    return interval.high
