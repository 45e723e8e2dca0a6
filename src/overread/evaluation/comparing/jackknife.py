"""Differences of scores that are no plain means (predictive values, F1, correlations): leave out each patient in turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from overread.evaluation.comparing.difference import NoTest, Test, students_test

METHOD = "jackknife by patient, Student's t"
CHUNK = 1 << 22  # numbers held at once

Statistic = Callable[[np.ndarray], np.ndarray]  # (r, P) how often each patient counts -> (r,) values, NaN where not defined


def jackknife_test(difference: Statistic, patients: int) -> Test | None:
    """The difference with its jackknife standard error and P - 1 degrees of freedom; None where it is not defined.

    Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans, SIAM 1982, chapter 3. Leaving out whole patients
    keeps it right where a patient has several cases.
    """
    estimate = float(difference(np.ones((1, patients)))[0])
    if not np.isfinite(estimate):
        return None
    without = left_out(difference, patients)
    if patients < 3 or not np.isfinite(without).all():
        return NoTest(estimate, METHOD, "too few patients: without one of them a score is not defined")
    error = float(np.sqrt((patients - 1) / patients * ((without - without.mean()) ** 2).sum()))
    return students_test(estimate, error, METHOD, patients - 1, why_none="every patient left out gives the same difference")


def left_out(statistic: Statistic, units: int) -> np.ndarray:
    """(P,) the statistic without each unit in turn."""
    step = max(1, CHUNK // units)
    parts = []
    for start in range(0, units, step):
        counts = np.ones((min(step, units - start), units))
        counts[np.arange(len(counts)), np.arange(start, start + len(counts))] = 0
        parts.append(statistic(counts))
    return np.concatenate(parts)
