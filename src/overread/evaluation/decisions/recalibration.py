"""Platt's and the isotonic calibration of one finding, fitted on tuning data."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from overread.core.question import Recalibration
from overread.metrics.calibration import TINIEST, logit

FLATTEST, STEEPEST = 0.05, 20.0  # slope on the logit scale; the same bounds as of a temperature


def fit_recalibration(
    name: str, truth: np.ndarray, probability: np.ndarray, method: str, prevalence: float | None = None
) -> Recalibration | None:
    """None where nothing can be fitted: no case, or one kind only.

    truth        (N,) 1, 0 or NaN (not known)
    probability  (N,) raw
    method       "platt" or "isotonic"
    prevalence   of the place of use, where the cases are an enriched sample: they are weighed by it

    Truths are softened to (n + 1) / (n + 2) and 1 / (n + 2) for n cases of the kind, so that few tuning cases do not end in
    certainty. Sources: Platt 1999; Zadrozny and Elkan, KDD 2002.
    """
    known = np.isfinite(truth) & np.isfinite(probability)
    ill, raw = truth[known] > 0.5, probability[known]
    if not ill.any() or ill.all():
        return None
    target = np.where(ill, (ill.sum() + 1) / (ill.sum() + 2), 1 / ((~ill).sum() + 2))
    share = float(ill.mean())
    weight = np.ones(len(raw))
    if prevalence is not None:
        weight = np.where(ill, prevalence / share, (1 - prevalence) / (1 - share))
    if method == "isotonic":
        knots, values = _rising(raw, target, weight)
        return Recalibration(name, "isotonic", knots=tuple(knots.tolist()), values=tuple(values.tolist()), prevalence=prevalence)
    slope, intercept = _line(logit(raw, TINIEST), target, weight)
    return Recalibration(name, "Platt", round(slope, 6), round(intercept, 6), prevalence=prevalence)


def _line(score: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of least negative log-likelihood; the slope never turns the order of the cases."""

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        value = line[0] * score + line[1]
        gap = weight * (1 / (1 + np.exp(-np.clip(value, -500, 500))) - target)
        return float((weight * (np.logaddexp(0, value) - target * value)).sum()), np.array([(gap * score).sum(), gap.sum()])

    found = optimize.minimize(loss, (1.0, 0.0), jac=True, method="L-BFGS-B", bounds=((FLATTEST, STEEPEST), (None, None)))
    return float(found.x[0]), float(found.x[1])


def _rising(raw: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the rising step function nearest to the targets: both ends of each step."""
    places, number = np.unique(raw, return_inverse=True)
    total = np.bincount(number, weight)
    fitted = _pooled(np.bincount(number, weight * target) / total, total)
    steps = np.diff(fitted) > 1e-12
    ends = np.r_[True, steps] | np.r_[steps, True]
    return places[ends], fitted[ends]


def _pooled(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N,) the nearest numbers that never fall: neighbours in the wrong order share their mean (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, own in zip(values.tolist(), weight.tolist(), strict=True):
        mean, total, length = value, own, 1
        while blocks and blocks[-1][0] >= mean:
            before, more, count = blocks.pop()
            mean, total, length = (mean * total + before * more) / (total + more), total + more, length + count
        blocks.append((mean, total, length))
    return np.repeat([b[0] for b in blocks], [b[2] for b in blocks])
