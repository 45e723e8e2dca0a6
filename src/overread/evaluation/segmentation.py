"""The evaluation of masks: per structure and case, then means over cases with intervals by patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import NO_FOLD, ScoredCase
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.pictures.case import PictureCase
from overread.evaluation.regression import agreement_curve
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, Scored, by_sums, number
from overread.evaluation.voxels.calibration import CURVE, voxel_curves, voxel_rule, voxel_scores
from overread.metrics import decided
from overread.metrics.metric import Metric, macro_from_sums, mean_terms
from overread.metrics.overlap import FALSE_POSITIVE, MISSED
from overread.metrics.surface import SURFACE_DICE
from overread.metrics.table import PRESENCE_SPECIFICITY, metrics_for

EMPTY_RULE = (
    "Empty in truth and answer: not defined, counted as a true negative. Truth without answer: a miss, Dice 0, no distance, "
    "counted under 'cases found'. Answer without truth: a false positive, Dice 0, no distance, counted under "
    "'empty cases left empty'."
)


def evaluate_segmentation(question: Question, cases: Sequence[ScoredCase], rules: Rules) -> Evaluated:
    """Every metric of every structure, their means, what was missed, and a row per case."""
    patients = Patients.of([c.patient_id for c in cases])
    scores: list[Scored] = []
    for subject, metrics in metrics_for(question).items():
        for metric in metrics:
            if subject == "mean":
                scores.append(_mean_score(metric, question, cases, patients, rules))
            elif metric.interval == "wilson":
                scores += _presence_score(metric, subject, cases, patients, rules)
            else:
                scores.append(_structure_score(metric, subject, cases, patients, rules))
    scores += voxel_scores(question.classes, cases, rules)
    named = tuple(replace(s, metric=_with_tolerance(s.metric, rules)) for s in scores)
    agreement = {name: curve for name in question.classes if (curve := _volumes(name, cases)) is not None}
    means = "mean over the cases for which a metric is defined; 'mean' is the plain mean of the structures' means (macro)"
    return Evaluated(
        named,
        [_case_row(question, case) for case in cases],
        None,
        {"roc": {}, "pr": {}, "calibration": {}, "agreement": agreement, CURVE: voxel_curves(question.classes, cases, rules)},
        {"empty_truth": EMPTY_RULE, "aggregation": f"{means}; patients are resampled whole", "calibration": voxel_rule(cases)},
        tuple(_notes(question, cases)),
    )


def values(cases: Sequence[ScoredCase | PictureCase], metric: Metric, subject: str) -> np.ndarray:
    """(N,) score of each case, NaN where not defined; subject: a structure, or a channel of an image."""
    found = [case.score(metric.key, subject).value for case in cases]
    return np.array([np.nan if v is None else v for v in found], dtype=float)


def _structure_score(metric: Metric, name: str, cases: Sequence[ScoredCase], patients: Patients, rules: Rules) -> Scored:
    column = values(cases, metric, name)
    known = np.isfinite(column)
    if not known.any():
        return Scored(metric, name, Interval(None, None, None, "none", 0, 0, rules.level, _why(cases, metric, name)))
    return by_sums(metric, name, mean_terms(column[known]), patients.select(known), rules)


def _why(cases: Sequence[ScoredCase], metric: Metric, name: str) -> str:
    """The commonest reason for having no value."""
    reasons = Counter(case.structures[name].scores[metric.key].reason for case in cases)
    return reasons.most_common(1)[0][0] if reasons else "no case"


def _mean_score(metric: Metric, question: Question, cases: Sequence[ScoredCase], patients: Patients, rules: Rules) -> Scored:
    columns = np.stack([values(cases, metric, name) for name in question.classes], 1)
    columns = columns[:, np.isfinite(columns).any(0)]
    known = np.isfinite(columns).any(1)
    if not known.any():
        why = _why(cases, metric, question.classes[0])
        return Scored(metric, "mean", Interval(None, None, None, "none", 0, 0, rules.level, why))
    structures = columns.shape[1]
    terms = mean_terms(columns[known]).reshape(int(known.sum()), -1)
    assert metric.from_sums is not None
    return by_sums(metric, "mean", terms, patients.select(known), rules, partial(macro_from_sums, metric.from_sums, structures))


def _presence_score(metric: Metric, name: str, cases: Sequence[ScoredCase], patients: Patients, rules: Rules) -> list[Scored]:
    truth = np.array([case.structures[name].in_truth for case in cases])
    if metric is PRESENCE_SPECIFICITY and truth.all():
        return []
    answer = np.array([case.structures[name].in_answer for case in cases])
    terms = decided.confusion_terms(truth, answer)
    top, bottom = metric.parts or ((), ())
    interval = proportion_interval(
        terms[:, list(top)].sum(1), terms[:, list(bottom)].sum(1), patients, rules.level, metric.undefined
    )
    return [Scored(metric, name, interval)]


def _with_tolerance(metric: Metric, rules: Rules) -> Metric:
    if metric.key != SURFACE_DICE.key:
        return metric
    return replace(
        metric,
        name=f"{metric.name} at {rules.surface_tolerance_mm:g} mm",
        formula=f"{metric.formula}; tolerance {rules.surface_tolerance_mm:g} mm",
    )


def _volumes(name: str, cases: Sequence[ScoredCase]) -> dict[str, Any] | None:
    pairs = [(c.structures[name].truth_ml, c.structures[name].answer_ml) for c in cases]
    known = np.array([(t, a) for t, a in pairs if t is not None and a is not None])
    whose = [c.patient_id for c, (t, a) in zip(cases, pairs, strict=True) if t is not None and a is not None]
    return agreement_curve(known[:, 0], known[:, 1], Patients.of(whose)) if len(known) else None


def _case_row(question: Question, case: ScoredCase) -> dict[str, Any]:
    scores, reasons = {}, {}
    for name in question.classes:
        for key, score in case.structures[name].scores.items():
            scores[f"{key}/{name}"] = None if score.value is None else number(score.value)
            if score.value is None:
                reasons[f"{key}/{name}"] = score.reason
    dice = [v for name in question.classes if (v := case.structures[name].scores["dice"].value) is not None]
    row: dict[str, Any] = {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "truth": {name: _ml(case.structures[name].truth_ml) for name in question.classes},
        "answer": {name: _ml(case.structures[name].answer_ml) for name in question.classes},
        "scores": scores,
        "reasons": reasons,
        "error": number(1 - float(np.mean(dice))) if dice else 0.0,
    }
    return row if case.fold == NO_FOLD else {**row, "fold": case.fold}


def _ml(value: float | None) -> float | None:
    return None if value is None else number(value)


def _notes(question: Question, cases: Sequence[ScoredCase]) -> list[str]:
    notes = []
    for name in question.classes:
        reasons = [case.structures[name].scores["assd"].reason for case in cases]
        missed, false = reasons.count(MISSED), reasons.count(FALSE_POSITIVE)
        empty = sum(not s.in_truth and not s.in_answer for s in (case.structures[name] for case in cases))
        if missed or false or empty:
            notes.append(
                f"{name}: missed altogether in {missed} cases and drawn where there is none in {false}; both have Dice 0 "
                f"and no distance. {empty} cases are rightly empty and have no Dice."
                + (" The means over structures leave it out." if empty == len(cases) else "")
            )
    return notes
