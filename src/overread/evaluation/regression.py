"""The evaluation of measured numbers, quantity by quantity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD, Answered
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, by_sums, number
from overread.metrics import agreement
from overread.metrics.curves import MOST_POINTS
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
            scores.append(by_sums(replace(metric, unit=unit), name, terms, patients, rules))
        curves[name] = agreement_curve(truth, answer)
        if unknown := int((~known).sum()):
            notes.append(f"{name}: the truth of {unknown} of {len(known)} cases is not known; they are left out.")
    return Evaluated(
        tuple(scores),
        _case_rows(question, table),
        None,
        {"roc": {}, "pr": {}, "calibration": {}, "agreement": curves},
        {
            "aggregation": "each case counts once; patients are resampled whole",
            "empty_truth": "a case whose truth is not known is left out, and counted",
        },
        tuple(notes),
    )


def agreement_curve(truth: np.ndarray, answer: np.ndarray) -> dict[str, Any]:
    """Points of a Bland-Altman plot, at most 200 spread evenly over the truths, and its three lines over all cases."""
    order = np.argsort(truth, kind="stable")
    if len(order) > MOST_POINTS:
        order = order[np.linspace(0, len(order) - 1, MOST_POINTS).astype(int)]
    sums = agreement.agreement_terms(truth, answer, float(truth.mean()) if len(truth) else 0.0).sum(0)
    lines = (agreement.bias_from_sums, agreement.low_limit_from_sums, agreement.high_limit_from_sums)
    bias, low, high = (number(float(line(sums))) for line in lines)
    points = {"truth": [number(v) for v in truth[order]], "answer": [number(v) for v in answer[order]]}
    return {**points, "bias": bias, "low": low, "high": high}


def _case_rows(question: Question, table: Answered) -> list[dict[str, Any]]:
    spread = np.ones(len(question.classes))
    for k in range(len(question.classes)):
        deviation = float(np.std(table.truth[np.isfinite(table.truth[:, k]), k])) if len(table.truth) else 0.0
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
        rows.append(values if table.fold[row] == NO_FOLD else {**values, "fold": int(table.fold[row])})
    return rows
