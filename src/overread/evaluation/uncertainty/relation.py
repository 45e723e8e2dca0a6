"""Uncertainty against error, by patient: does it part wrong answers from right ones, and does the error rise with it?

Each measure stands beside the plain confidence, which costs nothing: what it adds is the paired difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.core.score import Interval
from overread.evaluation.comparing.difference import difference_interval
from overread.evaluation.comparing.resampled import bootstrap_test
from overread.evaluation.finding import not_shown
from overread.evaluation.intervals.areas import auc_interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.curves import thin
from overread.metrics.ranking import Ranking
from overread.metrics.risk import RankCorrelation, Surest

ONE_KIND = "all answers are right, or all are wrong"
LEVEL = "the uncertainty, or the error, is the same in every case"
NO_CASE = "no case"
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Judged:
    """One answer with its error.

    error     0 is perfect: wrong or right (1, 0), 1 - Dice, an absolute error, a count of missed and false objects
    is_wrong  None where answers are more or less right
    unsure    by measure: more is less sure; None where not defined
    """

    case_id: str
    patient_id: str
    error: float
    is_wrong: bool | None
    unsure: Mapping[str, float | None]


def relation(judged: Sequence[Judged], measures: Sequence[str], baseline: str | None, rules: Rules) -> list[dict[str, Any]]:
    """A row per measure, the baseline last.

    baseline  the measure that the others are compared with on the same cases; None where there is none
    returns   measure, n_left_out (cases without it), detection (area under the ROC curve for wrong answers; None where answers
              are more or less right), spearman (the same for those), aurc (area under the risk-coverage curve), curve, and
              against: differences to the baseline by statistic, above 0 in favour of the measure
    """
    names = [*measures, *([baseline] if baseline else [])]
    return [_row(judged, name, baseline if name != baseline else None, rules) for name in names]


def _row(judged: Sequence[Judged], name: str, baseline: str | None, rules: Rules) -> dict[str, Any]:
    needed = [name] if baseline is None else [name, baseline]
    known = [one for one in judged if all(one.unsure.get(each) is not None for each in needed)]
    error = np.array([one.error for one in known], dtype=float)
    patients = Patients.of([one.patient_id for one in known])
    columns = [np.array([one.unsure[each] for one in known], dtype=float) for each in needed]
    is_binary = all(one.is_wrong is not None for one in judged)
    wrong = np.array([bool(one.is_wrong) for one in known], dtype=bool)
    key = "detection" if is_binary else "spearman"
    order = _detection(wrong, columns[0], patients, rules) if is_binary else _spearman(error, columns[0], patients, rules)
    row: dict[str, Any] = {
        "measure": name,
        "n_left_out": len(judged) - len(known),
        "detection": None,
        "spearman": None,
        "aurc": _area(error, columns[0], patients, rules, is_binary=is_binary).as_dict(),
        "curve": _curve(error, columns[0]),
        "against": {},
    }
    row[key] = order.as_dict()
    if baseline is not None and len(known):
        of = [_statistics(error, wrong, column, patients, is_binary=is_binary) for column in columns]
        for statistic, sign in ((key, 1.0), ("aurc", -1.0)):
            row["against"][statistic] = _difference(of[0][statistic], of[1][statistic], sign, patients, rules)
    return row


def _detection(wrong: np.ndarray, unsure: np.ndarray, patients: Patients, rules: Rules) -> Interval:
    if not 0 < wrong.sum() < len(wrong):
        return Interval(None, None, None, "none", patients.cases, patients.count, rules.level, ONE_KIND)
    return auc_interval(wrong, unsure, patients, np.zeros(len(wrong), dtype=int), rules)


def _spearman(error: np.ndarray, unsure: np.ndarray, patients: Patients, rules: Rules) -> Interval:
    if not len(error):
        return Interval(None, None, None, "none", 0, 0, rules.level, NO_CASE)
    return bootstrap_interval(RankCorrelation.of(error, unsure, patients.number).value, patients, rules, LEVEL)


def _area(error: np.ndarray, unsure: np.ndarray, patients: Patients, rules: Rules, *, is_binary: bool) -> Interval:
    if not len(error):
        return Interval(None, None, None, "none", 0, 0, rules.level, NO_CASE)
    if rules.is_enriched and is_binary:
        return not_shown(patients, rules)
    return bootstrap_interval(Surest.of(error, unsure).by_unit(patients.number).area, patients, rules, NO_CASE)


def _curve(error: np.ndarray, unsure: np.ndarray) -> dict[str, list[float]]:
    if not len(error):
        return {"coverage": [], "risk": []}
    coverage, risk = Surest.of(error, unsure).curve()
    keep = thin(coverage, risk)
    return {"coverage": [float(f"{v:.6g}") for v in coverage[keep]], "risk": [float(f"{v:.6g}") for v in risk[keep]]}


def _statistics(
    error: np.ndarray, wrong: np.ndarray, unsure: np.ndarray, patients: Patients, *, is_binary: bool
) -> dict[str, Statistic]:
    return {
        "detection": Ranking.of(wrong, unsure).by_unit(patients.number).auc,
        "spearman": RankCorrelation.of(error, unsure, patients.number).value,
        "aurc": Surest.of(error, unsure).by_unit(patients.number).area,
    }


def _difference(own: Statistic, other: Statistic, sign: float, patients: Patients, rules: Rules) -> dict[str, Any] | None:
    """Paired: both computed again on the same patients drawn anew; None where not defined on these cases."""
    test = bootstrap_test(lambda counts: sign * (own(counts) - other(counts)), patients.count, rules.seed)
    if test is None:
        return None
    return difference_interval(test, patients.cases, patients.count, rules.level).as_dict() | {
        "p": None if test.reason else test.p()
    }
