"""One score on any choice of cases: its interval there, and how it moves when patients are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import Answered, ScoredCase
from overread.evaluation.finding import BY_PREVALENCE, Finding, not_shown
from overread.evaluation.findings import finding_score, is_defined
from overread.evaluation.intervals.bootstrap import Statistic, bootstrap_interval, of_sums, of_totals
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.objects import evaluate as objects
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.objects.statistics import mean_statistic, of_patients
from overread.evaluation.pictures.case import PictureCase
from overread.evaluation.pictures.evaluate import in_its_unit
from overread.evaluation.rules import Rules, prevalences
from overread.evaluation.scored import spread
from overread.evaluation.segmentation import values
from overread.metrics import agreement, calibration, decided
from overread.metrics.metric import FromSums, Metric, macro_from_sums, mean_terms
from overread.metrics.ranking import AUC, AVERAGE_PRECISION, PARTIAL_AUC, Ranking
from overread.metrics.table import resolve_endpoint

Cases = Answered | Sequence[ScoredCase] | Sequence[FoundCase] | Sequence[PictureCase]
IntervalOf = Callable[[np.ndarray], Interval]
StatisticOf = Callable[[np.ndarray], Statistic]
RANKS = {
    AUC.key: Ranking.auc,
    AVERAGE_PRECISION.key: Ranking.average_precision,
    PARTIAL_AUC.key: Ranking.partial_auc,
}


@dataclass(frozen=True)
class Ranked:
    """One class for a score of order: (N,) whether truth and answer are known, the truth, the answer, the fold."""

    known: np.ndarray
    truth: np.ndarray
    answer: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True)
class Endpoint:
    """A metric of a subject over N cases.

    interval   (N,) bool -> the interval over the chosen cases
    statistic  (N,) bool -> the score as a function of how often each of the chosen cases' patients counts;
               None where the score is not of that kind (a fitted line)
    ranked     the classes that need cases of both kinds; empty where the score is not one of order
    """

    metric: Metric
    subject: str
    patients: Patients
    interval: IntervalOf
    statistic: StatisticOf | None
    ranked: tuple[Ranked, ...] = ()


def endpoint_of(question: Question, cases: Cases, endpoint: str, rules: Rules) -> Endpoint:
    """ "metric" or "metric/subject" over these cases."""
    metric, subject = resolve_endpoint(question, endpoint)
    rules = replace(rules, prevalence=prevalences(question, rules.prevalence))
    if rules.is_enriched and metric.depends_on_prevalence:
        return _unknown(metric, subject, _patients(cases), rules, BY_PREVALENCE)
    if not isinstance(cases, Answered) and question.is_of_objects:
        return _of_objects(cast(Sequence[FoundCase], cases), question, metric, subject, rules)
    if subject not in question.classes and (metric.from_sums is None or metric.interval == "none") and metric.key not in RANKS:
        return _unknown(metric, subject, _patients(cases), rules, "this score is not computed group by group")
    if not isinstance(cases, Answered) and question.is_of_pictures:
        metric = in_its_unit(metric, question, subject, cast(Sequence[PictureCase], cases))
    if not isinstance(cases, Answered):
        return _of_masks(question, cast(Sequence[ScoredCase], cases), metric, subject, rules)
    if question.task == "regression":
        k = question.classes.index(subject)
        truth, answer = cases.truth[:, k], cases.answer[:, k]
        known = np.isfinite(truth) & np.isfinite(answer)
        if metric in agreement.REPEATED_FORM and cases.patients.select(known).are_clustered:
            return _of_repeats(agreement.REPEATED_FORM[metric], subject, cases.patients, known, answer - truth, rules)
        centre = float(truth[known].mean()) if known.any() else 0.0
        assert metric.from_sums is not None
        terms = agreement.agreement_terms(truth, answer, centre)
        return _by_sums(metric, subject, cases.patients, known, terms, metric.from_sums, rules)
    if subject in question.classes:
        return _of_class(question, cases, metric, subject, rules)
    if subject == "mean":
        return _of_mean(question, cases, metric, rules)
    return _of_whole(question, cases, metric, subject, rules)


def _patients(cases: Cases) -> Patients:
    return cases.patients if isinstance(cases, Answered) else Patients.of([case.patient_id for case in cases])


def _unknown(metric: Metric, subject: str, patients: Patients, rules: Rules, reason: str) -> Endpoint:
    return Endpoint(metric, subject, patients, lambda which: not_shown(patients.select(which), rules, reason), None)


def _by_sums(
    metric: Metric, subject: str, patients: Patients, known: np.ndarray, terms: np.ndarray, from_sums: FromSums, rules: Rules
) -> Endpoint:
    """A function of sums over the known cases, with the bootstrap."""

    def statistic(which: np.ndarray) -> Statistic:
        return of_sums(patients.select(which & known), terms[which & known], from_sums)

    def interval(which: np.ndarray) -> Interval:
        if not (which & known).any():
            return Interval(None, None, None, "none", 0, 0, rules.level, metric.undefined)
        return bootstrap_interval(statistic(which), patients.select(which & known), rules, metric.undefined)

    return Endpoint(metric, subject, patients, interval, _whole_level(statistic, patients, known))


def _of_repeats(
    metric: Metric, subject: str, patients: Patients, known: np.ndarray, difference: np.ndarray, rules: Rules
) -> Endpoint:
    """A limit of agreement where patients have several cases: its sums run over patients, not over cases."""
    from_sums = metric.from_sums
    assert from_sums is not None

    def statistic(which: np.ndarray) -> Statistic:
        own = which & known
        return of_totals(agreement.repeated_terms(difference[own], patients.select(own).number), from_sums)

    def interval(which: np.ndarray) -> Interval:
        if not (which & known).any():
            return Interval(None, None, None, "none", 0, 0, rules.level, metric.undefined)
        return bootstrap_interval(statistic(which), patients.select(which & known), rules, metric.undefined)

    return Endpoint(metric, subject, patients, interval, _whole_level(statistic, patients, known))


def _whole_level(statistic: StatisticOf, patients: Patients, known: np.ndarray) -> StatisticOf:
    """The same over all patients of the chosen cases, those without a known case included."""

    def of(which: np.ndarray) -> Statistic:
        inner = statistic(which)
        kept = np.isin(np.unique(patients.number[which]), patients.number[which & known])
        return lambda counts: inner(counts[:, kept])

    return of


def _by_rank(metric: Metric, patients: Patients, ranked: Sequence[Ranked]) -> StatisticOf:
    """The mean over classes, and over the folds of each: models of different folds have different scales."""
    function = RANKS[metric.key]

    def of(which: np.ndarray) -> Statistic:
        own = patients.select(which)
        parts = [_rankings(r, np.flatnonzero(which), own) for r in ranked]

        def mean(counts: np.ndarray) -> np.ndarray:
            values = [np.mean([function(ranking, counts) for ranking in part], axis=0) for part in parts if part]
            complete = len(values) == len(parts) > 0
            return np.mean(values, axis=0) if complete else np.full(len(counts), np.nan)

        return mean

    return of


def _rankings(ranked: Ranked, places: np.ndarray, patients: Patients) -> list[Ranking]:
    """The ranking of each fold that has both kinds, to be weighted by patient; `patients` of the chosen cases alone."""
    found = []
    for fold in np.unique(ranked.fold[places]):
        own = np.flatnonzero(ranked.known[places] & (ranked.fold[places] == fold))
        truth = ranked.truth[places[own]]
        if 0 < truth.sum() < len(truth):
            found.append(Ranking.of(truth, ranked.answer[places[own]]).by_unit(patients.number[own]))
    return found


def _of_class(question: Question, table: Answered, metric: Metric, subject: str, rules: Rules) -> Endpoint:
    k = question.classes.index(subject)
    patients = table.patients

    def interval(which: np.ndarray) -> Interval:
        return finding_score(metric, subject, Finding(table.select(which), k), rules).interval

    if metric.key in RANKS:
        ranked = (_ranked(table, k),)
        return Endpoint(metric, subject, patients, interval, _by_rank(metric, patients, ranked), ranked)
    if metric.from_sums is None:
        return Endpoint(metric, subject, patients, interval, None)
    finding = Finding(table, k)
    terms = spread(finding.terms(metric), finding.known)
    by_sums = _by_sums(metric, subject, patients, finding.known, terms, metric.from_sums, rules)
    return Endpoint(metric, subject, patients, interval, by_sums.statistic)


def _of_mean(question: Question, table: Answered, metric: Metric, rules: Rules) -> Endpoint:
    """The plain mean over the classes for which the metric is defined among all cases."""
    findings = {k: Finding(table, k) for k in range(len(question.classes))}
    defined = {k: f for k, f in findings.items() if f.patients.cases and is_defined(metric, f)}
    patients = table.patients
    if not defined:
        return _unknown(metric, "mean", patients, rules, "no class for which it is defined")
    if metric.key in RANKS:
        ranked = tuple(_ranked(table, k) for k in defined)
        statistic = _by_rank(metric, patients, ranked)

        def interval(which: np.ndarray) -> Interval:
            return bootstrap_interval(statistic(which), patients.select(which), rules, "a class has cases of one kind only")

        return Endpoint(metric, "mean", patients, interval, statistic, ranked)
    assert metric.from_sums is not None
    terms = np.concatenate([spread(f.terms(metric), f.known) for f in defined.values()], 1)
    known = np.logical_or.reduce([f.known for f in defined.values()])
    return _by_sums(metric, "mean", patients, known, terms, partial(macro_from_sums, metric.from_sums, len(defined)), rules)


def _of_whole(question: Question, table: Answered, metric: Metric, subject: str, rules: Rules) -> Endpoint:
    known = np.isfinite(table.truth).all(1) & np.isfinite(table.answer).all(1)
    truth, called = np.nan_to_num(table.truth).argmax(1), np.nan_to_num(table.called).argmax(1)
    if metric is calibration.BRIER_ALL:
        terms = calibration.brier_terms(table.truth, table.answer)
    else:
        terms = decided.confusion_terms(truth, called, len(question.classes))
    assert metric.from_sums is not None
    by_sums = _by_sums(metric, subject, table.patients, known, terms, metric.from_sums, rules)
    if metric is not decided.ACCURACY:
        return by_sums
    hit = (truth == called).astype(float)
    return Endpoint(metric, subject, table.patients, _counted(metric, hit, known, table.patients, rules), by_sums.statistic)


def _of_masks(question: Question, cases: Sequence[ScoredCase], metric: Metric, subject: str, rules: Rules) -> Endpoint:
    patients = _patients(cases)
    assert metric.from_sums is not None
    if metric.interval == "wilson":
        found = [case.structures[subject] for case in cases]
        terms = decided.confusion_terms(np.array([s.in_truth for s in found]), np.array([s.in_answer for s in found]))
        known = np.ones(len(cases), bool)
        by_sums = _by_sums(metric, subject, patients, known, terms, metric.from_sums, rules)
        top, bottom = (terms[:, list(columns)].sum(1) for columns in metric.parts or ((), ()))
        return Endpoint(metric, subject, patients, _counted(metric, top, bottom, patients, rules), by_sums.statistic)
    if subject != "mean":
        column = values(cases, metric, subject)
        known = np.isfinite(column)
        return _by_sums(metric, subject, patients, known, mean_terms(column), metric.from_sums, rules)
    columns = np.stack([values(cases, metric, name) for name in question.classes], 1)
    columns = columns[:, np.isfinite(columns).any(0)]
    known, structures = np.isfinite(columns).any(1), columns.shape[1]
    from_sums = partial(macro_from_sums, metric.from_sums, structures)
    return _by_sums(metric, "mean", patients, known, mean_terms(columns).reshape(len(cases), -1), from_sums, rules)


def _of_objects(cases: Sequence[FoundCase], question: Question, metric: Metric, subject: str, rules: Rules) -> Endpoint:
    """Computed again in every group."""
    patients = _patients(cases)
    having = [name for name in question.classes if any(name in case.truth.classes for case in cases)]

    def members(which: np.ndarray) -> list[FoundCase]:
        return [case for case, inside in zip(cases, which, strict=True) if inside]

    def interval(which: np.ndarray) -> Interval:
        own = patients.select(which)
        if subject == "mean":
            return objects.mean_score(metric, having, members(which), own, rules).interval
        return objects.class_score(metric, subject, members(which), own, rules).interval

    def statistic(which: np.ndarray) -> Statistic:
        own = [objects.statistic(metric, name, members(which)) for name in (having if subject == "mean" else (subject,))]
        return of_patients(mean_statistic(own), patients.select(which))

    return Endpoint(metric, subject, patients, interval, statistic)


def _counted(metric: Metric, hit: np.ndarray, of: np.ndarray, patients: Patients, rules: Rules) -> IntervalOf:
    def interval(which: np.ndarray) -> Interval:
        return proportion_interval(hit[which], of[which], patients.select(which), rules.level, metric.undefined)

    return interval


def _ranked(table: Answered, k: int) -> Ranked:
    known = np.isfinite(table.truth[:, k]) & np.isfinite(table.answer[:, k])
    return Ranked(known, np.nan_to_num(table.truth[:, k]) > 0.5, np.nan_to_num(table.answer[:, k]), table.fold)
