"""Curves over thresholds, thinned for drawing; the numbers beside them come from all cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from overread.metrics.calibration import BINS, bin_numbers
from overread.metrics.ranking import Ranking

MOST_POINTS = 200


def roc_curve(truth: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    """False and true positive rate for calling every case at or above each threshold; starts where nothing is called.

    truth (N,) bool with both classes, score (N,) 0 to 1
    """
    positive, negative = Ranking.of(truth, score).steps()
    tpr = np.r_[0.0, np.cumsum(positive[0])] / positive.sum()
    fpr = np.r_[0.0, np.cumsum(negative[0])] / negative.sum()
    threshold = np.r_[_above(score), _distinct(score)]
    keep = thin(fpr, tpr)
    return {"fpr": _plain(fpr[keep]), "tpr": _plain(tpr[keep]), "threshold": _plain(threshold[keep])}


def pr_curve(truth: np.ndarray, score: np.ndarray, prevalence: float | None = None) -> dict[str, Any]:
    """Recall and precision at every threshold, and the prevalence that chance would reach.

    prevalence  stated one, by which the classes are weighed; None takes that of the cases
    """
    share = float(np.mean(truth)) if prevalence is None else prevalence
    positive, negative = Ranking.of(truth, score).steps()
    recall = np.cumsum(positive[0]) / positive.sum()
    found, false = share * recall, (1 - share) * np.cumsum(negative[0]) / negative.sum()
    precision = found / (found + false)
    keep = thin(recall, precision)
    return {
        "recall": _plain(np.r_[0.0, recall[keep]]),
        "precision": _plain(np.r_[precision[0], precision[keep]]),
        "prevalence": share,
    }


def calibration_bins(truth: np.ndarray, probability: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    """(low, high, case numbers) of each bin that holds a case."""
    number = bin_numbers(probability)
    return [(b / BINS, (b + 1) / BINS, np.flatnonzero(number == b)) for b in range(BINS) if (number == b).any()]


def thin(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Places of at most `MOST_POINTS` points of a curve: its corners first, then evenly along its length."""
    corner = np.ones(len(across), bool)
    before = np.stack([np.diff(across), np.diff(up)], 1)
    corner[1:-1] = np.abs(before[:-1, 0] * before[1:, 1] - before[:-1, 1] * before[1:, 0]) > 1e-12
    places = np.flatnonzero(corner)
    if len(places) <= MOST_POINTS:
        return places
    length = np.r_[0.0, np.cumsum(np.abs(np.diff(across[places])) + np.abs(np.diff(up[places])))]
    wanted = np.linspace(0, length[-1], MOST_POINTS)
    return places[np.unique(np.searchsorted(length, wanted - 1e-12).clip(0, len(places) - 1))]


def _distinct(score: np.ndarray) -> np.ndarray:
    return np.unique(score)[::-1]


def _above(score: np.ndarray) -> float:
    """A threshold that nothing reaches."""
    return float(np.nextafter(max(1.0, float(score.max())), 2.0))


def _plain(values: np.ndarray) -> list[float]:
    return [float(f"{v:.6g}") for v in values]
