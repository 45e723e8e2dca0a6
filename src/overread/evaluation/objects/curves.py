"""Curves of objects for the evaluation file: FROC with its band, precision and recall of objects, ROC of patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.intervals.bootstrap import FEWEST_PATIENTS, draws
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.objects.at_hits import AtHits
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.objects.patient_level import patient_level
from overread.evaluation.rules import Rules
from overread.metrics import curves
from overread.metrics.objects.froc import froc_curve
from overread.metrics.objects.marks import Marks, pool
from overread.metrics.ranking import auc

BAND_DRAWS = 500
MOST_POINTS = 200
ALL = "all"  # objects of all classes together


def froc_curves(question: Question, cases: Sequence[FoundCase], patients: Patients, rules: Rules) -> dict[str, Any]:
    """Per class, and of all together where there are several; empty where the truth holds none.

    low, high  pointwise ends of the band, from drawing patients anew; None where they are too few
    """
    found = {}
    for name in (*question.classes, *([ALL] if len(question.classes) > 1 else [])):
        marks = pool([case.matched for case in cases], None if name == ALL else name)
        if len(marks.truth_case):
            found[name] = _froc(marks, patients, rules)
    return found


def _froc(marks: Marks, patients: Patients, rules: Rules) -> dict[str, Any]:
    curve = froc_curve(marks)
    keep = _thin(curve.fp_per_case, curve.sensitivity)
    rates = curve.fp_per_case[keep]
    low, high = _band(marks, rates, patients, rules)
    return {
        "fp_per_case": _plain(rates),
        "sensitivity": _plain(curve.sensitivity[keep]),
        "low": low,
        "high": high,
        "threshold": _plain(curve.threshold[keep]),
    }


def _band(marks: Marks, rates: np.ndarray, patients: Patients, rules: Rules) -> tuple[list[float | None], list[float | None]]:
    if patients.count < FEWEST_PATIENTS:
        return [None] * len(rates), [None] * len(rates)
    counts = draws(patients.count, min(BAND_DRAWS, rules.resamples), rules.seed).astype(float)[:, patients.number]
    values = AtHits.of_marks(marks).sensitivity_at(tuple(rates), counts)
    values = values[np.isfinite(values).all(1)]
    if not len(values):
        return [None] * len(rates), [None] * len(rates)
    low, high = np.quantile(values, [0.5 - rules.level / 2, 0.5 + rules.level / 2], axis=0)
    return list(_plain(low)), list(_plain(high))


def _thin(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The last point of each sensitivity and the first of the next, at most 200 in all."""
    if not len(across):
        return np.zeros(0, int)
    rises = np.flatnonzero(np.diff(up) > 0)
    places = np.unique(np.r_[0, rises, rises + 1, len(up) - 1])
    return places[np.unique(np.linspace(0, len(places) - 1, min(MOST_POINTS, len(places))).astype(int))]


def pr_curves(question: Question, cases: Sequence[FoundCase]) -> dict[str, Any]:
    """Per class precision and recall of objects at every threshold, by the criterion of the evaluation; no prevalence exists."""
    found: dict[str, Any] = {}
    for name in question.classes:
        marks = pool([case.matched for case in cases], name)
        order = np.argsort(-marks.score, kind="stable")
        hits = np.cumsum(marks.is_hit[order])
        if not len(marks.truth_case) or not len(order):
            continue
        recall, precision = hits / len(marks.truth_case), hits / np.arange(1, len(order) + 1)
        keep = curves.thin(recall, precision)
        found[name] = {"recall": _plain(recall[keep]), "precision": _plain(precision[keep]), "prevalence": None}
    return found


def roc_curves(question: Question, cases: Sequence[FoundCase]) -> dict[str, Any]:
    """Per class the ROC curve of patients; nothing where all or none of them have an object of it."""
    found = {}
    for name in question.classes:
        patients = patient_level(name, cases)
        if 0 < patients.truth.sum() < len(patients.truth):
            area = auc(patients.truth, patients.score)
            found[name] = {**curves.roc_curve(patients.truth, patients.score), "auc": area}
    return found


def _plain(values: np.ndarray) -> list[float]:
    return [float(f"{v:.6g}") for v in values]
