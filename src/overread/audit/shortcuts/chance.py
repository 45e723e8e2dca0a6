"""What chance alone would show, where whole patients change places.

Labels are handed from patient to patient, each patient's cases together, so that cases of one patient are never taken
as independent. Of several things looked at, the greatest of each such permutation is kept: a share of `level` of all
clean cohorts raises any alarm at all, however many things are looked at and however they hang together (Westfall and
Young, Resampling-based multiple testing, 1993, max-T).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from overread.audit.audited import AuditedCase
from overread.evaluation.intervals.patients import Patients

# How often a clean cohort may raise an alarm, by what is looked at; 5 % together.
ALARMS = {"probes": 0.015, "site": 0.005, "acquisition": 0.02, "marks": 0.01}
FEWEST_PATIENTS = 10  # of a group; below, nothing is said
MOST_CASES = 5000  # more would make no shortcut clearer; whole patients are drawn
FEWEST_PERMUTATIONS = 999
AT_ONCE = 1 << 21  # numbers held at once


def permutations_for(level: float) -> int:
    """So many that a p value can fall to half of `level`."""
    return max(FEWEST_PERMUTATIONS, ceil(2 / level) - 1)


def exchanged(patients: Patients, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, N) place of the case whose label each case receives; a patient receives from one other patient.

    A patient with more cases than the giver receives labels of the giver repeatedly, one with fewer receives some.
    """
    order = np.argsort(patients.number, kind="stable")
    sizes = np.bincount(patients.number, minlength=patients.count)
    starts = np.cumsum(sizes) - sizes
    within = np.empty(patients.cases, int)
    within[order] = np.arange(patients.cases) - np.repeat(starts, sizes)
    received = np.empty((count, patients.cases), np.int32)
    step = max(1, AT_ONCE // max(1, patients.cases))
    for start in range(0, count, step):
        some = received[start : start + step]
        giver = random.random((len(some), patients.count)).argsort(axis=1)
        turn = (random.random(giver.shape) * sizes[giver]).astype(int)
        giver, turn = giver[:, patients.number], turn[:, patients.number]
        some[:] = order[starts[giver] + (within + turn) % sizes[giver]]
    return received


def standardised(observed: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,) and (B, T) values in standard deviations from what chance gives on the average; 0 where there is no spread."""
    together = np.vstack([observed, chance])
    mean, spread = np.nanmean(together, axis=0), np.nanstd(together, axis=0)
    scaled = np.nan_to_num((together - mean) / np.where(spread > 1e-12, spread, np.inf), nan=0.0)
    return scaled[0], scaled[1:]


def family_wise(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(T,) p values: how often the greatest of all T things reaches the observed (T,) value; chance (B, T)."""
    greatest = chance.max(axis=1)
    return (1 + (greatest[:, None] >= observed - 1e-9).sum(0)) / (len(chance) + 1)


def cramers_v(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How strongly two categories go together, 0 (not) to 1 (one tells the other).

    one    (N,) codes from 0
    other  (N,) or (B, N) codes from 0
    """
    rows = np.atleast_2d(other)
    left, right = _indicators(one), int(rows.max()) + 1
    counts = np.stack([(rows == k).astype(np.float64) @ left for k in range(right)], axis=2)  # (B, levels, levels)
    expected = counts.sum(2, keepdims=True) * counts.sum(1, keepdims=True) / len(one)
    squares = np.divide((counts - expected) ** 2, expected, out=np.zeros_like(counts), where=expected > 0).sum((1, 2))
    least = max(min(left.shape[1], right) - 1, 1)
    values = np.sqrt(squares / (len(one) * least))
    return values if np.ndim(other) == 2 else values[0]


def _indicators(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.arange(int(codes.max()) + 1)).astype(np.float64)


def drawn(cases: Sequence[AuditedCase], random: np.random.Generator) -> list[AuditedCase]:
    """The cases that `chosen` draws."""
    some = chosen(Patients.of([case.patient_id for case in cases]), random)
    return [case for case, is_chosen in zip(cases, some, strict=True) if is_chosen]


def chosen(patients: Patients, random: np.random.Generator, most: int = MOST_CASES) -> np.ndarray:
    """(N,) bool: all cases, or those of so many randomly drawn patients that `most` cases are not much exceeded."""
    if patients.cases <= most:
        return np.ones(patients.cases, bool)
    order = random.permutation(patients.count)
    sizes = np.bincount(patients.number, minlength=patients.count)
    return np.isin(patients.number, order[: int(np.searchsorted(np.cumsum(sizes[order]), most)) + 1])


def patients_per_level(codes: np.ndarray, patients: Patients, levels: int) -> list[int]:
    """How many patients have a case of each level."""
    return [len(np.unique(patients.number[codes == k])) for k in range(levels)]
