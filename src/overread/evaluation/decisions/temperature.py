"""Temperature: one number, fitted on tuning data, that makes probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from overread.metrics.calibration import tempered

COOLEST, HOTTEST = 0.05, 20.0


def fit_temperature(truth: np.ndarray, probability: np.ndarray, *, exclusive: bool) -> float:
    """The temperature of least negative log-likelihood; 1.0 where nothing can be fitted.

    truth        (N, K) 1, 0 or NaN (not known)
    probability  (N, K) raw

    Truths are softened to (n + 1) / (n + 2) and 1 / (n + 2) for n cases of the class, so that a perfect separation on
    few tuning cases does not end in certainty. Source: Guo et al., ICML 2017; softening: Platt 1999.
    """
    known = np.isfinite(truth) & np.isfinite(probability)
    if exclusive:
        rows = known.all(1)
        truth, probability, known = truth[rows], probability[rows], known[rows]
    if not known.any() or np.nanmin(truth) == np.nanmax(truth) or (exclusive and (truth.max(0) > 0).sum() < 2):
        return 1.0
    target = _softened(truth, known, exclusive)

    def loss(log_temperature: float) -> float:
        p = np.clip(tempered(probability, float(np.exp(log_temperature)), exclusive=exclusive), 1e-12, 1 - 1e-12)
        if exclusive:
            return float(-(target * np.log(p)).sum())
        return float(-(target * np.log(p) + (1 - target) * np.log1p(-p))[known].sum())

    found = optimize.minimize_scalar(loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(found.x)), 4) if found.fun < loss(0.0) else 1.0


def _softened(truth: np.ndarray, known: np.ndarray, exclusive: bool) -> np.ndarray:
    positives = np.where(known, truth, 0).sum(0)
    if exclusive:
        right = (positives + 1) / (positives + 2)
        rest = (1 - right) / max(truth.shape[1] - 1, 1)
        own, other = (truth * right).sum(1, keepdims=True), (truth * rest).sum(1, keepdims=True)
        return np.where(truth > 0.5, own, other)
    negatives = known.sum(0) - positives
    return np.where(truth > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
