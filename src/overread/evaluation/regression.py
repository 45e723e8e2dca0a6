"""The evaluation of measured numbers, quantity by quantity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD, Answered
from overread.evaluation.decisions.certain import interval_scores
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_totals
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, Scored, by_sums, number
from overread.metrics import agreement
from overread.metrics.curves import MOST_POINTS
from overread.metrics.metric import Metric
from overread.metrics.readers import ICC, icc_terms
from overread.metrics.table import metrics_for


def evaluate_regression(question: Question, table: Answered, rules: Rules) -> Evaluated:
    """Errors in the unit of each quantity, limits of agreement, correlation; a row per case."""
    scores, curves, notes = [], {}, []
    units = dict(zip(question.classes, question.units, strict=False))
    for k, (name, metrics) in enumerate(metrics_for(question).items()):
        known = np.isfinite(table.truth[:, k]) & np.isfinite(table.answer[:, k])
        truth, answer = table.truth[known, k], table.answer[known, k]
        terms = agreement.agreement_terms(truth, answer, float(truth.mean()) if len(truth) else 0.0)
        patients = table.patients.select(known)
        for metric in metrics:
            unit = units.get(name, "") if metric in agreement.IN_UNITS else ""
            if metric in agreement.REPEATED_FORM and patients.are_clustered:
                limit = replace(agreement.REPEATED_FORM[metric], unit=unit)
                scores.append(_repeated(limit, name, answer - truth, patients, rules))
            else:
                scores.append(by_sums(replace(metric, unit=unit), name, terms, patients, rules))
        scores.append(_absolute_agreement(name, truth, answer, patients, rules))
        scores += interval_scores(k, name, units.get(name, ""), table, rules)
        curves[name] = agreement_curve(truth, answer, patients)
        if unknown := int((~known).sum()):
            notes.append(f"{name}: the truth of {unknown} of {len(known)} cases is not known; they are left out.")
    return Evaluated(
        tuple(scores),
        _case_rows(question, table),
        None,
        {"roc": {}, "pr": {}, "calibration": {}, "agreement": curves},
        {
            "aggregation": "each case counts once; patients are resampled whole; limits of agreement allow for several cases per "
            "patient",
            "empty_truth": "a case whose truth is not known is left out, and counted",
        },
        tuple(notes),
    )


def _repeated(metric: Metric, name: str, difference: np.ndarray, patients: Patients, rules: Rules) -> Scored:
    assert metric.from_sums is not None
    totals = agreement.repeated_terms(difference, patients.number)
    return Scored(metric, name, bootstrap_interval(of_totals(totals, metric.from_sums), patients, rules, metric.undefined))


def _absolute_agreement(name: str, truth: np.ndarray, answer: np.ndarray, patients: Patients, rules: Rules) -> Scored:
    """The same intraclass correlation that readers get, with the truth and the model as the two of them."""
    centre = float(truth.mean()) if len(truth) else 0.0
    terms = icc_terms(np.column_stack([truth, answer]) - centre)
    return by_sums(ICC, name, terms, patients, rules)


def agreement_curve(truth: np.ndarray, answer: np.ndarray, patients: Patients) -> dict[str, Any]:
    """Points of a Bland-Altman plot, at most 200 spread evenly over the truths, and its three lines over all cases.

    Where patients have several cases, the limits are those of repeated measures.
    """
    order = np.argsort(truth, kind="stable")
    if len(order) > MOST_POINTS:
        order = order[np.linspace(0, len(order) - 1, MOST_POINTS).astype(int)]
    sums = agreement.agreement_terms(truth, answer, float(truth.mean()) if len(truth) else 0.0).sum(0)
    lines = (agreement.bias_from_sums, agreement.low_limit_from_sums, agreement.high_limit_from_sums)
    bias, low, high = (number(float(line(sums))) for line in lines)
    if patients.are_clustered:
        totals = agreement.repeated_terms(answer - truth, patients.number).sum(0)
        limits = (agreement.repeated_low_from_sums, agreement.repeated_high_from_sums)
        low, high = (number(float(line(totals))) for line in limits)
    points = {"truth": [number(v) for v in truth[order]], "answer": [number(v) for v in answer[order]]}
    return {**points, "bias": bias, "low": low, "high": high}


def _case_rows(question: Question, table: Answered) -> list[dict[str, Any]]:
    spread = np.ones(len(question.classes))
    for k in range(len(question.classes)):
        measured = table.truth[np.isfinite(table.truth[:, k]), k]
        deviation = float(np.std(measured)) if len(measured) else 0.0
        spread[k] = deviation if deviation > 0 else 1.0
    rows = []
    for row, case_id in enumerate(table.case_ids):
        gap = np.abs(table.answer[row] - table.truth[row])
        known = np.isfinite(gap)
        truth = {name: number(v) for name, v in zip(question.classes, table.truth[row], strict=True)}
        answer = {name: number(v) for name, v in zip(question.classes, table.answer[row], strict=True)}
        single = len(question.classes) == 1
        values: dict[str, Any] = {
            "case_id": case_id,
            "patient_id": table.patient_ids[row],
            "truth": truth[question.classes[0]] if single else truth,
            "answer": answer[question.classes[0]] if single else answer,
            "scores": {f"absolute_error/{n}": number(v) for n, v in zip(question.classes, gap, strict=True)},
            "reasons": {f"absolute_error/{n}": "truth not known" for n, k in zip(question.classes, known, strict=True) if not k},
            "error": number(float((gap / spread)[known].max())) if known.any() else 0.0,
        }
        if table.region is not None:
            ends = table.region[row]
            values["interval"] = {n: [number(v) for v in pair] for n, pair in zip(question.classes, ends, strict=True)}
        rows.append(values if table.fold[row] == NO_FOLD else {**values, "fold": int(table.fold[row])})
    return rows
