"""Intervals for so many of so many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients

FEW_CASES = 20  # independent cases below which the exact interval is given: never narrower than it says, whatever the share


def wilson(hits: float, cases: float, level: float = 0.95, *, reach: float | None = None) -> tuple[float, float]:
    """Wilson's score interval (JASA 1927;22:209); `cases` may be an effective number. Never of zero width.

    reach  quantile in place of the normal one
    """
    z = stats.norm.ppf(0.5 + level / 2) if reach is None else reach
    share = hits / cases
    centre = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases) * np.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases))
    low = 0.0 if hits <= 0 else max(0.0, centre - half)
    high = 1.0 if hits >= cases else min(1.0, centre + half)
    return float(low), float(high)


def clopper_pearson(hits: float, cases: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval (Biometrika 1934;26:404); `cases` may be an effective number. Never of zero width."""
    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else float(stats.beta.ppf(tail, hits, cases - hits + 1))
    high = 1.0 if hits >= cases else float(stats.beta.ppf(1 - tail, hits + 1, cases - hits))
    return low, high


def lower_bound(hit: np.ndarray, patients: Patients, level: float = 0.95) -> float:
    """One-sided lower bound of a share, exact, with the effective number of cases where patients have several.

    Source: Korn and Graubard, Survey Methodology 1998;24:193.
    """
    effective = effective_cases(np.asarray(hit, float), patients) if patients.are_clustered else float(patients.cases)
    return clopper_pearson(float(np.mean(hit)) * effective, effective, 2 * level - 1)[0]


def proportion_interval(hit: np.ndarray, of: np.ndarray, patients: Patients, level: float, undefined: str) -> Interval:
    """Sum of `hit` over sum of `of`, with Wilson's interval; patients with several cases make it wider.

    hit, of  (N,) 0 or 1; only cases with `of` count

    Fewer than 20 cases of different patients: Clopper and Pearson's exact interval.

    Where cases outnumber patients, Wilson's interval takes the effective number of cases: cases divided by the design
    effect, which is the variance between patients over the variance of independent cases, never below 1; and Student's
    quantile (Korn and Graubard, Survey Methodology 1998;24:193; Dean and Pagano, J Surv Stat Methodol 2015;3:484). At
    0 % and 100 %, where the design effect cannot be seen, all cases of a patient are taken as one.
    """
    counted = of > 0
    hit, patients = np.asarray(hit, float)[counted], patients.select(counted)
    cases = patients.cases
    if cases == 0:
        return Interval(None, None, None, "Wilson", 0, 0, level, undefined)
    hits = float(hit.sum())
    share = hits / cases
    if not patients.are_clustered:
        few = cases < FEW_CASES
        low, high = clopper_pearson(hits, cases, level) if few else wilson(hits, cases, level)
        return Interval(share, low, high, "Clopper-Pearson (exact)" if few else "Wilson", cases, patients.count, level)
    effective = effective_cases(hit, patients)
    method = f"Wilson by patient (effective number of cases {effective:.1f})"
    if patients.count < 2:
        return Interval(share, None, None, method, cases, patients.count, level, "all cases are of one patient")
    reach = stats.t.ppf(0.5 + level / 2, patients.count - 1)
    low, high = wilson(share * effective, effective, level, reach=reach)
    return Interval(share, low, high, method, cases, patients.count, level)


def scaled(interval: Interval, scale: float) -> Interval:
    """The same of so many: 100 turns a share into so many of 100."""
    edges = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (None if edge is None else edge * scale for edge in edges)
    return replace(interval, estimate=estimate, low=low, high=high)


def effective_cases(hit: np.ndarray, patients: Patients) -> float:
    """How many independent cases say as much as these clustered ones."""
    sizes = np.bincount(patients.number)
    cases, share = sizes.sum(), float(hit.mean())
    if share in (0.0, 1.0) or patients.count < 2:
        return float(cases**2 / (sizes**2).sum())
    beyond = np.bincount(patients.number, weights=hit) - share * sizes
    variance = patients.count / (patients.count - 1) * (beyond**2).sum() / cases**2
    return float(cases / max(1.0, variance / (share * (1 - share) / cases)))
