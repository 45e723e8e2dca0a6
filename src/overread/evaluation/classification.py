"""The evaluation of classes: per class one against the rest, then their plain mean, then the answer as a whole."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import Answered
from overread.evaluation.at_prevalence import stated_share
from overread.evaluation.case_rows import case_rows
from overread.evaluation.decisions.certain import risk_coverage, set_scores
from overread.evaluation.decisions.decision_curve import decision_curve
from overread.evaluation.finding import Finding, lopsided, not_shown
from overread.evaluation.findings import before_calibration, calibration_curve, finding_score, is_defined
from overread.evaluation.intervals.areas import rank_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.micro import micro_scores
from overread.evaluation.rules import Rules, prevalences
from overread.evaluation.sampling import sampling_notes, sampling_rule, sampling_table
from overread.evaluation.scored import Evaluated, Scored, by_sums, spread
from overread.metrics import calibration, curves, decided
from overread.metrics.metric import Metric, macro_from_sums
from overread.metrics.prevalence import OVERALL_AT, SUFFIX, at_shares_from_sums, split_terms
from overread.metrics.ranking import AUC, AVERAGE_PRECISION, Ranking, auc
from overread.metrics.table import metrics_for, positive_class

OVERALL_AT_PLAIN = {metric.key: plain for metric, plain in OVERALL_AT.items()}
MEANS_OF_CLASSES = ("balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "auc")  # each class weighs alike
MACRO = "means over classes count each class alike (macro)"


def evaluate_classification(question: Question, table: Answered, rules: Rules) -> Evaluated:
    """Every metric of the table for this question, the curves and a row per case."""
    rules = replace(rules, prevalence=prevalences(question, rules.prevalence))
    findings = {name: Finding(table, k) for k, name in enumerate(question.classes)}
    scores: list[Scored] = []
    for subject, metrics in metrics_for(question).items():
        if subject in findings:
            named = [m for m in metrics if not m.key.endswith(SUFFIX) or stated_share(rules, subject) is not None]
            scores += [finding_score(_counted(metric, question), subject, findings[subject], rules) for metric in named]
            scores += before_calibration(subject, findings[subject], rules)
        elif subject == "mean":
            scores += [_of_each_class(_macro_score(metric, findings, table, rules), findings) for metric in metrics]
            scores += micro_scores(question, table, rules)
        else:
            scores += [_of_each_class(scored, findings) for scored in _overall_scores(metrics, question, table, rules)]
    shown = [positive_class(question)] if question.is_binary else list(question.classes)
    drawn = _curves({name: findings[name] for name in shown}, rules)
    risk: dict[str, Any] = {}
    if question.exclusive:
        area, risk = risk_coverage(table, _whole(table), rules)
        scores.append(area)
    return Evaluated(
        (*scores, *set_scores(question, table, rules)),
        case_rows(question, table),
        _confusion(question, table),
        {**drawn, "risk_coverage": risk},
        {**_rules(question), "sampling": sampling_rule(rules)},
        tuple(_notes(question, {name: findings[name] for name in shown}, len(table.case_ids), rules)),
        {"sampling": sampling_table({name: findings[name].truth for name in shown}, rules, scores)},
    )


def _counted(metric: Metric, question: Question) -> Metric:
    """So many of 100 of what the question is asked of: exams, patients, sides or lesions."""
    return replace(metric, unit=f"per 100 {question.unit}s") if metric.unit.startswith("per 100") else metric


def _macro_score(metric: Metric, findings: dict[str, Finding], table: Answered, rules: Rules) -> Scored:
    """The plain mean over the classes for which the metric is defined."""
    defined = [f for f in findings.values() if f.patients.cases and is_defined(metric, f)]
    several = replace(metric, formula=f"{metric.formula}; mean over classes, each counting alike (macro)")
    if rules.is_enriched and metric.depends_on_prevalence:
        return Scored(several, "mean", not_shown(table.patients, rules))
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
    terms = [spread(f.terms(metric), f.known[any_known]) for f in defined]
    assert metric.from_sums is not None
    scored = by_sums(
        several, "mean", np.concatenate(terms, 1), patients, rules, partial(macro_from_sums, metric.from_sums, len(defined))
    )
    if metric.interval != "none":
        return scored
    reason = "biased upwards, as for each class"
    return replace(scored, interval=replace(scored.interval, low=None, high=None, method="none", reason=reason))


def _of_each_class(scored: Scored, findings: dict[str, Finding]) -> Scored:
    """A mean over classes rests on the rarest: of three cases that are all right, resampling makes no wrong one."""
    if scored.metric.key not in MEANS_OF_CLASSES:
        return scored
    interval = scored.interval
    for name, finding in sorted(findings.items(), key=lambda item: int(item[1].truth.sum())):
        if finding.truth.any():
            interval = lopsided(interval, finding, name)
    return replace(scored, interval=interval)


def _overall_scores(metrics: tuple[Metric, ...], question: Question, table: Answered, rules: Rules) -> list[Scored]:
    known = _whole(table)
    patients = table.patients.select(known)
    truth, called = table.truth[known].argmax(1), table.called[known].argmax(1)
    cells = decided.confusion_terms(truth, called, len(question.classes))
    squares = calibration.brier_terms(table.truth[known], table.answer[known])
    scores = []
    for metric in metrics:
        plain = OVERALL_AT_PLAIN.get(metric.key)
        terms = squares if calibration.BRIER_ALL in (metric, plain) else cells
        if rules.is_enriched and metric.depends_on_prevalence:
            scores.append(Scored(metric, "all", not_shown(patients, rules)))
        elif plain is not None:
            scores += _overall_at(metric, plain, terms, truth, question, patients, rules)
        elif metric is decided.ACCURACY:
            hit = (truth == called).astype(float)
            interval = proportion_interval(hit, np.ones(len(hit)), patients, rules.level, metric.undefined)
            scores.append(Scored(metric, "all", interval))
        else:
            scores.append(by_sums(metric, "all", terms, patients, rules))
    return scores


def _overall_at(
    metric: Metric, plain: Metric, terms: np.ndarray, truth: np.ndarray, question: Question, patients: Patients, rules: Rules
) -> list[Scored]:
    """The metric where every class has its stated prevalence; nothing unless all are stated, or where Brier says no more."""
    shares = [stated_share(rules, name) for name in question.classes]
    stated = [share for share in shares if share is not None]
    if len(stated) < len(shares) or plain.from_sums is None or (question.is_binary and plain is calibration.BRIER_ALL):
        return []
    split = split_terms(truth, terms, len(stated))
    from_sums = partial(at_shares_from_sums, plain.from_sums, stated)
    return [by_sums(metric, "all", split, patients, rules, from_sums)]


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
    """By class. What depends on the prevalence is drawn at the stated one, and not at all for an enriched sample without it."""
    both = {name: f for name, f in findings.items() if 0 < int(f.truth.sum()) < len(f.truth)}
    shares = {name: stated_share(rules, name) for name in findings}
    told = {name: f for name, f in findings.items() if shares[name] is not None or not rules.is_enriched}
    stated = {name: shares[name] if rules.is_enriched else None for name in findings}
    return {
        "roc": {name: {**curves.roc_curve(f.truth, f.answer), "auc": auc(f.truth, f.answer)} for name, f in both.items()},
        "pr": {name: curves.pr_curve(f.truth, f.answer, stated[name]) for name, f in both.items() if name in told},
        "calibration": {name: calibration_curve(f, rules, stated[name] if name in both else None) for name, f in told.items()},
        "decision": {name: decision_curve(f, rules, shares[name]) for name, f in both.items() if name in told},
        "agreement": {},
    }


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


def _notes(question: Question, findings: dict[str, Finding], cases: int, rules: Rules) -> list[str]:
    notes = sampling_notes(rules)
    for name, finding in findings.items():
        if unknown := cases - len(finding.truth):
            notes.append(f"{name}: the truth of {unknown} of {cases} cases is not known; they are left out of this class.")
        positives, total = int(finding.truth.sum()), len(finding.truth)
        if positives in (0, total):
            notes.append(f"{name}: {positives} of {total} cases are positive; what needs both kinds is not defined.")
        elif rules.is_enriched:
            notes.append(f"{name}: {positives} of {total} cases are positive, as they were sought out, not as they come.")
        else:
            notes.append(
                f"{name}: {positives} of {total} cases are positive; PPV, NPV and average precision hold at this share only."
            )
    if question.exclusive and not question.is_binary:
        notes.append("One class is called per case, so micro-averaged sensitivity, PPV and F1 are all equal to the accuracy.")
    return notes
