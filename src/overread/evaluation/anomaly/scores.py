"""Scores of anomalies that were learned from normal cases alone: which cases, at which alarms, and which lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.core.kinds import Instances
from overread.core.question import Decisions, Question
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.objects.curves import froc_curves
from overread.evaluation.objects.found_case import FoundCase, found_case
from overread.evaluation.objects.statistics import of_marks, of_patients
from overread.evaluation.rules import Rules
from overread.metrics.anomaly import NAME, Alarm
from overread.metrics.curves import roc_curve
from overread.metrics.objects.marks import pool

MATCHING = "hit"  # a map of errors tells where, and seldom the outline
QUESTION = Question("instances", (NAME,), (1,))


@dataclass(frozen=True)
class Drawn:
    """A case in which a reader drew the lesions.

    truth  what was drawn; without any for a case that has none
    found  the regions, by `metrics.anomaly.as_objects`
    """

    case_id: str
    patient_id: str
    truth: Instances
    found: Instances


def case_scores(is_abnormal: np.ndarray, score: np.ndarray, patients: Patients, alarm: Alarm, rules: Rules) -> dict[str, Any]:
    """is_abnormal (N,) bool, score (N,) of `metrics.anomaly.case_score`: area, curve, and what the alarm does."""
    called = (score >= alarm.threshold).astype(float)
    rate_of = "of normal cases raise an alarm"

    def share(which: np.ndarray, undefined: str) -> dict[str, Any]:
        return proportion_interval(called, which.astype(float), patients, rules.level, undefined).as_dict()

    both = 0 < is_abnormal.sum() < len(is_abnormal)
    return {
        "n_cases": len(score),
        "n_patients": patients.count,
        "auc": area_interval(area(is_abnormal, score, patients), patients, rules.level).as_dict(),
        "roc": roc_curve(is_abnormal, score) if both else None,
        "threshold": alarm.threshold,
        "voxels": alarm.voxels,
        "rule": f"at most {alarm.rate:.0%} {rate_of}; fitted on {alarm.n_patients} normal patients of the tuning partition",
        "sensitivity": share(is_abnormal, "no case is abnormal"),
        "false_alarms": share(~is_abnormal, "no case is normal"),
    }


def lesion_scores(cases: Sequence[Drawn], rules: Rules, matching: str = MATCHING) -> dict[str, Any]:
    """FROC with its band, and the mean sensitivity at 1/8 to 8 false regions per case with its interval by patient."""
    found = [_found(case, matching) for case in cases]
    patients = Patients.of([case.patient_id for case in cases])
    marks = pool([case.matched for case in found])
    statistic = of_patients(of_marks("froc", marks), patients)
    return {
        "n_cases": len(cases),
        "n_patients": patients.count,
        "lesions": len(marks.truth_case),
        "regions": len(marks.answer_case),
        "froc": bootstrap_interval(statistic, patients, rules, "no lesion was drawn").as_dict(),
        "curve": _curve(found, patients, rules),
        "criterion": found[0].criterion.words if found else "",
    }


def _found(case: Drawn, matching: str) -> FoundCase:
    return found_case(QUESTION, case.case_id, case.patient_id, case.truth, case.found, Decisions(), matching)


def _curve(found: Sequence[FoundCase], patients: Patients, rules: Rules) -> Mapping[str, Any] | None:
    curve: Mapping[str, Any] | None = froc_curves(QUESTION, found, patients, rules).get(NAME)
    return curve
