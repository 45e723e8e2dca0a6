"""Two ways to train on the same shares of the same patients: how much better is the second, and how sure is that?

At every share the trainings are pairs: same patients, seed, budget and tuning cases. Two things vary, as on one curve:
which patients tune (a bootstrap by patient, in which both ways get the same draw), and how a training turns out (the spread of
the pairs' differences). They are put together by squares, as in `overread.evaluation.learning.curve`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.comparing.compared import Lined
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.intervals.bootstrap import Statistic, bootstrap_interval
from overread.evaluation.learning.curve import ALONE
from overread.evaluation.learning.run_statistic import run_statistic
from overread.evaluation.rules import Rules


@dataclass(frozen=True)
class Against:
    """S shares with R pairs of trainings each.

    patients       (S,) training patients of each share, ascending
    first, second  the same tuning cases in one order; contender k is share k, its runs are the repeats
    """

    endpoint: Endpoint
    patients: np.ndarray
    first: Lined
    second: Lined
    rules: Rules

    @property
    def sign(self) -> float:
        """Of a difference that is better."""
        return 1.0 if self.endpoint.metric.better == "higher" else -1.0

    @cached_property
    def _statistics(self) -> list[list[list[Statistic]]]:
        people = self.first.patients
        return [
            [[run_statistic(self.endpoint, rows, side.fold, people) for rows in runs] for runs in side.rows]
            for side in (self.first, self.second)
        ]

    @cached_property
    def pairs(self) -> np.ndarray:
        """(S, R) by how much the second training of each pair is better, on all tuning cases."""
        once = np.ones((1, self.first.patients.count))
        scores = np.array([[[float(run(once)[0]) for run in runs] for runs in side] for side in self._statistics])
        return np.asarray(self.sign * (scores[1] - scores[0]))

    @cached_property
    def spread(self) -> float | None:
        """Standard deviation of a pair's difference at the largest share; None where each share has one pair.

        Pooled over the shares with the variance taken as one over the number of patients, as on the curve.
        """
        shares, repeats = self.pairs.shape
        if repeats < 2:
            return None
        apart = ((self.pairs - self.pairs.mean(1, keepdims=True)) ** 2).sum(1) * self.patients / self.patients[-1]
        return float(np.sqrt(apart.sum() / (shares * (repeats - 1))))

    def gain(self, share: int, level: float | None = None) -> Interval:
        """By how much the second way is better at a share; for these trainings alone where there is one pair."""
        rules = replace(self.rules, level=level or self.rules.level)
        found = bootstrap_interval(
            lambda counts: self._gains(counts, share), self.first.patients, rules, self.endpoint.metric.undefined
        )
        if found.estimate is None or found.low is None or found.high is None:
            return found
        if self.spread is None:
            return replace(found, reason=ALONE)
        shares, repeats = self.pairs.shape
        error = self.spread * np.sqrt(self.patients[-1] / self.patients[share] / repeats)
        reach = float(stats.t.ppf((1 + rules.level) / 2, shares * (repeats - 1)) * error)
        low = found.estimate - float(np.hypot(found.estimate - found.low, reach))
        high = found.estimate + float(np.hypot(found.high - found.estimate, reach))
        method = f"{found.method}, the same draw for both, and the spread of {repeats} pairs of trainings, joined by squares"
        return replace(found, low=low, high=high, method=method)

    def _gains(self, counts: np.ndarray, share: int) -> np.ndarray:
        first, second = (np.mean([run(counts) for run in side[share]], axis=0) for side in self._statistics)
        return np.asarray(self.sign * (second - first))


@dataclass(frozen=True)
class Judged:
    """What the second way brings.

    code    "helps", "harms", "both" (at some shares the one, at some the other), "open" (the points do not tell)
    words   for people
    gains   one interval per share, each standing for itself
    """

    code: str
    words: str
    gains: tuple[Interval, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge_against(against: Against, name: str) -> Judged:
    """Say at which shares the second way is better or worse, at a level that allows for having looked at all of them.

    Each share is judged at 1 - (1 - level) / S (Bonferroni), so that one in twenty such pages errs, not one in twenty shares.
    """
    count = len(against.patients)
    gains = tuple(against.gain(share) for share in range(count))
    strict = [against.gain(share, 1 - (1 - against.rules.level) / count) for share in range(count)]
    better = [k for k, found in enumerate(strict) if found.low is not None and found.low > 0]
    worse = [k for k, found in enumerate(strict) if found.high is not None and found.high < 0]
    code = "both" if better and worse else "helps" if better else "harms" if worse else "open"
    words = [_named(against, gains, better, name, "better"), _named(against, gains, worse, name, "worse")]
    if code == "open":
        words = [_nothing(against, gains, name)]
    if against.spread is None:
        words.append("Each share was trained once each way: how other trainings would turn out is not in the intervals.")
    return Judged(code, " ".join(filter(None, words)), gains)


def _named(against: Against, gains: tuple[Interval, ...], which: list[int], name: str, word: str) -> str:
    if not which:
        return ""
    told = []
    for k in which:
        low, high = gains[k].low, gains[k].high
        assert low is not None
        assert high is not None
        ends = (low, high) if word == "better" else (-high, -low)
        told.append(f"{against.patients[k]:g} ({ends[0]:.3f} to {ends[1]:.3f})")
    shares = "all shares" if len(which) == len(gains) else f"{len(which)} of {len(gains)} shares"
    return f"{name} is {word} at {shares}: with {', '.join(told)} training patients."


def _nothing(against: Against, gains: tuple[Interval, ...], name: str) -> str:
    known = [(found, n) for found, n in zip(gains, against.patients, strict=True) if found.estimate is not None]
    if not known:
        return f"Whether {name} helps cannot be told: the score is not defined."
    found, patients = max(known, key=lambda pair: abs(pair[0].estimate or 0.0))
    words = f"{name} neither helps nor harms beyond chance at any share; the largest difference is {found.estimate:+.3f} with "
    words += f"{patients:g} training patients"
    reach = max((f.high for f, _ in known if f.high is not None), default=None)
    return f"{words}." if reach is None else f"{words}, and gains of up to {reach:.3f} are not ruled out."
