"""The evaluation of classes: per class one against the rest, then their plain mean, then the answer as a whole."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import NO_FOLD, Answered
from overread.evaluation.areas import rank_interval
from overread.evaluation.findings import Finding, before_temperature, calibration_curve, finding_score, is_defined
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, Scored, by_sums, number
from overread.evaluation.wilson import proportion_interval
from overread.metrics import calibration, curves, decided
from overread.metrics.metric import Metric, macro_from_sums
from overread.metrics.ranking import AUC, AVERAGE_PRECISION, Ranking, auc
from overread.metrics.table import metrics_for, positive_class

MACRO = "means over classes count each class alike (macro)"


def evaluate_classification(question: Question, table: Answered, rules: Rules) -> Evaluated:
    """Every metric of the table for this question, the curves and a row per case."""
    findings = {name: Finding(table, k) for k, name in enumerate(question.classes)}
    scores: list[Scored] = []
    for subject, metrics in metrics_for(question).items():
        if subject in findings:
            scores += [finding_score(metric, subject, findings[subject], rules) for metric in metrics]
            scores += before_temperature(subject, findings[subject], rules)
        elif subject == "mean":
            scores += [_macro_score(metric, findings, table, rules) for metric in metrics]
        else:
            scores += _overall_scores(metrics, question, table, rules)
    shown = [positive_class(question)] if question.is_binary else list(question.classes)
    return Evaluated(
        tuple(scores),
        _case_rows(question, table),
        _confusion(question, table),
        _curves({name: findings[name] for name in shown}, rules),
        _rules(question),
        tuple(_notes(question, {name: findings[name] for name in shown}, len(table.case_ids))),
    )


def _macro_score(metric: Metric, findings: dict[str, Finding], table: Answered, rules: Rules) -> Scored:
    """The plain mean over the classes for which the metric is defined."""
    defined = [f for f in findings.values() if f.patients.cases and is_defined(metric, f)]
    several = replace(metric, formula=f"{metric.formula}; mean over classes, each counting alike (macro)")
    if not defined:
        empty = Interval(None, None, None, "none", 0, 0, rules.level, "no class for which it is defined")
        return Scored(several, "mean", empty)
    any_known = np.logical_or.reduce([f.known for f in defined])
    patients = table.patients.select(any_known)
    if metric.key in (AUC.key, AVERAGE_PRECISION.key):
        function = Ranking.auc if metric.key == AUC.key else Ranking.average_precision
        known = [f.known[any_known] for f in defined]
        pairs = [(f.truth, f.answer) for f in defined]
        interval = rank_interval(function, pairs, patients, [f.fold for f in defined], rules, metric.undefined, known)
        return Scored(several, "mean", interval)
    terms = [_spread(f.terms(metric), f.known[any_known]) for f in defined]
    assert metric.from_sums is not None
    scored = by_sums(
        several, "mean", np.concatenate(terms, 1), patients, rules, partial(macro_from_sums, metric.from_sums, len(defined))
    )
    if metric.interval != "none":
        return scored
    reason = "biased upwards, as for each class"
    return replace(scored, interval=replace(scored.interval, low=None, high=None, method="none", reason=reason))


def _spread(terms: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n, K) of the known cases -> (N, K) with zeros for the others."""
    out = np.zeros((len(known), terms.shape[1]))
    out[known] = terms
    return out


def _overall_scores(metrics: tuple[Metric, ...], question: Question, table: Answered, rules: Rules) -> list[Scored]:
    known = _whole(table)
    patients = table.patients.select(known)
    truth, called = table.truth[known].argmax(1), table.called[known].argmax(1)
    terms = decided.confusion_terms(truth, called, len(question.classes))
    scores = []
    for metric in metrics:
        if metric is decided.ACCURACY:
            hit = (truth == called).astype(float)
            interval = proportion_interval(hit, np.ones(len(hit)), patients, rules.level, metric.undefined)
            scores.append(Scored(metric, "all", interval))
        elif metric is calibration.BRIER_ALL:
            scores.append(
                by_sums(metric, "all", calibration.brier_terms(table.truth[known], table.answer[known]), patients, rules)
            )
        else:
            scores.append(by_sums(metric, "all", terms, patients, rules))
    return scores


def _whole(table: Answered) -> np.ndarray:
    return np.isfinite(table.truth).all(1) & np.isfinite(table.answer).all(1)


def _confusion(question: Question, table: Answered) -> dict[str, Any] | None:
    if not question.exclusive:
        return None
    known = _whole(table)
    size = len(question.classes)
    terms = decided.confusion_terms(table.truth[known].argmax(1), table.called[known].argmax(1), size)
    return {"labels": list(question.classes), "counts": terms.sum(0).astype(int).reshape(size, size).tolist()}


def _curves(findings: dict[str, Finding], rules: Rules) -> dict[str, Any]:
    both = {name: f for name, f in findings.items() if 0 < int(f.truth.sum()) < len(f.truth)}
    roc = {name: {**curves.roc_curve(f.truth, f.answer), "auc": auc(f.truth, f.answer)} for name, f in both.items()}
    pr = {name: curves.pr_curve(f.truth, f.answer) for name, f in both.items()}
    return {
        "roc": roc,
        "pr": pr,
        "calibration": {name: calibration_curve(f, rules) for name, f in findings.items()},
        "agreement": {},
    }


def _case_rows(question: Question, table: Answered) -> list[dict[str, Any]]:
    return [_case_row(question, table, row) for row in range(len(table.case_ids))]


def _case_row(question: Question, table: Answered, row: int) -> dict[str, Any]:
    truth, answer = table.truth[row], table.answer[row]
    known = np.isfinite(truth) & np.isfinite(answer)
    gap = np.abs(truth[known] - answer[known])
    label: Any = {name: number(v) for name, v in zip(question.classes, truth, strict=True)}
    if question.exclusive:
        label = question.classes[int(truth.argmax())] if known.all() else None
    values = {
        "case_id": table.case_ids[row],
        "patient_id": table.patient_ids[row],
        "truth": label,
        "answer": {name: number(v) for name, v in zip(question.classes, answer, strict=True)},
        "called": [name for name, v in zip(question.classes, table.called[row], strict=True) if v > 0.5],
        "scores": {},
        "reasons": {} if known.all() else {n: "truth not known" for n, k in zip(question.classes, known, strict=True) if not k},
        "error": number(float(gap.max())) if len(gap) else 0.0,
    }
    return values if table.fold[row] == NO_FOLD else {**values, "fold": int(table.fold[row])}


def _rules(question: Question) -> dict[str, str]:
    if question.is_binary:
        means = "one against the other class, at the frozen threshold of the positive class"
    elif question.exclusive:
        means = f"each class against the rest; the class with the highest probability is called; {MACRO}"
    else:
        means = f"each class by itself at its frozen threshold; {MACRO}"
    return {
        "aggregation": means,
        "empty_truth": "a class whose truth is not known in a case is left out of that class, and counted",
    }


def _notes(question: Question, findings: dict[str, Finding], cases: int) -> list[str]:
    notes = []
    for name, finding in findings.items():
        if unknown := cases - len(finding.truth):
            notes.append(f"{name}: the truth of {unknown} of {cases} cases is not known; they are left out of this class.")
        positives, total = int(finding.truth.sum()), len(finding.truth)
        if positives in (0, total):
            notes.append(f"{name}: {positives} of {total} cases are positive; what needs both kinds is not defined.")
        else:
            notes.append(
                f"{name}: {positives} of {total} cases are positive; PPV, NPV and average precision hold at this share only."
            )
    return notes
