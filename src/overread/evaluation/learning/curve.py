"""The score on tuning cases over the number of training patients, its power law, and what twice the patients promise.

Two things vary: which patients tune (the bootstrap by patient, the same draw at every share), and how a training turns out
(other patients in the share, another seed: the spread of repeats). The first alone, or both put together by squares, make
every interval here; see `both`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from overread.core.score import Interval
from overread.evaluation.comparing.compared import Lined
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.intervals.bootstrap import Statistic, bootstrap_interval
from overread.evaluation.learning.power_law import PowerLaws, fit_power_laws
from overread.evaluation.learning.run_statistic import run_statistic
from overread.evaluation.rules import Rules

ALONE = "each share was trained once, and how another training would turn out is not known"
OfMeans = Callable[[np.ndarray], np.ndarray]  # (r, S) mean score of each share -> (r,)


@dataclass(frozen=True)
class Curve:
    """Scores of S shares with R trainings each on the same tuning cases.

    patients  (S,) training patients of each share, ascending
    lined     the tuning cases; contender k is share k, its runs are the repeats
    """

    endpoint: Endpoint
    patients: np.ndarray
    lined: Lined
    rules: Rules

    @property
    def is_higher_better(self) -> bool:
        return self.endpoint.metric.better == "higher"

    @cached_property
    def _statistics(self) -> list[list[Statistic]]:
        lined, patients = self.lined, self.lined.patients
        return [[run_statistic(self.endpoint, rows, lined.fold, patients) for rows in runs] for runs in lined.rows]

    @cached_property
    def scores(self) -> np.ndarray:
        """(S, R) of every training, on all tuning cases."""
        once = np.ones((1, self.lined.patients.count))
        return np.array([[float(run(once)[0]) for run in runs] for runs in self._statistics])

    @cached_property
    def training_spread(self) -> float | None:
        """Standard deviation of one training at the largest share; None where each share was trained once.

        Pooled over the shares with the variance taken as one over the number of patients.
        """
        repeats = self.scores.shape[1]
        if repeats < 2:
            return None
        apart = ((self.scores - self.scores.mean(1, keepdims=True)) ** 2).sum(1) * self.patients / self.patients[-1]
        return float(np.sqrt(apart.sum() / (len(self.patients) * (repeats - 1))))

    @cached_property
    def _other_trainings(self) -> np.ndarray | None:
        """(K, S) mean scores as they might have been with other trainings: normal around those seen, with the spread itself
        as uncertain as its degrees of freedom say."""
        spread = self.training_spread
        if spread is None:
            return None
        shares, repeats = self.scores.shape
        random = np.random.default_rng(self.rules.seed)
        freedom = shares * (repeats - 1)
        drawn = spread * np.sqrt(freedom / random.chisquare(freedom, (self.rules.resamples, 1)))
        error = drawn * np.sqrt(self.patients[-1] / self.patients / repeats)
        return np.asarray(self.scores.mean(1) + error * random.standard_normal((self.rules.resamples, shares)))

    @cached_property
    def _remembered(self) -> dict[int, np.ndarray]:
        return {}

    def _means(self, counts: np.ndarray) -> np.ndarray:
        """(r, P) how often each patient counts -> (r, S); the same draws come again for every interval."""
        key = hash(counts.tobytes())
        if key not in self._remembered:
            means = [np.mean([run(counts) for run in runs], axis=0) for runs in self._statistics]
            self._remembered[key] = np.stack(means, axis=1)
        return self._remembered[key]

    def point(self, share: int) -> Interval:
        """The mean over the trainings of a share, with the interval by patient for these trainings."""
        return self._by_patient(lambda means: means[:, share])

    def _by_patient(self, function: OfMeans) -> Interval:
        undefined = self.endpoint.metric.undefined
        return bootstrap_interval(lambda counts: function(self._means(counts)), self.lined.patients, self.rules, undefined)

    def both(self, function: OfMeans) -> Interval:
        """Something made of the shares' means, with an interval for the patients and for the trainings.

        The two sources are independent; the distances from the estimate to the two ends are put together by squares (MOVER,
        Zou and Donner, Stat Med 2008;27:1693).
        """
        found = self._by_patient(function)
        if found.estimate is None or found.low is None or found.high is None:
            return found
        if self._other_trainings is None:
            return replace(found, low=None, high=None, reason=ALONE)
        values = function(self._other_trainings)
        tail = (1 - self.rules.level) / 2
        low, high = np.quantile(values[np.isfinite(values)], [tail, 1 - tail])
        below = np.hypot(found.estimate - found.low, max(found.estimate - float(low), 0.0))
        above = np.hypot(found.high - found.estimate, max(float(high) - found.estimate, 0.0))
        repeats = self.scores.shape[1]
        method = f"{found.method}, the same draw at every share, and the spread of {repeats} trainings of each, put together "
        method += "by squares (MOVER)"
        return replace(found, low=found.estimate - float(below), high=found.estimate + float(above), method=method)

    def laws(self, means: np.ndarray) -> PowerLaws:
        return fit_power_laws(self.patients.astype(float), 1 - means if self.is_higher_better else means)

    def expected(self, patients: float) -> OfMeans:
        """The score on the fitted curve at so many training patients."""

        def on_the_curve(means: np.ndarray) -> np.ndarray:
            error = self.laws(means).at(patients)
            return 1 - error if self.is_higher_better else error

        return on_the_curve

    def gain(self, start: OfMeans, end: OfMeans) -> OfMeans:
        """How much better the one is than the other, whichever way the score counts."""
        sign = 1.0 if self.is_higher_better else -1.0
        return lambda means: sign * (end(means) - start(means))


def of_share(share: int) -> OfMeans:
    return lambda means: means[:, share]
