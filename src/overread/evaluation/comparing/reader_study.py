"""Readers against the truth: each alone, their mean, and the difference to a model or to reading with its help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.comparing import footing, mrmc
from overread.evaluation.comparing.difference import Test, difference_interval
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import FEW, Difference, few_of_a_class
from overread.evaluation.comparing.placements import Areas, areas, shares
from overread.evaluation.intervals.patients import Patients
from overread.metrics.decided import SENSITIVITY, SPECIFICITY
from overread.metrics.metric import Metric
from overread.metrics.ranking import AUC
from overread.metrics.readers import kappa

KAPPA = kappa(2, 0)
METRICS = (AUC, SENSITIVITY, SPECIFICITY, KAPPA)


@dataclass(frozen=True)
class Reading:
    """One condition: what R readers, or a model, said of N cases.

    ratings  (R, N) higher for more suspicious; None where there are none
    calls    (R, N) 0 or 1; None where there are none
    """

    title: str
    ratings: np.ndarray | None
    calls: np.ndarray | None

    def of(self, metric: Metric) -> np.ndarray | None:
        return self.ratings if metric is AUC else self.calls


@dataclass(frozen=True)
class StudyRow:
    """One score: what each reader (and the model) reached under each title of `columns`, the means, and the difference."""

    metric: Metric
    columns: tuple[str, ...]
    each: dict[str, list[float]]
    means: dict[str, Interval]
    difference: Difference

    def as_dict(self) -> dict[str, Any]:
        return {
            "metric": self.metric.key,
            "name": self.metric.name,
            "columns": list(self.columns),
            "each": self.each,
            "means": {title: interval.as_dict() for title, interval in self.means.items()},
        }


@dataclass(frozen=True)
class Study:
    """Readers of the same cases.

    reads  the readers alone; and the same readers with the model's help where they read so
    model  the model by itself, one row; None where it is not compared
    """

    readers: tuple[str, ...]
    truth: np.ndarray
    patients: Patients
    reads: tuple[Reading, ...]
    model: Reading | None
    positive: str
    level: float = 0.95

    def rows(self, wanted: Sequence[str] = ()) -> list[StudyRow]:
        """A row for each score that the reads allow, or for those wanted."""
        metrics = [m for m in METRICS if not wanted or m.key in wanted]
        unknown = [name for name in wanted if name not in [m.key for m in METRICS]]
        if unknown:
            raise OverreadError(
                f"'{unknown[0]}' is no score of readers here.", f"say {', '.join(metric.key for metric in METRICS)}"
            )
        return [row for metric in metrics if (row := self._row(metric)) is not None]

    def _row(self, metric: Metric) -> StudyRow | None:
        given = [r.of(metric) for r in (*self.reads, *([self.model] if self.model else []))]
        if any(values is None for values in given):
            return None
        stacked = np.concatenate([values for values in given if values is not None])
        if metric is KAPPA:
            return self._agreement(stacked) if self.model is not None and len(self.reads) == 1 else None
        found, cases, patients = self._scores(metric, stacked)
        count = len(self.readers)
        each = {name: [float(v) for v in found.values[k::count][: len(self.reads)]] for k, name in enumerate(self.readers)}
        if found.covariance is None:
            raise OverreadError(
                f"{metric.name} of these readers rests on {found.positives} positive and {found.negatives} negative patients; "
                "two of each are the least.",
                "give more cases",
            )
        means = {
            reading.title: _within(self._interval(self._mean(found, k), cases, patients)) for k, reading in enumerate(self.reads)
        }
        if self.model is not None and len(self.reads) == 1:
            each[self.model.title] = [float(found.values[-1])]
            test = mrmc.model_less_readers(found.values[:count], float(found.values[-1]), found.covariance)
            names = self.reads[0].title, self.model.title
            values = float(found.values[:count].mean()), float(found.values[-1])
        else:
            parts = mrmc.components(found.covariance.reshape(2, count, 2, count))
            test = mrmc.two_conditions(found.values.reshape(2, count), parts)
            names = self.reads[0].title, self.reads[1].title
            values = float(found.values[:count].mean()), float(found.values[count:].mean())
        columns = tuple(reading.title for reading in self.reads)
        remark = few_of_a_class(found.positives, found.negatives) if metric is AUC else _few(patients)
        return StudyRow(metric, columns, each, means, self._difference(metric, names, values, test, cases, patients, remark))

    def _scores(self, metric: Metric, stacked: np.ndarray) -> tuple[Areas, int, int]:
        """The scores of all readers in all conditions, with their covariance; cases and patients they rest on."""
        if metric is AUC:
            found = areas(self.truth, stacked, self.patients)
            if found is None:
                raise OverreadError("All cases are of one class; there is nothing to tell apart.", "look at the truth")
            return found, self.patients.cases, self.patients.count
        which = self.truth if metric is SENSITIVITY else ~self.truth
        patients = self.patients.select(which)
        hits = stacked[:, which] if metric is SENSITIVITY else 1 - stacked[:, which]
        return shares(hits, patients), patients.cases, patients.count

    def _mean(self, found: Areas, condition: int) -> Test:
        assert found.covariance is not None
        count = len(self.readers)
        own = slice(condition * count, (condition + 1) * count)
        return mrmc.one_condition(found.values[own], found.covariance[own, own])

    def _agreement(self, calls: np.ndarray) -> StudyRow | None:
        assert self.model is not None
        count = len(self.readers)
        found = footing.model_less_readers(calls[:count], calls[count], self.patients)
        if found is None:
            return None
        reference, value, test = found
        once = np.ones((1, self.patients.count))
        each = {}
        for k, name in enumerate(self.readers):
            others = np.delete(calls[:count], k, axis=0)
            with_others = float(footing.kappas(calls[k], others, self.patients)(once).mean())
            each[name] = [with_others, float(footing.kappas(calls[k], calls[count:], self.patients)(once)[0, 0])]
        names = "agreement among readers", f"agreement with {self.model.title}"
        cases, patients = self.patients.cases, self.patients.count
        columns = "with the other readers", f"with {self.model.title}"
        return StudyRow(KAPPA, columns, each, {}, self._difference(KAPPA, names, (reference, value), test, cases, patients))

    def _difference(
        self,
        metric: Metric,
        names: tuple[str, str],
        values: tuple[float, float],
        test: Test,
        cases: int,
        patients: int,
        remark: str = "",
    ) -> Difference:
        question = Question("classification", ("other", self.positive), positive=self.positive)
        interval = self._interval(test, cases, patients)
        if metric is not KAPPA:
            interval = _within(interval, -1.0)
        return Difference(Endpoint(metric, self.positive, question), names[0], names[1], values, test, interval, remark)

    def _interval(self, test: Test, cases: int, patients: int) -> Interval:
        return difference_interval(test, cases, patients, self.level)


def _few(patients: int) -> str:
    return "" if patients >= FEW else f"Only {patients} patients count: the interval is a rough one."


def _within(interval: Interval, least: float = 0.0) -> Interval:
    """An area or a share lies between 0 and 1, and so does its interval; a difference of two from -1."""
    if interval.low is None or interval.high is None:
        return interval
    return replace(interval, low=max(least, interval.low), high=min(1.0, interval.high))
