"""Two ways to train on the same shares of the same patients: how much better is the second, and how sure is that?

At every share the trainings are pairs: same patients, seed, budget and tuning cases. Two things vary, as on one curve:
which patients tune (a bootstrap by patient, in which both ways get the same draw), and how a training turns out (the spread of
the pairs' differences). They are put together by squares, see `overread.evaluation.learning.trainings`.

Where both ways are one training, as at the full share of a way that learns from the rest, a pair differs by nothing. That says
nothing of how trainings turn out, and nothing is asked there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from overread.core.score import Interval
from overread.evaluation.comparing.compared import Lined
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.intervals.bootstrap import Statistic, bootstrap_interval
from overread.evaluation.learning.alike import are_alike
from overread.evaluation.learning.curve import ALONE
from overread.evaluation.learning.run_statistic import run_statistic
from overread.evaluation.learning.trainings import by_squares, reach
from overread.evaluation.rules import Rules

ONE_TRAINING = "both ways are one and the same training at this share"


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
    def asked(self) -> tuple[int, ...]:
        """The shares at which the two ways differ: where every pair is one training done twice, there is nothing to ask."""
        both = zip(self.first.rows, self.second.rows, strict=True)
        alike = [all(are_alike(one, two) for one, two in zip(a, b, strict=True)) for a, b in both]
        return tuple(share for share, is_one in enumerate(alike) if not is_one)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the spread."""
        return len(self.asked) * (self.pairs.shape[1] - 1)

    @cached_property
    def spread(self) -> float | None:
        """Standard deviation of a pair's difference at the largest share; None where each share has one pair.

        Pooled over the shares that are asked, with the variance taken as one over the number of patients, as on the curve.
        """
        if self.freedom < 1:
            return None
        apart = ((self.pairs - self.pairs.mean(1, keepdims=True)) ** 2).sum(1) * self.patients / self.patients[-1]
        return float(np.sqrt(apart[list(self.asked)].sum() / self.freedom))

    def gain(self, share: int, level: float | None = None) -> Interval:
        """By how much the second way is better at a share; for these trainings alone where there is one pair.

        No interval where both ways are one training.
        """
        rules = replace(self.rules, level=level or self.rules.level)
        found = bootstrap_interval(
            lambda counts: self._gains(counts, share), self.first.patients, rules, self.endpoint.metric.undefined
        )
        if found.estimate is not None and share not in self.asked:
            return replace(found, low=None, high=None, reason=ONE_TRAINING)
        if found.estimate is None or found.low is None or found.high is None:
            return found
        if self.spread is None:
            return replace(found, reason=ALONE)
        repeats = self.pairs.shape[1]
        error = self.spread * np.sqrt(self.patients[-1] / self.patients[share] / repeats)
        further = reach(float(error), self.freedom, rules.level)
        low, high = by_squares(found.estimate, (found.low, found.high), further)
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

    Each of the S shares that are asked is judged at 1 - (1 - level) / S (Bonferroni), so that one in twenty such pages errs, not
    one in twenty shares.
    """
    gains = tuple(against.gain(share) for share in range(len(against.patients)))
    strict = {share: against.gain(share, 1 - (1 - against.rules.level) / len(against.asked)) for share in against.asked}
    better = [k for k, found in strict.items() if found.low is not None and found.low > 0]
    worse = [k for k, found in strict.items() if found.high is not None and found.high < 0]
    code = "both" if better and worse else "helps" if better else "harms" if worse else "open"
    words = [_named(against, gains, better, name, "better"), _named(against, gains, worse, name, "worse")]
    if code == "open":
        words = [_nothing(against, gains, name)]
    words.append(_left_out(against))
    if against.pairs.shape[1] < 2:
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
    count = len(against.asked)
    other = " other" if count < len(gains) else ""
    shares = f"all{other} shares" if len(which) == count else f"{len(which)} of {count}{other} shares"
    return f"{name} is {word} at {shares}: with {', '.join(told)} training patients."


def _nothing(against: Against, gains: tuple[Interval, ...], name: str) -> str:
    if not against.asked:
        return f"Whether {name} helps cannot be told."
    known = [(gains[k], against.patients[k]) for k in against.asked if gains[k].estimate is not None]
    if not known:
        return f"Whether {name} helps cannot be told: the score is not defined."
    found, patients = max(known, key=lambda pair: abs(pair[0].estimate or 0.0))
    words = f"{name} neither helps nor harms beyond chance at any share; the largest difference is {found.estimate:+.3f} with "
    words += f"{patients:g} training patients"
    reach = max((f.high for f, _ in known if f.high is not None), default=None)
    return f"{words}." if reach is None else f"{words}, and gains of up to {reach:.3f} are not ruled out."


def _left_out(against: Against) -> str:
    """A note on the shares where nothing was asked; "" where there are none."""
    left = [f"{n:g}" for k, n in enumerate(against.patients) if k not in against.asked]
    if not left:
        return ""
    return (
        f"With {', '.join(left)} training patients both ways are one and the same training: that tells nothing of them, and is "
        "left out of the spread of trainings and of the shares that are judged."
    )
