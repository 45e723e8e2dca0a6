"""The interval of an area under the ROC curve, from its structural components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients


@dataclass(frozen=True)
class Area:
    """An area with its variance, and what it rests on.

    variance               None where a class has fewer than two patients
    positives, negatives   patients with at least one positive, with at least one negative case
    """

    value: float
    variance: float | None
    positives: int
    negatives: int


def area(truth: np.ndarray, score: np.ndarray, patients: Patients) -> Area | None:
    """The area and its variance; None where a class is absent. O(n log n).

    truth (N,) bool, score (N,)

    Source: DeLong et al., Biometrics 1988;44:837, by mid-ranks as in Sun and Xu, IEEE Signal Process Lett 2014;21:1389.
    Where a patient has several cases, Obuchowski's form (Biometrics 1997;53:567), which equals DeLong's where none has.
    """
    truth = np.asarray(truth, bool)
    m, n = int(truth.sum()), int((~truth).sum())
    if m == 0 or n == 0:
        return None
    ranks = stats.rankdata(score)
    beaten = (ranks[truth] - stats.rankdata(score[truth])) / n  # share of negatives below each positive
    beating = 1 - (ranks[~truth] - stats.rankdata(score[~truth])) / m  # share of positives above each negative
    value = float(beaten.mean())
    by_positive, by_negative = patients.number[truth], patients.number[~truth]
    positives, negatives = len(np.unique(by_positive)), len(np.unique(by_negative))
    if positives < 2 or negatives < 2:
        return Area(value, None, positives, negatives)
    excess = np.bincount(by_positive, beaten - value, patients.count)
    defect = np.bincount(by_negative, beating - value, patients.count)
    variance = (
        positives / (positives - 1) * (excess**2).sum() / m**2
        + negatives / (negatives - 1) * (defect**2).sum() / n**2
        + 2 * patients.count / (patients.count - 1) * (excess * defect).sum() / (m * n)
    )
    return Area(value, max(float(variance), 0.0), positives, negatives)


def mean_area(areas: Sequence[Area]) -> Area:
    """The mean of areas of folds that share no patient."""
    variances = [a.variance for a in areas if a.variance is not None]
    variance = sum(variances) / len(areas) ** 2 if len(variances) == len(areas) else None
    value = float(np.mean([a.value for a in areas]))
    return Area(value, variance, sum(a.positives for a in areas), sum(a.negatives for a in areas))


def area_interval(found: Area | None, patients: Patients, level: float, *, folds: int = 1) -> Interval:
    """The interval on the logit scale, which keeps it inside 0 to 1 (Pepe 2003, section 5.2).

    At 0 or 1, where the variance is 0, Newcombe's score interval over patients (Stat Med 2006;25:559, method 5) takes over.
    """
    clustered = patients.are_clustered
    method = ("Obuchowski (DeLong by patient), logit scale" if clustered else "DeLong, logit scale") + (
        f", mean of {folds} folds" if folds > 1 else ""
    )
    cases, count = patients.cases, patients.count
    if found is None:
        return Interval(None, None, None, method, cases, count, level, "cases of one class only")
    if found.variance is None:
        where = ", in every fold" if folds > 1 else ""
        few = f"{found.positives} positive and {found.negatives} negative patients; two of each are the least{where}"
        return Interval(found.value, None, None, method, cases, count, level, few)
    z = float(stats.norm.ppf(0.5 + level / 2))
    if found.variance <= 1e-15 or not 0 < found.value < 1:
        low, high = newcombe(found.value, found.positives, found.negatives, z)
        return Interval(found.value, low, high, "Newcombe's score interval over patients", cases, count, level)
    centre = np.log(found.value / (1 - found.value))
    half = z * np.sqrt(found.variance) / (found.value * (1 - found.value))
    low, high = (float(1 / (1 + np.exp(-edge))) for edge in (centre - half, centre + half))
    return Interval(found.value, low, high, method, cases, count, level)


def newcombe(value: float, positives: int, negatives: int, z: float) -> tuple[float, float]:
    """The areas t that would not find `value` surprising: |value - t| <= z sqrt(V(t)), V from Hanley and McNeil's form."""
    half = (positives + negatives) / 2 - 1

    def surprise(t: float) -> float:
        variance = t * (1 - t) * (1 + half * ((1 - t) / (2 - t) + t / (1 + t))) / (positives * negatives)
        return float((value - t) ** 2 - z * z * variance)

    low = 0.0 if value <= 0 else float(optimize.brentq(surprise, 0.0, value - 1e-12))
    high = 1.0 if value >= 1 else float(optimize.brentq(surprise, value + 1e-12, 1.0))
    return low, high
