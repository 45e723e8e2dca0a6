"""The bootstrap by patient: draw patients with replacement, each with all its cases, thousands of times at once.

Intervals are bias-corrected and accelerated (BCa; Efron, JASA 1987;82:171) with tails widened for small samples
(Hesterberg, Am Stat 2015;69:371): the normal quantile gives way to Student's times sqrt(P / (P - 1)) for P patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.metric import FromSums

FEWEST_PATIENTS = 5  # below, resampling says nothing
FEW_PATIENTS = 20  # below, intervals are known to be too narrow (tests/evaluation/test_coverage.py)
MOST_JACKKNIFE = 2000  # patients; beyond, the acceleration is too near 0 to matter
CHUNK = 1 << 20  # numbers held at once

Statistic = Callable[[np.ndarray], np.ndarray]  # (r, P) how often each patient counts -> (r,) values


@lru_cache(maxsize=4)
def draws(patients: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, patients) uint8: how often each patient is drawn; the same draws for every metric."""
    random = np.random.default_rng(seed)
    counts = np.empty((resamples, patients), np.uint8)
    for start, stop in _chunks(resamples, patients):
        picked = random.integers(0, patients, (stop - start, patients), dtype=np.int32)
        picked += (np.arange(stop - start, dtype=np.int32) * patients)[:, None]
        counts[start:stop] = np.bincount(picked.ravel(), minlength=picked.size).reshape(picked.shape)
    counts.setflags(write=False)
    return counts


def of_sums(patients: Patients, terms: np.ndarray, from_sums: FromSums) -> Statistic:
    """A metric that is a function of sums over cases; terms (N, K)."""
    return of_totals(patients.totals(terms), from_sums)


def of_totals(totals: np.ndarray, from_sums: FromSums) -> Statistic:
    """A metric of sums over patients; totals (P, K)."""
    return partial(_sum_statistic, totals, from_sums)


def bootstrap_interval(statistic: Statistic, patients: Patients, rules: Rules, undefined: str) -> Interval:
    """Estimate and interval of a statistic.

    undefined  why there is no value, where there is none
    """
    sampled = "cluster bootstrap" if patients.are_clustered else "bootstrap"
    make = partial(
        Interval,
        method=f"{sampled} by patient (BCa, {rules.resamples} resamples)",
        n_cases=patients.cases,
        n_patients=patients.count,
        level=rules.level,
    )
    estimate = float(statistic(np.ones((1, patients.count)))[0]) if patients.count else float("nan")
    if not np.isfinite(estimate):
        return make(None, None, None, reason=undefined)
    if patients.count < FEWEST_PATIENTS:
        return make(
            estimate,
            None,
            None,
            reason=f"{patients.count} {'patient is' if patients.count == 1 else 'patients are'} too few to resample",
        )
    values = _values(statistic, draws(patients.count, rules.resamples, rules.seed))
    values = values[np.isfinite(values)]
    if len(values) < 0.9 * rules.resamples:
        share = 1 - len(values) / rules.resamples
        return make(estimate, None, None, reason=f"not defined in {share:.0%} of the resamples: too few patients of one kind")
    if np.ptp(values) <= 1e-12 * max(1.0, abs(estimate)):
        return make(estimate, None, None, reason="all patients score alike: resampling cannot tell")
    low, high = _bca(values, estimate, _jackknife(statistic, patients.count), patients.count, rules.level)
    if high - low <= 1e-12 * max(1.0, abs(estimate)):
        return make(estimate, None, None, reason="nearly all resamples score alike: resampling cannot tell")
    few = f"fewer than {FEW_PATIENTS} patients: expect this interval to be too narrow" if patients.count < FEW_PATIENTS else ""
    return make(estimate, low, high, reason=few)


def _sum_statistic(totals: np.ndarray, from_sums: FromSums, counts: np.ndarray) -> np.ndarray:
    return from_sums(counts @ totals)


def _chunks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = max(1, CHUNK // max(columns, 1))
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def _values(statistic: Statistic, counts: np.ndarray) -> np.ndarray:
    parts = [statistic(counts[start:stop].astype(float)) for start, stop in _chunks(*counts.shape)]
    return np.concatenate(parts)


def _jackknife(statistic: Statistic, patients: int) -> np.ndarray:
    """(P,) the statistic without each patient in turn; empty where that would not matter."""
    if patients > MOST_JACKKNIFE:
        return np.zeros(0)
    parts = []
    for start, stop in _chunks(patients, patients):
        counts = np.ones((stop - start, patients))
        counts[np.arange(stop - start), np.arange(start, stop)] = 0
        parts.append(statistic(counts))
    values = np.concatenate(parts)
    return values[np.isfinite(values)]


def _bca(values: np.ndarray, estimate: float, jackknife: np.ndarray, patients: int, level: float) -> tuple[float, float]:
    below = (np.count_nonzero(values < estimate) + 0.5 * np.count_nonzero(values == estimate)) / len(values)
    bias = stats.norm.ppf(np.clip(below, 1 / len(values), 1 - 1 / len(values)))
    pull = jackknife.mean() - jackknife if len(jackknife) else np.zeros(1)
    spread = (pull**2).sum()
    acceleration = (pull**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    reach = stats.t.ppf(0.5 + level / 2, patients - 1) * np.sqrt(patients / (patients - 1))
    shifted = bias + np.array([-reach, reach])
    places = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(values, places)
    return float(low), float(high)
