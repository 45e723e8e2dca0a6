"""How far runs of one recipe, or the folds of one run, lie apart: what stands beside the interval about patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.evaluation.answered import NO_FOLD
from overread.evaluation.comparing.compared import Lined, Row
from overread.evaluation.comparing.endpoints import MEANS, Endpoint, case_values, statistic
from overread.evaluation.intervals.patients import Patients


def run_values(lined: Lined, endpoint: Endpoint, contender: int) -> list[float | None]:
    """The endpoint of each run of a contender alone."""
    return [_value(endpoint, rows, lined.fold, lined.patients) for rows in lined.rows[contender]]


def fold_values(lined: Lined, endpoint: Endpoint, contender: int) -> list[float | None]:
    """The endpoint of each fold alone, of the only run of a contender; empty where there are no folds."""
    numbers = np.unique(lined.fold[lined.fold != NO_FOLD])
    if len(lined.rows[contender]) > 1 or len(numbers) < 2:
        return []
    rows, found = lined.rows[contender][0], []
    for k in numbers:
        own = lined.fold == k
        inside = [row for row, here in zip(rows, own, strict=True) if here]
        found.append(_value(endpoint, inside, lined.fold[own], lined.patients.select(own)))
    return found


def _value(endpoint: Endpoint, rows: Sequence[Row], fold: np.ndarray, patients: Patients) -> float | None:
    if endpoint.metric.key in MEANS and not endpoint.question.is_of_objects:
        means = [float(np.nanmean(c)) for c in case_values(endpoint, rows) if np.isfinite(c).any()]
        return float(np.mean(means)) if means else None
    value = float(statistic(endpoint, rows, fold, patients.number)(np.ones((1, patients.count)))[0])
    return value if np.isfinite(value) else None
