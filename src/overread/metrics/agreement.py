"""Metrics of measured numbers: how far from the truth, in its unit, and in which direction."""

from __future__ import annotations

import numpy as np

from overread.metrics.metric import Metric, ratio

N, SUM_TRUTH, SUM_ANSWER, TRUTH_2, ANSWER_2, PRODUCT, ABSOLUTE = range(7)
LIMIT = 1.96  # Bland and Altman, Lancet 1986;1:307
ROUNDING = 1e-12  # share of what was subtracted below which a difference is rounding alone: a spread of 0, not of nearly 0


def agreement_terms(truth: np.ndarray, answer: np.ndarray, centre: float = 0.0) -> np.ndarray:
    """(N, 7) what the metrics below add up.

    centre  a number near the truths' mean, taken from both: sums of squares of large numbers lose digits otherwise.
            None of the metrics depends on it.
    """
    t, a = truth - centre, answer - centre
    return np.stack([np.ones_like(t), t, a, t * t, a * a, t * a, np.abs(a - t)], -1)


def _difference(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sum of squares of answer - truth."""
    bias = ratio(sums[..., SUM_ANSWER] - sums[..., SUM_TRUTH], sums[..., N])
    return bias, sums[..., ANSWER_2] + sums[..., TRUTH_2] - 2 * sums[..., PRODUCT]


def mae_from_sums(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., ABSOLUTE], sums[..., N])


def rmse_from_sums(sums: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(ratio(_difference(sums)[1], sums[..., N]), 0.0))


def bias_from_sums(sums: np.ndarray) -> np.ndarray:
    return _difference(sums)[0]


def _deviation(sums: np.ndarray) -> np.ndarray:
    """Standard deviation of answer - truth, with n - 1."""
    bias, squares = _difference(sums)
    n = sums[..., N]
    left = _settled(squares - n * bias**2, sums[..., ANSWER_2] + sums[..., TRUTH_2])
    return np.sqrt(ratio(left, np.where(n > 1, n - 1, 0)))


def _settled(left: np.ndarray, subtracted: np.ndarray) -> np.ndarray:
    """What is left of a sum of squares; 0 where that is rounding."""
    return np.where(left <= ROUNDING * subtracted, 0.0, left)


def low_limit_from_sums(sums: np.ndarray) -> np.ndarray:
    return bias_from_sums(sums) - LIMIT * _deviation(sums)


def high_limit_from_sums(sums: np.ndarray) -> np.ndarray:
    return bias_from_sums(sums) + LIMIT * _deviation(sums)


def _spread(sums: np.ndarray, total: int, squares: int) -> np.ndarray:
    return np.maximum(sums[..., squares] - ratio(sums[..., total] ** 2, sums[..., N]), 0.0)


def r2_from_sums(sums: np.ndarray) -> np.ndarray:
    return 1 - ratio(_difference(sums)[1], _spread(sums, SUM_TRUTH, TRUTH_2))


def concordance_from_sums(sums: np.ndarray) -> np.ndarray:
    """Lin's concordance correlation with n in every variance (Biometrics 1989;45:255)."""
    common = sums[..., PRODUCT] - ratio(sums[..., SUM_TRUTH] * sums[..., SUM_ANSWER], sums[..., N])
    spread = _spread(sums, SUM_TRUTH, TRUTH_2) + _spread(sums, SUM_ANSWER, ANSWER_2)
    return ratio(2 * common, spread + sums[..., N] * bias_from_sums(sums) ** 2)


PATIENTS, CASES, CASES_2, DIFFERENCES, DIFFERENCES_2, PATIENT_MEANS = range(6)


def repeated_terms(difference: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(N,) answer - truth and (N,) number of the patient from 0 -> (P, 6) what the two functions below add up over patients."""
    cases = np.bincount(patient).astype(float)
    total = np.bincount(patient, difference)
    squares = np.bincount(patient, difference**2)
    return np.stack([np.ones_like(cases), cases, cases**2, total, squares, ratio(total**2, cases)], -1)


def _repeated_limit(sign: float, sums: np.ndarray) -> np.ndarray:
    """Mean difference and a multiple of the SD of a single one, between and within patients, where the truth itself varies.

    One-way analysis of variance by patient. Source: Bland and Altman, J Biopharm Stat 2007;17:571, section 3.
    """
    patients, cases = sums[..., PATIENTS], sums[..., CASES]
    bias = ratio(sums[..., DIFFERENCES], cases)
    inner = _settled(sums[..., DIFFERENCES_2] - sums[..., PATIENT_MEANS], sums[..., DIFFERENCES_2])
    outer = _settled(sums[..., PATIENT_MEANS] - ratio(sums[..., DIFFERENCES] ** 2, cases), sums[..., DIFFERENCES_2])
    repeats = cases - patients
    within = np.divide(inner, repeats, out=np.zeros_like(inner), where=repeats > 0)
    spread = np.where(patients > 1, patients - 1, 0)
    usual = ratio(cases - ratio(sums[..., CASES_2], cases), spread)  # cases per patient
    between = np.maximum(ratio(ratio(outer, spread) - within, usual), 0.0)
    return bias + sign * LIMIT * np.sqrt(between + within)


def repeated_low_from_sums(sums: np.ndarray) -> np.ndarray:
    return _repeated_limit(-1.0, sums)


def repeated_high_from_sums(sums: np.ndarray) -> np.ndarray:
    return _repeated_limit(1.0, sums)


MAE = Metric("mae", "Mean absolute error", "mean of |answer - truth|", "lower", from_sums=mae_from_sums)
RMSE = Metric("rmse", "Root mean square error", "sqrt of the mean of (answer - truth)^2", "lower", from_sums=rmse_from_sums)
BIAS = Metric("bias", "Bias", "mean of (answer - truth)", "zero", synonyms=("mean error",), from_sums=bias_from_sums)
LIMIT_LOW = Metric(
    "limit_low", "Lower limit of agreement", "bias - 1.96 SD of (answer - truth), SD with n - 1 over all cases", "none",
    synonyms=("Bland-Altman",), undefined="fewer than two cases", from_sums=low_limit_from_sums,
)  # fmt: skip
LIMIT_HIGH = Metric(
    "limit_high", "Upper limit of agreement", "bias + 1.96 SD of (answer - truth), SD with n - 1 over all cases", "none",
    synonyms=("Bland-Altman",), undefined="fewer than two cases", from_sums=high_limit_from_sums,
)  # fmt: skip
REPEATED = "SD of a single difference, between patients and within them (repeated measures)"
REPEATED_LOW = Metric(
    "limit_low", "Lower limit of agreement", f"bias - 1.96 SD of (answer - truth), {REPEATED}", "none", version=2,
    synonyms=("Bland-Altman",), undefined="fewer than two patients", from_sums=repeated_low_from_sums,
)  # fmt: skip
REPEATED_HIGH = Metric(
    "limit_high", "Upper limit of agreement", f"bias + 1.96 SD of (answer - truth), {REPEATED}", "none", version=2,
    synonyms=("Bland-Altman",), undefined="fewer than two patients", from_sums=repeated_high_from_sums,
)  # fmt: skip
REPEATED_FORM = {LIMIT_LOW: REPEATED_LOW, LIMIT_HIGH: REPEATED_HIGH}  # where patients have several cases
R2 = Metric(
    "r2", "R squared", "1 - sum (answer - truth)^2 / sum (truth - mean truth)^2", "higher",
    synonyms=("coefficient of determination",), undefined="all truths are equal", from_sums=r2_from_sums,
)  # fmt: skip
CONCORDANCE = Metric(
    "concordance", "Concordance correlation", "2 cov(truth, answer) / (var truth + var answer + bias^2)", "higher",
    synonyms=("CCC", "Lin"), undefined="all truths and answers are equal", from_sums=concordance_from_sums,
)  # fmt: skip

IN_UNITS = (MAE, RMSE, BIAS, LIMIT_LOW, LIMIT_HIGH)
ALL = (*IN_UNITS, R2, CONCORDANCE)
