"""Answers about time: does a higher risk come earlier, and how do groups of risk fare? Censored patients are kept, not dropped.

time   (N,) from the start to the event, or to when the patient was last seen without it
event  (N,) bool: True where the event was seen, False where the patient was last seen without it (censored)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.metric import Metric, ratio

CONCORDANCE_INDEX = Metric(
    "concordance_index", "Concordance index",
    "share of the pairs of which it is known who had the event first, in which that one had the higher risk; "
    "equal risks count half",
    "higher", synonyms=("Harrell's C", "c index"), undefined="of no pair is it known who had the event first",
)  # fmt: skip
ROWS = 256  # of the table of pairs, held at once


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan and Meier's curve, a step down at each time with an event.

    times, survival     (K,) distinct times of events, and the share still without the event from then on
    low, high           (K,) pointwise interval of the share; NaN where the curve has reached 0
    at_risk, events     (K,) patients under observation just before, and events at that time
    observed            (N,) sorted times of everybody, events or not
    """

    times: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    observed: np.ndarray

    def at(self, time: float) -> tuple[float, float | None, float | None]:
        """Share without the event at a time, with its interval; without one before the first event and at 0."""
        step = int(np.searchsorted(self.times, time, "right")) - 1
        if step < 0:
            return 1.0, None, None
        low, high = float(self.low[step]), float(self.high[step])
        return float(self.survival[step]), *((low, high) if np.isfinite(low) else (None, None))

    def number_at_risk(self, times: Sequence[float]) -> list[int]:
        """Patients still under observation at each time: those whose own time is not before it."""
        return [len(self.observed) - int(np.searchsorted(self.observed, time, "left")) for time in times]

    @property
    def median(self) -> tuple[float | None, float | None, float | None]:
        """Time at which half have had the event, and its interval: where the curve's own limits cross a half.

        None where the curve, or the limit, does not fall so far. Source: Brookmeyer and Crowley, Biometrics 1982;38:29.
        """
        return self._falls(self.survival), self._falls(self.low), self._falls(self.high)

    def _falls(self, share: np.ndarray) -> float | None:
        below = np.flatnonzero(share <= 0.5 + 1e-12)
        return float(self.times[below[0]]) if len(below) else None


def kaplan_meier(time: np.ndarray, event: np.ndarray, patients: Patients, level: float = 0.95) -> SurvivalCurve:
    """The curve with Greenwood's variance, its interval on the log(-log) scale, which stays within 0 and 1.

    Refuses several rows of one patient: they would count as independent.
    Sources: Kaplan and Meier, JASA 1958;53:457; Kalbfleisch and Prentice 1980, section 1.3.
    """
    time, event = _checked(time, event, patients)
    times = np.unique(time[event])
    observed = np.sort(time)
    at_risk = len(observed) - np.searchsorted(observed, times, "left")
    ended = np.sort(time[event])
    events = np.searchsorted(ended, times, "right") - np.searchsorted(ended, times, "left")
    survival = np.cumprod(1 - events / at_risk)
    greenwood = np.cumsum(ratio(events, at_risk * (at_risk - events)))  # NaN from where nobody is left
    log = np.log(survival, out=np.full(len(times), np.nan), where=survival > 0)
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(greenwood) / np.abs(log)
    low, high = survival ** np.exp(half), survival ** np.exp(-half)
    return SurvivalCurve(times, survival, low, high, at_risk, events, observed)


def log_rank(time: np.ndarray, event: np.ndarray, group: np.ndarray, patients: Patients) -> float | None:
    """p of no difference between the curves of the groups; None with one group, or without an event.

    group (N,) numbers or names. Source: Mantel, Cancer Chemother Rep 1966;50:163.
    """
    time, event = _checked(time, event, patients)
    _, number = np.unique(group, return_inverse=True)
    groups = int(number.max(initial=-1)) + 1
    if groups < 2 or not event.any():
        return None
    times = np.unique(time[event])
    at_risk = np.stack([(time[number == g, None] >= times).sum(0) for g in range(groups)]).astype(float)
    events = np.stack([(event[number == g, None] & (time[number == g, None] == times)).sum(0) for g in range(groups)])
    total, ended = at_risk.sum(0), events.sum(0)
    share = at_risk / total
    beyond = (events - share * ended).sum(1)[:-1]
    scale = ended * (total - ended) / np.maximum(total - 1, 1)
    variance = np.einsum("gt,ht,t->gh", -share, share, scale) + np.diag((share * scale).sum(1))
    variance = variance[:-1, :-1]
    if np.linalg.matrix_rank(variance) < groups - 1:
        return None
    return float(stats.chi2.sf(beyond @ np.linalg.solve(variance, beyond), groups - 1))


def concordance_interval(risk: np.ndarray, time: np.ndarray, event: np.ndarray, patients: Patients, rules: Rules) -> Interval:
    """Harrell's concordance index (JAMA 1982;247:2543) with the bootstrap by patient.

    risk  (N,) higher is an earlier event

    Of a pair it is known who was first where the shorter time ends with an event; at equal times, where one of the two
    was last seen without it. Two events at one time say nothing.
    """
    won, known = _pairs(risk, *_checked_shapes(time, event), patients)

    def statistic(counts: np.ndarray) -> np.ndarray:
        return ratio(((counts @ won) * counts).sum(1), ((counts @ known) * counts).sum(1))

    return bootstrap_interval(statistic, patients, rules, CONCORDANCE_INDEX.undefined)


def concordance(risk: np.ndarray, time: np.ndarray, event: np.ndarray) -> float | None:
    """Harrell's concordance index; None where no pair can be told."""
    won, known = _pairs(risk, *_checked_shapes(time, event), Patients.of(np.arange(len(risk))))
    return float(won.sum() / known.sum()) if known.sum() else None


def _pairs(risk: np.ndarray, time: np.ndarray, event: np.ndarray, patients: Patients) -> tuple[np.ndarray, np.ndarray]:
    """(P, P) pairs won and pairs known, between the cases of every two patients; the first of a pair had the event first."""
    risk = np.asarray(risk, float)
    won, known = np.zeros((2, patients.count, patients.count))
    for start in range(0, len(risk), ROWS):
        rows = slice(start, start + ROWS)
        later = time[None] > time[rows, None]
        later |= (time[None] == time[rows, None]) & ~event[None]
        first = later & event[rows, None]
        points = first * (np.sign(risk[rows, None] - risk[None]) + 1) / 2
        place = (patients.number[rows, None], patients.number[None])
        np.add.at(won, place, points)
        np.add.at(known, place, first)
    return won, known


def risk_groups(risk: np.ndarray, edges: Sequence[float] | np.ndarray) -> np.ndarray:
    """(N,) group of each risk: 0 up to the first edge, 1 above it, and so on. Edges are best chosen on training cases."""
    return np.searchsorted(np.asarray(edges, float), np.asarray(risk, float), "left")


def _checked(time: np.ndarray, event: np.ndarray, patients: Patients) -> tuple[np.ndarray, np.ndarray]:
    if patients.are_clustered:
        raise OverreadError(
            f"There are {patients.cases} rows of {patients.count} patients; a survival curve counts each patient once.",
            "give one row per patient: the time to the first event, or to when the patient was last seen",
        )
    return _checked_shapes(time, event)


def _checked_shapes(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    time, event = np.asarray(time, float), np.asarray(event, bool)
    if not np.isfinite(time).all() or (time < 0).any():
        wrong = time[~(np.isfinite(time) & (time >= 0))][0]
        raise OverreadError(f"A time is {wrong:g}; times from the start are finite and not negative.", "correct the times")
    return time, event
