"""Metrics of order: does the score rank diseased cases above the others? No threshold is involved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.metrics.metric import Metric, ratio

AUC = Metric(
    "auc", "Area under the ROC curve", "share of (positive, negative) pairs in which the positive scores higher; ties count half",
    "higher", "delong", synonyms=("AUROC", "c statistic"), undefined="cases of one class only",
)  # fmt: skip
AVERAGE_PRECISION = Metric(
    "average_precision", "Average precision",
    "sum over thresholds of (recall step) x precision, no interpolation; chance level is the prevalence",
    "higher", "bootstrap", synonyms=("AP", "area under the precision-recall curve"), undefined="cases of one class only",
)  # fmt: skip


@dataclass(frozen=True)
class Ranking:
    """Cases sorted once by falling score, so that thousands of reweightings cost one pass each.

    order   (N,) case numbers, highest score first
    truth   (N,) bool, in that order
    starts  first place of each group of equal scores
    """

    order: np.ndarray
    truth: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, score: np.ndarray) -> Ranking:
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        return cls(order, np.asarray(truth, bool)[order], starts)

    def steps(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Weight of positives and of negatives at each distinct score, highest first.

        weights  (R, N) weight of each case in its original place; None counts each case once
        returns  two (R, groups) arrays
        """
        ranked = np.ones((1, len(self.order))) if weights is None else weights[:, self.order]
        positive = np.where(self.truth, ranked, 0.0)
        negative = ranked - positive
        if len(self.starts) == len(self.order):
            return positive, negative
        return np.add.reduceat(positive, self.starts, axis=1), np.add.reduceat(negative, self.starts, axis=1)

    def auc(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(R,) area under the ROC curve; NaN where a class has no weight."""
        positive, negative = self.steps(weights)
        above = np.cumsum(positive, axis=1)
        above -= 0.5 * positive
        won = np.einsum("rg,rg->r", above, negative)
        return ratio(won, positive.sum(1) * negative.sum(1))

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(R,) average precision; NaN where a class has no weight."""
        positive, negative = self.steps(weights)
        found = np.cumsum(positive, axis=1)
        called = found + np.cumsum(negative, axis=1)
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        value = ratio(np.einsum("rg,rg->r", positive, precision), positive.sum(1))
        return np.where(negative.sum(1) > 0, value, np.nan)


def auc(truth: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the ROC curve of (N,) bool truths and (N,) scores; None with one class only. Definition auc/1."""
    value = float(Ranking.of(truth, score).auc()[0]) if len(truth) else float("nan")
    return value if np.isfinite(value) else None
