"""Metrics of order: does the score rank diseased cases above the others? No threshold is involved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

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
    depends_on_prevalence=True,
)  # fmt: skip
MOST_FALSE_ALARMS = 0.1  # false positive rate up to which the partial area goes; part of the definition partial_auc/1
PARTIAL_AUC = Metric(
    "partial_auc", "Partial area under the ROC curve",
    f"area for specificities from {1 - MOST_FALSE_ALARMS:g} to 1, standardised (McClish): 0.5 is chance, 1 is perfect",
    "higher", "bootstrap", synonyms=("pAUC",), undefined="cases of one class only",
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

    def by_unit(self, unit: np.ndarray) -> Ranking:
        """The same with (R, U) weights of units, such as patients, in place of (R, N) weights of cases; unit (N,) from 0."""
        return replace(self, order=unit[self.order])

    @cached_property
    def _beaten(self) -> tuple[np.ndarray, np.ndarray]:
        """For each positive, how many negatives score higher, and how many at least as high."""
        negatives = np.r_[0, np.cumsum(~self.truth)]
        group = np.searchsorted(self.starts, np.flatnonzero(self.truth), "right") - 1
        ends = np.r_[self.starts[1:], len(self.truth)]
        return negatives[self.starts[group]], negatives[ends[group]]

    @cached_property
    def _called(self) -> tuple[np.ndarray, np.ndarray]:
        """For each positive, how many positives score at least as high, and the last case that does."""
        group = np.searchsorted(self.starts, np.flatnonzero(self.truth), "right") - 1
        last = np.r_[self.starts[1:], len(self.truth)][group] - 1
        return np.cumsum(self.truth)[last], last

    @property
    def _once(self) -> np.ndarray:
        return np.ones((1, int(self.order.max(initial=-1)) + 1))

    def auc(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(R,) area under the ROC curve; NaN where a class has no weight."""
        weights = self._once if weights is None else _whole(weights)
        positive, negative = (np.take(weights, self.order[own], axis=1) for own in (self.truth, ~self.truth))
        reached = np.zeros((len(weights), negative.shape[1] + 1), weights.dtype)
        np.cumsum(negative, axis=1, out=reached[:, 1:])
        higher, as_high = self._beaten
        above = np.take(reached, higher, axis=1)
        if not np.array_equal(higher, as_high):
            above = 0.5 * (above + np.take(reached, as_high, axis=1))
        pairs = positive.sum(1, dtype=float) * reached[:, -1]
        return ratio(pairs - np.einsum("rp,rp->r", positive, above, dtype=float), pairs)

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(R,) average precision; NaN where a class has no weight."""
        weights = self._once if weights is None else _whole(weights)
        positive = np.take(weights, self.order[self.truth], axis=1)
        met = np.zeros((len(weights), positive.shape[1] + 1), weights.dtype)
        np.cumsum(positive, axis=1, out=met[:, 1:])
        reached = np.cumsum(np.take(weights, self.order, axis=1), axis=1)
        found_last, called_last = self._called
        found, called = np.take(met, found_last, axis=1), np.take(reached, called_last, axis=1)
        precision = np.divide(found, called, out=np.zeros(found.shape), where=called > 0)
        every, total = met[:, -1], reached[:, -1]
        return np.where(total > every, ratio(np.einsum("rp,rp->r", positive, precision), every), np.nan)

    def _head(self, share: float) -> Ranking:
        """The highest scores, down to where they hold that share of the negatives."""
        negatives = np.cumsum(~self.truth)
        end = int(np.searchsorted(negatives, share * negatives[-1])) + 1
        groups = int(np.searchsorted(self.starts, end))  # equal scores stay together
        stop = int(self.starts[groups]) if groups < len(self.starts) else len(self.order)
        return Ranking(self.order[:stop], self.truth[:stop], self.starts[:groups])

    def partial_auc(self, weights: np.ndarray | None = None, most: float = MOST_FALSE_ALARMS) -> np.ndarray:
        """(R,) area under the ROC curve up to the false positive rate `most`, standardised; NaN where a class has no weight.

        Source: McClish, Med Decis Making 1989;9:190.
        """
        weights = self._once if weights is None else weights
        totals = [weights @ np.bincount(self.order[own], minlength=weights.shape[1]) for own in (self.truth, ~self.truth)]
        head = self._head(2 * most)
        up, across = (_rising(steps, total) for steps, total in zip(head.steps(weights), totals, strict=True))
        if (across[:, -1] < most).any():  # some weights put the bound beyond that
            up, across = (_rising(steps, total) for steps, total in zip(self.steps(weights), totals, strict=True))
        left, right = np.minimum(across[:, :-1], most), np.minimum(across[:, 1:], most)
        width = across[:, 1:] - across[:, :-1]
        reached = np.divide(right - across[:, :-1], width, out=np.ones_like(width), where=width > 0)
        height = up[:, :-1] + 0.5 * np.clip(reached, 0, 1) * (up[:, 1:] - up[:, :-1])
        area = ((right - left) * height).sum(1)
        chance = most * most / 2
        return 0.5 * (1 + (area - chance) / (most - chance))


def _whole(weights: np.ndarray) -> np.ndarray:
    """(R, N) weights that are small whole numbers as int32, which are gathered and added up in a third of the time."""
    if not np.abs(weights).max(initial=0) * weights.shape[1] < 2**31:  # too large, or NaN
        return weights
    whole = weights.astype(np.int32)
    return whole if np.array_equal(whole, weights) else weights


def _rising(steps: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(R, groups) weights of (R,) in all -> (R, groups + 1) shares reached so far, from 0; NaN where there is no weight."""
    return ratio(np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], 1), total[:, None])


def auc(truth: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the ROC curve of (N,) bool truths and (N,) scores; None with one class only. Definition auc/1."""
    value = float(Ranking.of(truth, score).auc()[0]) if len(truth) else float("nan")
    return value if np.isfinite(value) else None
