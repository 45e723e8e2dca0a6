"""Two groups of different patients: the difference of a score, and how unlike the groups are, with intervals."""

from __future__ import annotations

import math

from scipy import stats

from overread.core.score import Interval
from overread.evaluation.intervals.wilson import wilson

DIFFERENCE = "difference of independent groups from their two intervals (MOVER, Zou and Donner 2008)"
BY_PATIENT = "each patient counted as one case"


def difference(one: Interval, other: Interval) -> Interval:
    """`one` minus `other`, two estimates from different patients.

    The interval is put together from the two intervals, whatever their methods, skewed ones included, so what they
    know of clustered cases stays in it (method of variance estimates recovery; Zou and Donner, Stat Med 2008;27:1693;
    for proportions with Wilson's intervals it is Newcombe's, Stat Med 1998;17:873).
    """
    cases, patients = one.n_cases + other.n_cases, one.n_patients + other.n_patients
    if one.estimate is None or other.estimate is None:
        reason = one.reason if one.estimate is None else other.reason
        return Interval(None, None, None, "none", cases, patients, one.level, reason)
    gap = one.estimate - other.estimate
    if one.low is None or one.high is None or other.low is None or other.high is None:
        reason = next(i.reason for i in (one, other) if i.low is None) or "one of the two has no interval"
        return Interval(gap, None, None, "none", cases, patients, one.level, reason)
    low = gap - math.hypot(one.estimate - one.low, other.high - other.estimate)
    high = gap + math.hypot(one.high - one.estimate, other.estimate - other.low)
    doubt = "; ".join(dict.fromkeys(i.reason for i in (one, other) if i.reason))
    return Interval(gap, low, high, DIFFERENCE, cases, patients, one.level, doubt)


def share(count: int, cases: int, patients: int, level: float = 0.95) -> Interval:
    """So many of so many cases, with the interval of as many independent cases as there are patients: rather too wide."""
    if not cases or not patients:
        return Interval(None, None, None, "none", cases, patients, level, "no case")
    low, high = wilson(count / cases * patients, patients, level)
    return Interval(count / cases, low, high, f"Wilson, {BY_PATIENT}", cases, patients, level)


def mean(value: float, deviation: float, cases: int, patients: int, level: float = 0.95) -> Interval:
    """A mean with Student's interval, of as many independent cases as there are patients: rather too wide."""
    if patients < 2:
        return Interval(value, None, None, "none", cases, patients, level, "one patient alone has no spread")
    half = float(stats.t.ppf(0.5 + level / 2, patients - 1)) * deviation / math.sqrt(patients)
    return Interval(value, value - half, value + half, f"Student, {BY_PATIENT}", cases, patients, level)


def standardised(gap: float, spreads: tuple[float, float], one: Interval, other: Interval) -> Interval:
    """A difference in units of the usual spread, with its large-sample interval (Hedges and Olkin 1985).

    gap          one minus other
    spreads      standard deviation of a case in each group
    """
    cases, patients = one.n_cases + other.n_cases, one.n_patients + other.n_patients
    pooled = math.sqrt((spreads[0] ** 2 + spreads[1] ** 2) / 2)
    if pooled == 0 or not one.n_patients or not other.n_patients:
        reason = "no spread in either group" if pooled == 0 else "no case in one of the groups"
        return Interval(0.0 if pooled == 0 and gap == 0 else None, None, None, "none", cases, patients, one.level, reason)
    value = gap / pooled
    error = math.sqrt(1 / one.n_patients + 1 / other.n_patients + value**2 / (2 * patients))
    half = float(stats.norm.ppf(0.5 + one.level / 2)) * error
    return Interval(value, value - half, value + half, f"Hedges and Olkin, {BY_PATIENT}", cases, patients, one.level)
