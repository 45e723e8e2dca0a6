"""The evaluation of objects: every score with its interval by patient, the curves, and a row per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from overread.core.question import Decisions, Question
from overread.core.score import Interval
from overread.evaluation.intervals.areas import auc_interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.objects.bands import band_table
from overread.evaluation.objects.border import told
from overread.evaluation.objects.case_rows import case_rows
from overread.evaluation.objects.curves import froc_curves, pr_curves, roc_curves
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.objects.oddities import oddities
from overread.evaluation.objects.patient_level import patient_level
from overread.evaluation.objects.rates import none_seen, of_one_patient
from overread.evaluation.objects.statistics import BOX, OfCases, class_statistic, mean_statistic, of_patients, sums
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Evaluated, Scored
from overread.metrics.metric import Metric
from overread.metrics.objects.counts import FALSE, FP_PER_CASE
from overread.metrics.objects.rows import AP, AP50, PATIENT_AUC
from overread.metrics.table import metrics_for

BOX_AREAS = tuple(
    replace(
        metric, key=f"{BOX}{metric.key}", name=f"{metric.name}, of boxes", formula=f"{metric.formula}; by the boxes around them"
    )
    for metric in (AP50, AP)
)
COUNTS = (
    "of lesion sensitivity and of the shares of merged and split lesions the cases are objects of the truth, of the positive "
    "predictive value they are called answers; patients are resampled whole"
)
PATIENTS = "each patient counts once, with the highest score of any answer in any case; 0 where there is none"


def evaluate_objects(
    question: Question, cases: Sequence[FoundCase], decisions: Mapping[int, Decisions], rules: Rules
) -> Evaluated:
    """Every metric of the table for this question.

    decisions  fold -> what is frozen in its model; they are in the cases already, and are told here
    """
    patients = Patients.of([case.patient_id for case in cases])
    having = [name for name in question.classes if any(name in case.truth.classes for case in cases)]
    scores: list[Scored] = []
    for subject, metrics in metrics_for(question).items():
        for metric in _with_boxes(question, metrics):
            if subject == "mean":
                scores.append(mean_score(metric, having, cases, patients, rules))
            else:
                scores.append(class_score(metric, subject, cases, patients, rules))
    return Evaluated(
        tuple(scores),
        case_rows(question, cases),
        None,
        {
            "froc": froc_curves(question, cases, patients, rules),
            "pr": pr_curves(question, cases),
            "roc": roc_curves(question, cases),
        },
        _rules(cases, decisions),
        (*_notes(question, cases), *_left_out(scores, having)),
        {"sizes": band_table(question, cases, patients, rules)},
    )


def _with_boxes(question: Question, metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    return (*metrics, *BOX_AREAS) if question.task == "instances" else tuple(metrics)


def class_score(metric: Metric, name: str, cases: Sequence[FoundCase], patients: Patients, rules: Rules) -> Scored:
    if rules.is_enriched and metric.depends_on_prevalence:
        from_shares = "not shown: the sample is enriched, and this number depends on how many cases are positive"
        return Scored(metric, name, Interval(None, None, None, "none", patients.cases, patients.count, rules.level, from_shares))
    if metric.key == PATIENT_AUC.key:
        found = patient_level(name, cases)
        interval = auc_interval(found.truth, found.score, Patients.of(found.patients), found.fold, rules)
        return Scored(metric, name, interval if interval.estimate is not None else replace(interval, reason=metric.undefined))
    if metric.interval == "wilson":
        return Scored(metric, name, share_interval(metric, name, cases, rules))
    if metric.key == FP_PER_CASE.key and patients.count and not sums(metric.key, name, cases)[:, FALSE].any():
        return Scored(metric, name, none_seen(patients, rules.level))
    drawn = of_patients(class_statistic(metric, name, cases), patients)
    return Scored(metric, name, bootstrap_interval(drawn, patients, rules, metric.undefined))


def share_interval(metric: Metric, name: str, cases: Sequence[FoundCase], rules: Rules) -> Interval:
    """So many of so many objects: Wilson's interval, those of a patient taken together."""
    terms = sums(metric.key, name, cases)
    top, bottom = metric.parts or ((), ())
    hits = terms[:, list(top)].sum(1).astype(int)
    every = terms[:, list(bottom)].sum(1).astype(int)
    hit = np.concatenate([np.zeros(0), *(np.arange(n) < h for h, n in zip(hits, every, strict=True))])
    whose = Patients.of(np.repeat([case.patient_id for case in cases], every))
    return of_one_patient(proportion_interval(hit, np.ones(len(hit)), whose, rules.level, metric.undefined), whose)


def mean_score(metric: Metric, having: Sequence[str], cases: Sequence[FoundCase], patients: Patients, rules: Rules) -> Scored:
    """The plain mean over the classes that occur in the truth and for which it is defined."""
    named = replace(metric, formula=f"{metric.formula}; mean over classes, each counting alike (macro)")
    once = np.ones((1, len(cases)))
    every = [statistic(metric, name, cases) for name in having]
    statistics = [one for one in every if np.isfinite(one(once)).all()]
    if not statistics:
        nothing = Interval(None, None, None, "none", patients.cases, patients.count, rules.level, metric.undefined)
        return Scored(named, "mean", nothing)
    interval = bootstrap_interval(of_patients(mean_statistic(statistics), patients), patients, rules, metric.undefined)
    return Scored(named, "mean", interval)


def statistic(metric: Metric, name: str, cases: Sequence[FoundCase]) -> OfCases:
    return patient_level(name, cases).statistic() if metric.key == PATIENT_AUC.key else class_statistic(metric, name, cases)


def _rules(cases: Sequence[FoundCase], decisions: Mapping[int, Decisions]) -> dict[str, str]:
    words = dict.fromkeys(case.criterion.words for case in cases)
    merged = sorted({d.merge_overlap for d in decisions.values() if d.merge_overlap is not None})
    tidied = [f"of two of one class that overlap by more than {limit:g} the lower score is dropped" for limit in merged]
    tidied += ["answers below a least size are dropped"] if any(d.minimum_size for d in decisions.values()) else []
    return {
        "matching": "; ".join(words),
        "counts": COUNTS,
        "patients": PATIENTS,
        "post_processing": "; ".join(tidied) or "none: overlapping and small answers stay",
        "aggregation": "'mean' is the plain mean over classes that occur in the truth (macro); patients are resampled whole",
    }


def _left_out(scores: Sequence[Scored], having: Sequence[str]) -> list[str]:
    """Which classes a mean leaves out, as it is not defined for them though they occur: one that nobody answered has no PPV."""
    means = {scored.metric.key for scored in scores if scored.subject == "mean" and scored.interval.estimate is not None}
    without: dict[tuple[str, str], list[str]] = {}
    for scored in scores:
        if scored.subject in having and scored.metric.key in means and scored.interval.estimate is None:
            without.setdefault((scored.metric.name, scored.interval.reason), []).append(scored.subject)
    return [
        f"{name}: the mean over classes leaves out {', '.join(names)} ({reason})." for (name, reason), names in without.items()
    ]


def _notes(question: Question, cases: Sequence[FoundCase]) -> list[str]:
    """Cases without an object, and what was called in them."""
    clean = [case for case in cases if not case.truth.classes]
    called = [int(case.called.sum()) for case in clean]
    notes = []
    if clean:
        with_any = sum(n > 0 for n in called)
        notes.append(
            f"{len(clean)} of {len(cases)} cases hold no object; in {with_any} of them something was called, "
            f"{sum(called)} false positives in all ({sum(called) / len(clean):.2g} per such case)."
        )
    else:
        areas = "" if len(question.classes) > 1 else ", and the weighted AFROC area and the patient-level area need them"
        notes.append(f"Every case holds an object, so nothing is said of cases without findings{areas}.")
    absent = [name for name in question.classes if not any(name in case.truth.classes for case in cases)]
    if absent:
        notes.append(f"{', '.join(absent)}: no object in the truth of these cases; the means over classes leave it out.")
    return [
        *notes,
        *oddities(question, cases),
        *told([case.overshoot for case in cases], sum(len(case.answer.classes) for case in cases)),
    ]
