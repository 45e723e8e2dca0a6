"""Answers that know how sure they are: do the sets and intervals hold the truth, and are the surest calls the right ones?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import Answered
from overread.evaluation.decisions.conformal import COVERAGE
from overread.evaluation.finding import not_shown
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums, number
from overread.metrics import certainty
from overread.metrics.curves import thin
from overread.metrics.metric import Metric, mean_terms
from overread.metrics.ranking import Ranking

STATED = f"stated share {100 * COVERAGE:g} %"


def _named(metric: Metric, whose: str = "") -> Metric:
    return replace(metric, name=f"{metric.name}, {STATED}{whose}", formula=f"{metric.formula}; {STATED}")


def _share(metric: Metric, subject: str, hit: np.ndarray, patients: Patients, rules: Rules) -> Scored:
    if rules.is_enriched and metric.depends_on_prevalence:
        return Scored(metric, subject, not_shown(patients, rules))
    return Scored(metric, subject, proportion_interval(hit, np.ones(len(hit)), patients, rules.level, metric.undefined))


def set_scores(question: Question, table: Answered, rules: Rules) -> list[Scored]:
    """Coverage of each class, and how large the sets are; empty where the model has no limits."""
    if table.region is None:
        return []
    known = np.isfinite(table.truth) & np.isfinite(table.answer)
    scores = []
    for k, name in enumerate(question.classes):
        inside = np.where(table.truth[:, k] > 0.5, table.region[:, k, 1], table.region[:, k, 0])
        own = known[:, k] & (table.truth[:, k] > 0.5) if question.exclusive else known[:, k]
        whose = f", of cases of {name}" if question.exclusive else ""
        scores.append(_share(_named(certainty.COVERAGE, whose), name, inside[own], table.patients.select(own), rules))
    if not question.exclusive:
        return scores
    whole = known.all(1)
    patients, size = table.patients.select(whole), table.region[whole, :, 1].sum(1)
    if rules.is_enriched:
        scores.append(Scored(_named(certainty.SET_SIZE), "all", not_shown(patients, rules)))
    else:
        scores.append(by_sums(_named(certainty.SET_SIZE), "all", mean_terms(size), patients, rules))
    return [*scores, _share(_named(certainty.SINGLE), "all", (size == 1).astype(float), patients, rules)]


def interval_scores(k: int, name: str, unit: str, table: Answered, rules: Rules) -> list[Scored]:
    """Coverage and width of the intervals of one quantity; empty where the model has no limits."""
    if table.region is None:
        return []
    low, high = table.region[:, k, 0], table.region[:, k, 1]
    known = np.isfinite(table.truth[:, k]) & np.isfinite(table.answer[:, k])
    truth, patients = table.truth[:, k], table.patients.select(known)
    inside = ((truth >= low) & (truth <= high)).astype(float)[known]
    width = (high - low)[known]
    wide = float(np.mean(width[~np.isnan(width)])) if (~np.isnan(width)).any() else np.nan
    reason = (
        "fixed on tuning cases; nothing to estimate"
        if np.isfinite(wide)
        else "too few tuning patients for an interval with an end"
    )
    shown = Interval(number(wide), None, None, "none", patients.cases, patients.count, rules.level, reason)
    return [
        _share(_named(certainty.COVERAGE), name, inside, patients, rules),
        Scored(replace(_named(certainty.WIDTH), unit=unit), name, shown),
    ]


def confidence(table: Answered, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether the call is wrong, and the probability of the class that was called; exclusive classes."""
    called = table.called[known].argmax(1)
    return called != table.truth[known].argmax(1), table.answer[known][np.arange(len(called)), called]


def risk_coverage(table: Answered, known: np.ndarray, rules: Rules) -> tuple[Scored, dict[str, Any]]:
    """The share of wrong calls among the surest cases: its area with interval, and the curve."""
    patients = table.patients.select(known)
    if rules.is_enriched:
        return Scored(certainty.AURC, "all", not_shown(patients, rules)), {}
    wrong, sure = confidence(table, known)
    errors = Ranking.of(wrong, sure).by_unit(patients.number)
    interval = bootstrap_interval(partial(certainty.aurc, errors), patients, rules, certainty.AURC.undefined)
    return Scored(certainty.AURC, "all", interval), {"all": risk_curve(wrong, sure)} if len(wrong) else {}


def risk_curve(wrong: np.ndarray, sure: np.ndarray) -> dict[str, Any]:
    """Coverage (share of cases answered), risk (share of wrong calls among them) and the confidence that parts them."""
    errors, right = Ranking.of(wrong, sure).steps()
    answered = np.cumsum(errors[0] + right[0])
    coverage, risk = answered / len(wrong), np.cumsum(errors[0]) / answered
    keep = thin(coverage, risk)
    values = {"coverage": coverage, "risk": risk, "confidence": np.unique(sure)[::-1]}
    return {key: [float(f"{v:.6g}") for v in column[keep]] for key, column in values.items()}
