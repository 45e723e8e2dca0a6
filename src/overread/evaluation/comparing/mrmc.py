"""Several readers, the same cases: scores that vary with the reader and with the patients (Obuchowski and Rockette).

Readers stand for all readers like them, patients for all patients like them, so both are random; a model is one and the
same for everybody, so it is fixed. Every reader reads every case (fully crossed).

Sources: Obuchowski and Rockette, Commun Stat Simul Comput 1995;24:285; degrees of freedom of Hillis, Stat Med 2007;26:596;
a fixed model against random readers as one condition whose scores are differences from the model's (Hillis et al., Stat Med
2005;24:1579, one condition; Hupse et al., Radiology 2013;266:123, its use for a model by itself).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.evaluation.comparing.difference import Test, students_test

METHOD = "Obuchowski-Rockette, readers and patients random, Hillis's degrees of freedom"
ALIKE = "neither readers nor patients vary in it, so these reads cannot tell how sure it is"


@dataclass(frozen=True)
class Components:
    """Mean variance of a score, and mean covariances of two scores.

    same_reader     one reader, two conditions (Cov1)
    same_condition  two readers, one condition (Cov2)
    neither         two readers, two conditions (Cov3)
    """

    error: float
    same_reader: float
    same_condition: float
    neither: float


def components(covariance: np.ndarray) -> Components:
    """covariance  (C, R, C, R) of the scores of R readers in C conditions."""
    conditions, readers = covariance.shape[:2]
    condition, reader = np.divmod(np.arange(conditions * readers), readers)
    flat = covariance.reshape(conditions * readers, -1)
    alike_condition, alike_reader = condition[:, None] == condition, reader[:, None] == reader

    def mean(which: np.ndarray) -> float:
        return float(flat[which].mean()) if which.any() else 0.0

    return Components(
        mean(alike_condition & alike_reader),
        mean(~alike_condition & alike_reader),
        mean(alike_condition & ~alike_reader),
        mean(~alike_condition & ~alike_reader),
    )


def one_condition(values: np.ndarray, covariance: np.ndarray) -> Test:
    """The mean over readers in one condition: values (R,), covariance (R, R)."""
    readers = len(values)
    shared = components(covariance.reshape(1, readers, 1, readers)).same_condition
    between = float(values.var(ddof=1))
    return _test(float(values.mean()), between, readers * max(shared, 0.0), readers - 1, 1 / readers)


def two_conditions(values: np.ndarray, parts: Components) -> Test:
    """The second condition less the first: values (2, R)."""
    readers = values.shape[1]
    each = values[1] - values[0]
    apart = float(each.var(ddof=1)) / 2  # the mean square of condition x reader
    shared = readers * max(parts.same_condition - parts.neither, 0.0)
    return _test(float(each.mean()), apart, shared, readers - 1, 2 / readers)


def model_less_readers(readers: np.ndarray, model: float, covariance: np.ndarray) -> Test:
    """A fixed model against random readers: values (R,), the model's, and (R + 1, R + 1) covariance with the model last."""
    count = len(readers)
    turn = np.hstack([-np.eye(count), np.ones((count, 1))])  # model less each reader
    return one_condition(model - readers, turn @ covariance @ turn.T)


def _test(estimate: float, mean_square: float, shared: float, freedom: int, factor: float) -> Test:
    """factor x (mean square + what all readers share of the patients) is the variance."""
    total = mean_square + shared
    hillis = freedom * (total / mean_square) ** 2 if mean_square > 0 else np.inf
    return students_test(estimate, float(np.sqrt(factor * total)), METHOD, hillis, why_none=ALIKE)
