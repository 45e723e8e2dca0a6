"""If the reference standard is sometimes wrong: sensitivity and specificity re-estimated under an assumed label error.

What is measured is agreement with the reference standard. Where the reference misses some of the diseased and calls some
of the healthy diseased, independently of the model's own errors, the cross table can be solved for the model against
disease (Rogan and Gladen, Am J Epidemiol 1978;107:71; Staquet et al., J Chronic Dis 1981;34:599). Where both err on the
same cases, as with hard cases they may, the truth is worse than any of these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules

ASSUMED = ((0.0, 0.0), (0.05, 0.0), (0.0, 0.05), (0.05, 0.05), (0.1, 0.1))  # (share missed, share falsely called)
BOTH, MODEL, REFERENCE, NEITHER = range(4)  # who calls a case positive


def cross_terms(truth: np.ndarray, called: np.ndarray) -> np.ndarray:
    """(N, 4) one-hot: positive by both, by the model alone, by the reference alone, by neither."""
    return np.stack([truth & called, ~truth & called, truth & ~called, ~truth & ~called], -1).astype(float)


def solved(sums: np.ndarray, *, missed: float, false: float, want: str) -> np.ndarray:
    """(..., 4) sums of the cross table -> (...) sensitivity or specificity of the model against disease.

    missed  share of the diseased that the reference calls healthy
    false   share of the healthy that the reference calls diseased
    want    "sensitivity" or "specificity"

    NaN where so much label error cannot have made this table: the value would lie outside 0 to 1.
    """
    share = sums / np.maximum(sums.sum(-1, keepdims=True), 1)
    by_model, by_reference = share[..., BOTH] + share[..., MODEL], share[..., BOTH] + share[..., REFERENCE]
    if want == "sensitivity":
        top, bottom = by_model * (1 - false) - share[..., MODEL], by_reference - false
    else:
        top, bottom = (1 - by_model) * (1 - missed) - share[..., REFERENCE], 1 - missed - by_reference
    with np.errstate(divide="ignore", invalid="ignore"):
        value = top / bottom
    possible = (bottom > 0) & (value >= -1e-9) & (value <= 1 + 1e-9)
    return np.where(possible, np.clip(value, 0, 1), np.nan)


def under_label_error(
    truth: np.ndarray, called: np.ndarray, patients: Patients, rules: Rules, assumed: Sequence[tuple[float, float]] = ASSUMED
) -> list[dict[str, Any]]:
    """One row per assumed label error.

    truth, called  (N,) bool: the reference standard, and the model's call at its frozen threshold
    returns        rows of {"missed", "false", "sensitivity": Interval as a dictionary, "specificity": likewise}
    """
    terms = cross_terms(truth, called)
    return [
        {
            "missed": missed,
            "false": false,
            **{want: _interval(terms, patients, rules, missed, false, want) for want in ("sensitivity", "specificity")},
        }
        for missed, false in assumed
    ]


def _interval(terms: np.ndarray, patients: Patients, rules: Rules, missed: float, false: float, want: str) -> dict[str, Any]:
    from_sums = partial(solved, missed=missed, false=false, want=want)
    undefined = "so much label error, independent of the model's errors, cannot have made these counts"
    interval: Interval = bootstrap_interval(of_sums(patients, terms, from_sums), patients, rules, undefined)
    return interval.as_dict()


def of_evaluation(evaluation: Mapping[str, Any], rules: Rules) -> list[dict[str, Any]]:
    """The rows for an evaluation file; none where it does not ask for one finding against the other class."""
    question = evaluation["question"]
    positive = question.get("positive")
    if evaluation["task"] != "classification" or positive not in question["classes"] or len(question["classes"]) != 2:
        return []
    rows = [row for row in evaluation["cases"] if row["truth"] is not None and "called" in row]
    if not rows:
        return []
    truth = np.array([row["truth"] == positive for row in rows])
    # a case that was refused counts as an error, as in every other score
    called = np.array([row["truth"] != positive if row.get("refused") else positive in row["called"] for row in rows])
    return under_label_error(truth, called, Patients.of([row["patient_id"] for row in rows]), rules)
