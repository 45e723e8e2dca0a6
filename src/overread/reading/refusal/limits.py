"""Limits of the content from tuning patients, so that the share of wrongly refused new patients is known beforehand.

Split conformal prediction for the question "is this image like those?" (Laxhammar and Falkman, Ann Math Artif Intell 74:67, 2015;
Bates et al., Ann Stat 51:149, 2023), with each patient counting once (Lee, Barber, Willett 2023). The promise holds for patients
drawn like the tuning patients. Each part has a limit of its own, which takes its share of the promise (Bonferroni): otherwise one
outlier in what the network sees would hide what looks plainly tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from overread.reading.refusal.record import Limits, Part

WARNED, REFUSED = 0.05, 0.02  # shares of patients like those of training that are warned of, and refused
FEWEST = 5  # tuning patients; with fewer nothing is refused for its content
FEW = 20  # up to so many tuning patients, the farthest of them has to be passed twofold
LEAST_SPREAD = 0.05  # of a logarithm of distance: twentieths are no difference
LEAST_FAR = 2.0  # what the farthest of a few patients is taken to reach at least
TAIL = 90  # percentile that gives the spread: what lies nearer than the median is no concern
OF_NORMAL = 1.2816  # standard deviations from the median of a normal distribution to its 90th percentile


def fit_limits(distances: Mapping[str, np.ndarray], patients: Sequence[str]) -> Limits:
    """distances: name of a part -> (N,) of the tuning cases; patients (N,)"""
    count, who = len(set(patients)), np.array(patients)
    parts = tuple(_part(name, values, who, count, len(distances)) for name, values in distances.items())
    is_reached = REFUSED / len(parts) * (count + 1) >= 1 - 1e-9
    least = len(parts) / (count + 1)
    refused = REFUSED if is_reached else round(least, 4)
    return Limits(parts, round(max(WARNED, least), 4), refused, is_reached, count)


def spreads(part: Part, distance: float) -> float:
    """How far an image lies by one part, in spreads beyond the median tuning case."""
    far = (np.log(max(distance, 1e-9)) - part.middle) / part.spread
    return float(far) if np.isfinite(far) else 1e6


def _part(name: str, distances: np.ndarray, patients: np.ndarray, count: int, parts: int) -> Part:
    logs = np.log(np.maximum(distances, 1e-9))
    middle, high = np.percentile(logs, (50, TAIL))
    part = Part(name, round(float(middle), 6), round(max(float(high - middle) / OF_NORMAL, LEAST_SPREAD), 6))
    if count < FEWEST:
        return part
    far = np.array([spreads(part, float(distance)) for distance in distances])
    warn, _ = _limit(far, patients, WARNED / parts)
    refuse, is_reached = _limit(far, patients, REFUSED / parts)
    if not is_reached:
        refuse += max(refuse, LEAST_FAR) * min(1.0, FEW / count)
    return Part(name, part.middle, part.spread, _rounded(warn), _rounded(max(refuse, LEAST_SPREAD)))


def _rounded(limit: float) -> float:
    """Upwards: the patient who gave the limit stays within it."""
    return float(np.ceil(limit * 1e4) / 1e4)


def _limit(far: np.ndarray, patients: np.ndarray, share: float) -> tuple[float, bool]:
    """The smallest limit that all but `share` of the patients and one more stay within, each counting once.

    Where the patients are too few for that, the farthest of them and False.
    """
    _, number, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    order = np.argsort(far, kind="stable")
    held = np.cumsum(1 / sizes[number.reshape(-1)[order]])
    place = int(np.searchsorted(held, (1 - share) * (len(sizes) + 1) - 1e-9))
    return (float(far[order[place]]), True) if place < len(order) else (float(far[order[-1]]), False)
