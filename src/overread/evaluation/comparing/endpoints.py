"""What can be compared: an endpoint as numbers of cases, as a ranking of cases, or as sums over cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.answered import Answered
from overread.evaluation.comparing.compared import Row, as_arrays
from overread.evaluation.comparing.jackknife import Statistic
from overread.evaluation.intervals.areas import RankMetric
from overread.evaluation.objects.evaluate import statistic as object_statistic
from overread.evaluation.objects.from_rows import case_of_row
from overread.evaluation.objects.statistics import mean_statistic
from overread.evaluation.scored import spread
from overread.metrics import agreement, decided
from overread.metrics.metric import Metric
from overread.metrics.objects.counts import COUNTED
from overread.metrics.objects.panoptic import PANOPTIC
from overread.metrics.pictures.rows import GAINS, SCORES
from overread.metrics.ranking import Ranking
from overread.metrics.table import PER_CASE, PRESENCE_SENSITIVITY, PRESENCE_SPECIFICITY, metrics_for, resolve_endpoint

HITS = ("sensitivity", "specificity", "accuracy", PRESENCE_SENSITIVITY.key, PRESENCE_SPECIFICITY.key)
MEANS = (*HITS, "brier", "brier_multiclass", "mae", *(metric.key for metric in (*PER_CASE, *SCORES, *GAINS)))
SUMS = ("ppv", "npv", "f1", "balanced_accuracy", "mcc", "rmse", "r2", "concordance")
RANKED: dict[str, RankMetric] = {"auc": Ranking.auc, "average_precision": Ranking.average_precision}
AT_THRESHOLDS = (*HITS, *(metric.key for metric in (*COUNTED, *PANOPTIC)))  # depend on the frozen threshold of each
COMPARABLE = (*MEANS, *SUMS, *RANKED)


@dataclass(frozen=True)
class Endpoint:
    """A metric of a subject: a class, structure or quantity; "mean" over several; "all" for the answer as a whole."""

    metric: Metric
    subject: str
    question: Question

    @classmethod
    def of(cls, question: Question, name: str) -> Endpoint:
        metric, subject = resolve_endpoint(question, name)
        if metric.key not in COMPARABLE and not question.is_of_objects:
            known = sorted({m.key for metrics in metrics_for(question).values() for m in metrics if m.key in COMPARABLE})
            raise OverreadError(
                f"{metric.name} has no paired test here: its own uncertainty is not that of a difference of patients.",
                f"compare one of {', '.join(known)}",
            )
        units = dict(zip(question.classes, question.units, strict=False))
        return cls(replace(metric, unit=units.get(subject, "")) if metric in agreement.IN_UNITS else metric, subject, question)

    @property
    def key(self) -> str:
        return f"{self.metric.key}/{self.subject}"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.question.classes if self.subject == "mean" else (self.subject,)

    def as_dict(self) -> dict[str, str]:
        """Plain values, as records of comparisons hold them."""
        metric = self.metric
        told = {"endpoint": self.key, "metric": metric.key, "name": metric.name, "subject": self.subject, "unit": metric.unit}
        return {**told, "better": metric.better, "definition": metric.definition, "formula": metric.formula}


def case_values(endpoint: Endpoint, rows: Sequence[Row]) -> list[np.ndarray]:
    """Per class or structure (N,) what each case adds to the mean; NaN where it adds nothing."""
    key, question = endpoint.metric.key, endpoint.question
    if question.task == "segmentation" or question.is_of_pictures:
        return [_structure_values(key, name, rows) for name in endpoint.classes]
    table = as_arrays(question, rows)
    if endpoint.subject == "all":
        return [_overall_values(key, table)]
    return [_class_values(key, table, question.classes.index(name)) for name in endpoint.classes]


def _class_values(key: str, table: Answered, k: int) -> np.ndarray:
    truth, answer, called = table.truth[:, k], table.answer[:, k], table.called[:, k]
    if key == "sensitivity":
        return np.where(truth > 0.5, called, np.nan)
    if key == "specificity":
        return np.where(truth <= 0.5, 1 - called, np.nan)
    return np.abs(answer - truth) if key == "mae" else (answer - truth) ** 2


def _overall_values(key: str, table: Answered) -> np.ndarray:
    known = np.isfinite(table.truth).all(1) & np.isfinite(table.answer).all(1)
    if key == "accuracy":
        right = np.nan_to_num(table.truth).argmax(1) == np.nan_to_num(table.called).argmax(1)
        return np.where(known, right.astype(float), np.nan)
    return np.where(known, np.nansum((table.answer - table.truth) ** 2, axis=1), np.nan)


def _structure_values(key: str, name: str, rows: Sequence[Row]) -> np.ndarray:
    if key in (PRESENCE_SENSITIVITY.key, PRESENCE_SPECIFICITY.key):
        return np.array([_presence(key, name, row) for row in rows])
    found = [row["scores"].get(f"{key}/{name}") for row in rows]
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def _presence(key: str, name: str, row: Row) -> float:
    """Hit or miss of one case: shares of the truth and of the answer exist where these hold the structure."""
    in_truth, in_answer = (row["scores"].get(f"{share}/{name}") is not None for share in ("voxel_sensitivity", "voxel_ppv"))
    if in_truth != (key == PRESENCE_SENSITIVITY.key):
        return np.nan
    return float(in_answer == in_truth)


def rankings(endpoint: Endpoint, rows: Sequence[Row]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per class: (N,) bool known, (n,) bool truth of the known cases, (n,) their scores."""
    table = as_arrays(endpoint.question, rows)
    found = []
    for name in endpoint.classes:
        k = endpoint.question.classes.index(name)
        known = np.isfinite(table.truth[:, k]) & np.isfinite(table.answer[:, k])
        found.append((known, table.truth[known, k] > 0.5, table.answer[known, k]))
    return found


def sum_terms(endpoint: Endpoint, rows: Sequence[Row]) -> list[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """Per class or quantity: (N, K) terms of each case, zeros where not known, and the score as a function of their sums."""
    question, metric = endpoint.question, endpoint.metric
    assert metric.from_sums is not None
    table = as_arrays(question, rows)
    if endpoint.subject == "all":
        known = np.isfinite(table.truth).all(1) & np.isfinite(table.answer).all(1)
        truth, called = table.truth[known].argmax(1), table.called[known].argmax(1)
        return [(spread(decided.confusion_terms(truth, called, len(question.classes)), known), metric.from_sums)]
    found: list[tuple[np.ndarray, Any]] = []
    for name in endpoint.classes:
        k = question.classes.index(name)
        known = np.isfinite(table.truth[:, k]) & np.isfinite(table.answer[:, k])
        truth, answer = table.truth[known, k], table.answer[known, k]
        if question.task == "regression":
            terms = agreement.agreement_terms(truth, answer, float(truth.mean()) if len(truth) else 0.0)
        else:
            terms = decided.confusion_terms(truth > 0.5, table.called[known, k] > 0.5)
        found.append((spread(terms, known), metric.from_sums))
    return found


def statistic(
    endpoint: Endpoint, rows: Sequence[Row], fold: np.ndarray, number: np.ndarray, names: Sequence[str] | None = None
) -> Statistic:
    """The endpoint of one run as a function of how often each patient counts; number (N,) of the patient of each case.

    names  of objects: the classes whose mean is taken; by default those for which it is defined here
    """
    if endpoint.question.is_of_objects:
        return _of_objects(endpoint, rows, number, defined_classes(endpoint, rows) if names is None else names)
    patients = int(number.max()) + 1
    if endpoint.metric.key not in RANKED:
        parts = [(np.stack([np.bincount(number, t, patients) for t in terms.T], 1), f) for terms, f in sum_terms(endpoint, rows)]
        return lambda counts: np.mean([f(counts @ totals) for totals, f in parts], axis=0)
    classes = []
    for known, truth, score in rankings(endpoint, rows):
        own = [fold[known] == k for k in np.unique(fold[known])]
        both = [which for which in own if 0 < truth[which].sum() < which.sum()]
        if both:
            classes.append([(Ranking.of(truth[w], score[w]), number[known][w]) for w in both])
    return partial(_mean_rank, RANKED[endpoint.metric.key], classes)


def defined_classes(endpoint: Endpoint, rows: Sequence[Row]) -> tuple[str, ...]:
    """Objects: the classes that occur in the truth and for which the score is defined; of one class that class."""
    if endpoint.subject != "mean":
        return endpoint.classes
    cases = [case_of_row(endpoint.question, row) for row in rows]
    once = np.ones((1, len(cases)))
    there = [name for name in endpoint.classes if any(name in case.truth.classes for case in cases)]
    return tuple(name for name in there if np.isfinite(object_statistic(endpoint.metric, name, cases)(once)).all())


def _of_objects(endpoint: Endpoint, rows: Sequence[Row], number: np.ndarray, names: Sequence[str]) -> Statistic:
    """Computed again from what was found, missed and false; the mean is over these classes."""
    cases = [case_of_row(endpoint.question, row) for row in rows]
    if not names:
        return lambda counts: np.full(len(counts), np.nan)
    mean = mean_statistic([object_statistic(endpoint.metric, name, cases) for name in names])
    return lambda counts: mean(counts[:, number])


def _mean_rank(score: RankMetric, classes: Sequence[Sequence[tuple[Ranking, np.ndarray]]], counts: np.ndarray) -> np.ndarray:
    """The mean over classes of the mean over folds: models of different folds have different scales."""
    means = [np.mean([score(ranked, counts[:, number]) for ranked, number in folds], axis=0) for folds in classes]
    return np.mean(means, axis=0) if means else np.full(len(counts), np.nan)
