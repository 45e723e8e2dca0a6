"""A model beside readers, by agreement alone: does it agree with them as they agree among themselves?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from overread.evaluation.comparing.difference import NoTest, Test, students_test
from overread.evaluation.comparing.jackknife import left_out
from overread.evaluation.intervals.patients import Patients
from overread.metrics.readers import kappa_from_sums, pair_terms, weights

METHOD = "jackknife by patient, and by reader added to it; Student's t"
FEWEST_READERS = 3  # with two, leaving one out leaves no pair


def kappas(first: np.ndarray, others: np.ndarray, patients: Patients) -> Callable[[np.ndarray], np.ndarray]:
    """Cohen's kappa of calls (N,) with each of (R, N), as a function of how often each patient counts: (r, P) -> (R, r)."""
    tables = [_table(first, other, patients) for other in others]
    return lambda counts: np.stack([kappa_from_sums(weights(2, 0), counts @ table) for table in tables])


def model_less_readers(calls: np.ndarray, model: np.ndarray, patients: Patients) -> tuple[float, float, Test] | None:
    """Mean kappa among readers, mean kappa of the model with them, and the test of their difference; None where undefined.

    calls (R, N) and model (N,) of 0 and 1
    """
    readers = len(calls)
    with_model = [_table(model, own, patients) for own in calls]
    among = {pair: _table(calls[pair[0]], calls[pair[1]], patients) for pair in combinations(range(readers), 2)}

    def means(counts: np.ndarray, used: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        pairs = [table for pair, table in among.items() if set(pair) <= set(used)]
        own = [with_model[j] for j in used]
        among_them, with_it = (
            np.mean([kappa_from_sums(weights(2, 0), counts @ table) for table in tables], axis=0) for tables in (pairs, own)
        )
        return among_them, with_it

    everybody, once = tuple(range(readers)), np.ones((1, patients.count))
    reference, value = (float(v[0]) for v in means(once, everybody))
    if not np.isfinite([reference, value]).all():
        return None
    estimate = value - reference
    by_patient = left_out(lambda counts: np.subtract(*means(counts, everybody)[::-1]), patients.count)
    others = [[j for j in everybody if j != gone] for gone in everybody] if readers >= FEWEST_READERS else []
    by_reader = np.array([float(np.subtract(*means(once, used)[::-1])[0]) for used in others])
    if not np.isfinite(by_patient).all() or not np.isfinite(by_reader).all():
        return reference, value, NoTest(estimate, METHOD, "without one patient or reader a kappa is not defined")
    parts = [(_jackknife(v), len(v) - 1) for v in (by_patient, by_reader) if len(v)]
    total = sum(variance for variance, _ in parts)
    freedom = total**2 / max(sum(variance**2 / count for variance, count in parts), 1e-300)
    method = METHOD if len(by_reader) else "jackknife by patient, for these two readers; Student's t"
    return (
        reference,
        value,
        students_test(estimate, float(np.sqrt(total)), method, freedom, why_none="every patient left out gives the same"),
    )


def _table(first: np.ndarray, second: np.ndarray, patients: Patients) -> np.ndarray:
    """(P, 4) cells of the table of two, by patient."""
    return patients.totals(pair_terms(first.astype(int), second.astype(int), 2))


def _jackknife(values: np.ndarray) -> float:
    return float((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum())
