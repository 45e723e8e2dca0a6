"""How wide an interval will be, before anything has been measured: plain formulas, each with its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from overread.evaluation.intervals.wilson import wilson

MOST_PATIENTS = 1_000_000


def hanley_mcneil_variance(area: float, positives: float, negatives: float) -> float:
    """Variance of an area under the ROC curve (Hanley and McNeil, Radiology 1982;143:29, the exponential form)."""
    both_positive, both_negative = area / (2 - area), 2 * area**2 / (1 + area)
    total = area * (1 - area) + (positives - 1) * (both_positive - area**2) + (negatives - 1) * (both_negative - area**2)
    return float(total / (positives * negatives))


def area_limits(area: float, positives: float, negatives: float, level: float = 0.95) -> tuple[float, float]:
    """The interval to expect around `area`, on the logit scale as `overread evaluate` gives it."""
    half = _z(level) * np.sqrt(hanley_mcneil_variance(area, positives, negatives)) / (area * (1 - area))
    centre = np.log(area / (1 - area))
    return float(1 / (1 + np.exp(half - centre))), float(1 / (1 + np.exp(-half - centre)))


def share_limits(share: float, cases: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval around a share that is assumed."""
    return wilson(share * cases, cases, level)


def mean_half_width(sd: float, patients: float, level: float = 0.95) -> float:
    """Half the width of Student's interval of a mean."""
    return float(stats.t.ppf(0.5 + level / 2, max(patients - 1, 1)) * sd / np.sqrt(patients))


def design_effect(cases_per_patient: Sequence[int] | np.ndarray, correlation: float) -> float:
    """By how much cases of one patient inflate a variance: 1 + (m - 1) x correlation.

    cases_per_patient  (P,) one number per patient; m is the sum of their squares over their sum, so that uneven patients
                       count as they do (Kish, Survey Sampling 1965)
    correlation        between cases of one patient, 0 to 1
    """
    sizes = np.asarray(cases_per_patient, float)
    return float(1 + ((sizes**2).sum() / sizes.sum() - 1) * correlation)


def paired_error(area: float, other: float, positives: float, negatives: float, correlation: float) -> float:
    """Standard error of the difference between two areas on the same cases (Hanley and McNeil, Radiology 1983;148:839).

    correlation  between the two estimates of the areas
    """
    one, two = hanley_mcneil_variance(area, positives, negatives), hanley_mcneil_variance(other, positives, negatives)
    return float(np.sqrt(max(one + two - 2 * correlation * np.sqrt(one * two), 0.0)))


def power_of_difference(
    area: float, difference: float, positives: float, negatives: float, correlation: float, level: float = 0.95
) -> float:
    """Chance that a two-sided test finds that `area + difference` is better than `area`, both read on the same cases."""
    error = paired_error(area, area + difference, positives, negatives, correlation)
    return float(stats.norm.cdf(difference / error - _z(level)))


def power_of_non_inferiority(
    area: float, margin: float, positives: float, negatives: float, correlation: float, level: float = 0.95
) -> float:
    """Chance that the lower limit of the difference clears -margin when both areas are truly equal."""
    error = paired_error(area, area, positives, negatives, correlation)
    return float(stats.norm.cdf(margin / error - _z(level)))


def detectable_difference(
    area: float, positives: float, negatives: float, correlation: float, power: float = 0.8
) -> float | None:
    """The smallest gain over `area` that is found with this power; None where not even a perfect reader's would be."""
    steps = np.linspace(0, 1 - area, 401)[1:-1]
    for step in steps:
        if power_of_difference(area, float(step), positives, negatives, correlation) >= power:
            return float(step)
    return None


def cases_needed(half_width: Callable[[float], float], wanted: float) -> int | None:
    """The fewest cases whose `half_width(cases)` is no more than `wanted`; None beyond a million."""
    low, high = 1, 2
    while half_width(high) > wanted:
        low, high = high, high * 2
        if high > MOST_PATIENTS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if half_width(middle) <= wanted else (middle, high)
    return high


def half(limits: tuple[float, float]) -> float:
    """Half the width of an interval."""
    return (limits[1] - limits[0]) / 2


def _z(level: float) -> float:
    return float(stats.norm.ppf(0.5 + level / 2))
