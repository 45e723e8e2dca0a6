"""Intervals for a number that two sets of images have together, such as FID.

Drawing images with replacement puts copies into a set, and copies shrink a cloud of features, so that FID rises with every
drawing. Leaving some out does no such thing: 20 groups of patients, and 20 groups of made images, are left out in turn
(delete-a-group jackknife; Efron and Stein, Ann Stat 1981;9:586; Kott, J Off Stat 2001;17:521). The same values say by how much
the number is too high or low for want of images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients

GROUPS = 20
FEWEST = 5  # groups of either side
METHOD = "jackknife over {} groups of patients and {} of made images"

OfBoth = Callable[[np.ndarray, np.ndarray], float]  # rows of the real, rows of the made images -> the number


@dataclass(frozen=True)
class Jackknifed:
    """A number, its interval, and how far it is expected to lie off for want of images (estimate less truth)."""

    interval: Interval
    bias: float | None


def jackknifed(
    number: OfBoth, patients: Patients, made: int, level: float, undefined: str, lowest: float | None = None
) -> Jackknifed:
    """The number of all images, with its interval.

    number    of the chosen rows of real, and of made images
    patients  of the real images
    made      how many made images there are; each is its own draw
    lowest    what the number cannot go below
    """
    every = np.arange(patients.cases), np.arange(made)
    estimate = number(*every)
    groups = [_groups(patients.count), _groups(made)]
    sizes = tuple(len(np.unique(group)) for group in groups)
    method = METHOD.format(*sizes)
    cases, count = patients.cases, patients.count
    if not np.isfinite(estimate):
        return Jackknifed(Interval(None, None, None, method, cases, count, level, undefined), None)
    if min(sizes) < FEWEST:
        few = f"{count} patients and {made} made images are too few to leave some out"
        return Jackknifed(Interval(estimate, None, None, method, cases, count, level, few), None)
    without = (
        np.array([number(every[0][groups[0][patients.number] != k], every[1]) for k in range(sizes[0])]),
        np.array([number(every[0], every[1][groups[1] != k]) for k in range(sizes[1])]),
    )
    variance = sum((len(v) - 1) / len(v) * float(np.square(v - v.mean()).sum()) for v in without)
    bias = sum((len(v) - 1) * (float(v.mean()) - estimate) for v in without)
    if not np.isfinite(variance) or variance <= 0:
        why = "it is the same, or not defined, whatever is left out"
        return Jackknifed(Interval(estimate, None, None, method, cases, count, level, why), None)
    half = float(stats.t.ppf(0.5 + level / 2, min(sizes) - 1)) * float(np.sqrt(variance))
    low = estimate - half if lowest is None else max(lowest, estimate - half)
    return Jackknifed(Interval(estimate, low, estimate + half, method, cases, count, level), bias)


def _groups(count: int) -> np.ndarray:
    """(count,) number of the group of each, by chance and of equal size; always the same for the same count."""
    order = np.random.default_rng(0).permutation(count)
    return np.asarray(order % min(GROUPS, max(count, 1)))
