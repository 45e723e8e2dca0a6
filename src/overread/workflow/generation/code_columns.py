"""Whether a number of the code goes with a number of the sheet, such as age: correlations with intervals by patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.core.case import Case
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules

FEWEST = 10  # cases with a value, and different values at least half as many: below, a column is passed over
UNDEFINED = "one of the two does not vary"


def with_columns(
    cases: Sequence[Case], codes: np.ndarray, dimensions: Sequence[int], names: Sequence[str], rules: Rules
) -> list[dict[str, Any]]:
    """Pearson's correlation of some numbers of the codes (N, L) with every numeric column of the sheet.

    dimensions  which numbers, from 0; chosen without a look at the columns
    names       of the columns that are looked at
    """
    rows = []
    for name in names:
        values = np.array([_number(case.covariates.get(name)) for case in cases])
        known = np.isfinite(values)
        if known.sum() < FEWEST or len(set(values[known])) < FEWEST // 2:
            continue
        patients = Patients.of([case.patient_id for case, is_known in zip(cases, known, strict=True) if is_known])
        for k in dimensions:
            found = bootstrap_interval(
                of_sums(patients, _terms(codes[known, k], values[known]), _pearson), patients, rules, UNDEFINED
            )
            rows.append({"column": name, "dimension": k + 1, "interval": found.as_dict()})
    return rows


def numeric_columns(cases: Sequence[Case]) -> list[str]:
    """Columns of the sheet that hold a number wherever they hold anything."""
    names = list(dict.fromkeys(name for case in cases for name in case.covariates))
    cells = {name: [c.covariates[name] for c in cases if c.covariates.get(name) not in (None, "")] for name in names}
    return [name for name in names if cells[name] and all(np.isfinite(_number(cell)) for cell in cells[name])]


def _number(cell: Any) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return float("nan")


def _terms(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, 6) what a correlation is a sum of, of numbers centred and scaled beforehand so that nothing cancels."""
    one, other = ((v - v.mean()) / (v.std() or 1.0) for v in (one, other))
    return np.stack([np.ones_like(one), one, other, one * one, other * other, one * other], axis=1)


def _pearson(sums: np.ndarray) -> np.ndarray:
    """(..., 6) sums to (...) correlations."""
    n, x, y, xx, yy, xy = np.moveaxis(sums.astype(float), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (xx - x * x / n) * (yy - y * y / n)
        return np.where(spread > 1e-12, (xy - x * y / n) / np.sqrt(spread), np.nan)
