"""What a criterion is: numbers per case, one of them judged by a bound that was set beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import FEWEST_PATIENTS, bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.explanation.methods.method import Method
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed
from overread.metrics.metric import mean_from_sums, mean_terms

PASSED, FAILED, NOT_TRIED = "passed", "failed", "not tried"

NO_ROOM = 1e-6  # of likeness, between maps of different patients and the same map

Numbers = list[float | None]  # one per case, None where not defined
Tell = Callable[[float], None]  # how large a share of the work has been done since the last word


@dataclass(frozen=True)
class Measured:
    """What a criterion found of one method.

    judged  per case, the number whose mean the bound is about
    chance  per case, where the number is a likeness of maps: that of maps of different patients; the bound is then about the
            share of likeness that is kept, see `kept_from_sums`
    beside  further numbers per case, shown and not judged
    facts   plain values for the page
    why     why numbers are missing, where they are
    """

    judged: Numbers
    chance: Numbers | None = None
    beside: Mapping[str, Numbers] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bound:
    """Passed where the whole interval of the mean lies on one side.

    side  "above" or "below"
    """

    side: str
    limit: float

    def holds(self, value: float) -> bool:
        return value > self.limit if self.side == "above" else value < self.limit


class Criterion(Protocol):
    """One demand on a method.

    key           in records: "weight_randomisation"
    title         as it is shown
    what          what the judged number is
    rule, reason  when a method passes, and why the bound lies there
    version       rises whenever the numbers would change for the same maps
    is_essential  a trial without it is incomplete
    """

    key: ClassVar[str]
    title: ClassVar[str]
    what: ClassVar[str]
    rule: ClassVar[str]
    reason: ClassVar[str]
    bound: ClassVar[Bound]
    version: ClassVar[int]
    is_essential: ClassVar[bool]

    @property
    def identity(self) -> str:
        """What the numbers depend on beside model, cases and method: other models, drawn truths."""
        ...

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        """Why it cannot be tried, in words; None where it can."""
        ...

    def measure(self, maps: Maps, tell: Tell) -> Measured: ...


def judge(criterion: Criterion, measured: Measured, posed: Sequence[Posed], rules: Rules) -> dict[str, Any]:
    """The row of the record: the mean over cases, its interval by patient, the verdict, and what stands beside."""
    interval = mean_of(measured.judged, posed, rules, measured.why, measured.chance)
    verdict, why = verdict_of(criterion.bound, interval)
    beside = {name: mean_of(numbers, posed, rules, measured.why).as_dict() for name, numbers in measured.beside.items()}
    return {**_head(criterion), "verdict": verdict, "why": why, "interval": interval.as_dict(), "beside": beside,
            "facts": dict(measured.facts)}  # fmt: skip


def untried(criterion: Criterion, why: str) -> dict[str, Any]:
    return {**_head(criterion), "verdict": NOT_TRIED, "why": why, "interval": None, "beside": {}, "facts": {}}


def verdict_of(bound: Bound, interval: Interval) -> tuple[str, str]:
    """What the interval says, and why in words where that is not plain.

    The method has to show that it meets the bound: an interval that reaches across it is a failure, except where there are too
    few patients for any interval.
    """
    if interval.estimate is None:
        return NOT_TRIED, interval.reason
    if interval.low is None or interval.high is None:
        if interval.n_patients < FEWEST_PATIENTS:
            return NOT_TRIED, interval.reason
        return (PASSED if bound.holds(interval.estimate) else FAILED), interval.reason  # alike in every patient
    near, far = (interval.low, interval.high) if bound.side == "above" else (interval.high, interval.low)
    if bound.holds(near):
        return PASSED, ""
    return FAILED, "the interval reaches across the bound: not shown" if bound.holds(far) else ""


def mean_of(numbers: Numbers, posed: Sequence[Posed], rules: Rules, why: str = "", chance: Numbers | None = None) -> Interval:
    """The mean over the cases for which there is a number, resampled by patient; with `chance` the share that is kept."""
    values = _array(numbers)
    known = np.isfinite(values) if chance is None else np.isfinite(values) & np.isfinite(_array(chance))
    patients = Patients.of([p.patient_id for p, k in zip(posed, known, strict=True) if k])
    terms = mean_terms(values[known])
    statistic = of_sums(patients, terms, mean_from_sums)
    if chance is not None:
        statistic = of_sums(patients, np.column_stack([terms, _array(chance)[known]]), kept_from_sums)
    return bootstrap_interval(statistic, patients, rules, why or "not defined for any of these cases")


def kept_from_sums(sums: np.ndarray) -> np.ndarray:
    """(..., 3) sums of likeness, of cases, of likeness by chance -> the share of likeness that is kept.

    1 for the same map, 0 for maps no more alike than those of different patients. Where all patients have one and the same map
    nothing can be lost: 1.
    """
    like, count, chance = sums[..., 0], sums[..., 1], sums[..., 2]
    room = count - chance
    has_room = room > NO_ROOM * np.maximum(count, 1)
    return np.where(count > 0, np.divide(like - chance, room, out=np.ones_like(room), where=has_room), np.nan)


def _array(numbers: Numbers) -> np.ndarray:
    return np.array([np.nan if n is None else n for n in numbers], dtype=float)


def _head(criterion: Criterion) -> dict[str, Any]:
    return {
        "criterion": criterion.key,
        "title": criterion.title,
        "what": criterion.what,
        "rule": criterion.rule,
        "reason": criterion.reason,
        "bound": asdict(criterion.bound),
        "is_essential": criterion.is_essential,
    }
