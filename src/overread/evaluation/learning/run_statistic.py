"""The score of one run as a function of how often each patient counts: what the bootstrap by patient draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.evaluation.comparing.compared import Row
from overread.evaluation.comparing.endpoints import MEANS, Endpoint, case_values, statistic
from overread.evaluation.intervals.bootstrap import Statistic
from overread.evaluation.intervals.patients import Patients


def run_statistic(endpoint: Endpoint, rows: Sequence[Row], fold: np.ndarray, patients: Patients) -> Statistic:
    """(r, P) how often each patient counts -> (r,) the score, NaN where it is not defined.

    rows  the cases of an evaluation;  fold (N,) fold of each
    """
    if endpoint.metric.key not in MEANS:
        return statistic(endpoint, rows, fold, patients.number)
    columns = case_values(endpoint, rows)
    known = [np.isfinite(values) for values in columns]
    totals = [
        patients.totals(np.stack([np.where(k, values, 0.0), k], axis=1))
        for k, values in zip(known, columns, strict=True)
        if k.any()
    ]

    def mean(counts: np.ndarray) -> np.ndarray:
        if not totals:
            return np.full(len(counts), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = [(counts @ t[:, 0]) / (counts @ t[:, 1]) for t in totals]
        return np.asarray(np.mean(means, axis=0))

    return mean


def scored_cases(endpoint: Endpoint, rows: Sequence[Row]) -> int:
    """How many cases have the score at all: a distance is not defined where nothing was found."""
    if endpoint.metric.key not in MEANS:
        return len(rows)
    return int(np.any([np.isfinite(values) for values in case_values(endpoint, rows)], axis=0).sum())
