"""Cases put in the order of how unsure their answers are: what is the error of the surest, and does it rise along the order?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overread.metrics.metric import ratio


@dataclass(frozen=True)
class Surest:
    """Cases sorted once by rising uncertainty, so that thousands of reweightings cost one pass each.

    order   (N,) case numbers, the surest first
    error   (N,) in that order; 1 and 0 for wrong and right answers
    starts  first place of each group of equal uncertainty; its cases are answered together
    """

    order: np.ndarray
    error: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, error: np.ndarray, unsure: np.ndarray) -> Surest:
        order = np.argsort(unsure, kind="stable")
        return cls(order, np.asarray(error, dtype=float)[order], _starts(unsure[order]))

    def by_unit(self, unit: np.ndarray) -> Surest:
        """The same with (R, U) weights of units, such as patients, in place of (R, N) weights of cases; unit (N,) from 0."""
        return replace(self, order=unit[self.order])

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Coverage (share of cases answered) and risk (their mean error) at every group of cases."""
        answered, risk = self._steps(np.ones((1, len(self.order))))
        return np.cumsum(answered[0]) / len(self.order), risk[0]

    def area(self, weights: np.ndarray) -> np.ndarray:
        """(R,) mean of the risk over all shares of cases that could be answered; of wrong and right answers it is `aurc`.

        weights  (R, U) of units
        Source: Geifman and El-Yaniv, NeurIPS 2017.
        """
        answered, risk = self._steps(weights[:, self.order])
        return ratio((risk * answered).sum(1), answered.sum(1))

    def _steps(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answered = np.add.reduceat(weights, self.starts, axis=1)
        erred = np.add.reduceat(weights * self.error, self.starts, axis=1)
        total = np.cumsum(answered, axis=1)
        return answered, np.divide(np.cumsum(erred, axis=1), total, out=np.zeros_like(total), where=total > 0)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of two columns of N cases, under weights that are whole numbers.

    orders  for each column: (N,) cases by rising value, first places of equal values, and (N,) group of each case
    unit    (N,) whose weight counts for a case
    """

    orders: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    unit: np.ndarray

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray, unit: np.ndarray) -> RankCorrelation:
        return cls(tuple(_ordered(column) for column in (first, second)), unit)

    def value(self, weights: np.ndarray) -> np.ndarray:
        """(R, U) weights of units -> (R,); NaN where a column is level. Cases drawn twice are cases that tie."""
        own = weights[:, self.unit]
        first, second = (self._ranks(own, *order) for order in self.orders)
        total = own.sum(1, keepdims=True)
        first = first - ratio((own * first).sum(1, keepdims=True), total)
        second = second - ratio((own * second).sum(1, keepdims=True), total)
        both, one, other = ((own * a * b).sum(1) for a, b in ((first, second), (first, first), (second, second)))
        return ratio(both, np.sqrt(one * other))

    @staticmethod
    def _ranks(weights: np.ndarray, order: np.ndarray, starts: np.ndarray, group: np.ndarray) -> np.ndarray:
        """(R, N) mean ranks."""
        held = np.add.reduceat(weights[:, order], starts, axis=1)
        return (np.cumsum(held, axis=1) - held + (held + 1) / 2)[:, group]


def _starts(ranked: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])


def _ordered(column: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(column, kind="stable")
    return order, _starts(column[order]), np.unique(column, return_inverse=True)[1].reshape(-1)
