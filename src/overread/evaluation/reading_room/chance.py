"""Against a coin: the test that the interval of the accuracy turns round, and what it takes to pass it."""

from __future__ import annotations

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import FEW_CASES, effective_cases, proportion_interval

CHANCE = 0.5


def verdict(accuracy: Interval) -> str:
    if accuracy.low is None or accuracy.high is None:
        return "not known"
    if accuracy.low > CHANCE:
        return "above chance"
    return "below chance" if accuracy.high < CHANCE else "not told from chance"


def p_chance(right: np.ndarray, patients: Patients) -> float | None:
    """Two-sided p of a coin being right so often, by the test that the interval turns round, so that both say the same."""
    if not len(right) or patients.count < 2:
        return None
    share = float(right.mean())
    if not patients.are_clustered and len(right) < FEW_CASES:
        return float(stats.binomtest(int(right.sum()), len(right), CHANCE).pvalue)
    if not patients.are_clustered:
        return float(2 * stats.norm.sf(abs(share - CHANCE) / np.sqrt(CHANCE * (1 - CHANCE) / len(right))))
    effective = effective_cases(right.astype(float), patients)
    reach = abs(share - CHANCE) / np.sqrt(CHANCE * (1 - CHANCE) / effective)
    return float(2 * stats.t.sf(reach, patients.count - 1))


def least_told(images: int, level: float = 0.95) -> float | None:
    """The lowest accuracy of one reader that is told from chance with so many images of different patients."""
    patients = Patients(np.arange(images), images)
    for hits in range(images // 2, images + 1):
        right = (np.arange(images) < hits).astype(float)
        if verdict(proportion_interval(right, np.ones(images), patients, level, "")) == "above chance":
            return hits / images
    return None
