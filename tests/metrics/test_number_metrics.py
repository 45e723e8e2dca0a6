"""Metrics of measured numbers against scikit-learn and the formulas as published."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from overread.metrics import agreement


def numbers(seed: int, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = offset + random.normal(50, 12, 80)
    return truth, truth + random.normal(2, 5, 80)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_errors_equal_scikit_learn_even_far_from_zero(offset) -> None:
    truth, answer = numbers(1, offset)
    sums = agreement.agreement_terms(truth, answer, float(truth.mean())).sum(0)
    difference = answer - truth
    assert agreement.mae_from_sums(sums) == pytest.approx(sk.mean_absolute_error(truth, answer))
    assert agreement.rmse_from_sums(sums) == pytest.approx(sk.root_mean_squared_error(truth, answer))
    assert agreement.r2_from_sums(sums) == pytest.approx(sk.r2_score(truth, answer), rel=1e-6)
    assert agreement.bias_from_sums(sums) == pytest.approx(difference.mean())
    limits = difference.mean() + 1.96 * difference.std(ddof=1) * np.array([-1, 1])
    assert agreement.low_limit_from_sums(sums) == pytest.approx(limits[0])
    assert agreement.high_limit_from_sums(sums) == pytest.approx(limits[1])
    covariance = np.cov(truth, answer, bias=True)
    concordance = 2 * covariance[0, 1] / (np.trace(covariance) + difference.mean() ** 2)
    assert agreement.concordance_from_sums(sums) == pytest.approx(concordance, rel=1e-6)


def test_one_case_has_no_limits_and_equal_truths_no_r_squared() -> None:
    one = agreement.agreement_terms(np.array([3.0]), np.array([4.0]), 3.0).sum(0)
    assert np.isnan(agreement.low_limit_from_sums(one))
    equal = agreement.agreement_terms(np.full(4, 3.0), np.arange(4.0), 3.0).sum(0)
    assert np.isnan(agreement.r2_from_sums(equal))


@settings(max_examples=30)
@given(st.floats(-50, 50), st.integers(0, 20))
def test_a_constant_error_has_limits_without_spread_not_with_rounding(error, seed) -> None:
    truth, _ = numbers(seed)
    sums = agreement.agreement_terms(truth, truth + error, float(truth.mean())).sum(0)
    assert agreement.high_limit_from_sums(sums) == agreement.low_limit_from_sums(sums)
    repeated = agreement.repeated_terms((truth + error) - truth, np.arange(len(truth)) // 2).sum(0)
    assert agreement.repeated_high_from_sums(repeated) == agreement.repeated_low_from_sums(repeated)


@settings(max_examples=50)
@given(st.floats(-100, 100), st.integers(0, 20))
def test_the_centre_changes_nothing(centre, seed) -> None:
    truth, answer = numbers(seed)
    sums = agreement.agreement_terms(truth, answer, 50.0).sum(0)
    moved = agreement.agreement_terms(truth, answer, centre).sum(0)
    for metric in agreement.ALL:
        assert metric.from_sums(moved) == pytest.approx(metric.from_sums(sums), abs=1e-7), metric.key


def slow_repeated_limits(difference: np.ndarray, patient: np.ndarray) -> tuple[float, float]:
    """Bland and Altman 2007 by hand: one-way analysis of variance, patient by patient."""
    groups = [difference[patient == p] for p in np.unique(patient)]
    n, total = len(groups), sum(map(len, groups))
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (total - n)
    between = sum(len(g) * (g.mean() - difference.mean()) ** 2 for g in groups) / (n - 1)
    usual = (total**2 - sum(len(g) ** 2 for g in groups)) / ((n - 1) * total)
    spread = np.sqrt(max((between - within) / usual, 0) + within)
    return difference.mean() - 1.96 * spread, difference.mean() + 1.96 * spread


def test_limits_of_repeated_measures_equal_the_analysis_of_variance() -> None:
    random = np.random.default_rng(5)
    patient = np.repeat(np.arange(12), random.integers(1, 6, 12))
    difference = random.normal(1, 2, 12)[patient] + random.normal(0, 1, len(patient))
    sums = agreement.repeated_terms(difference, patient).sum(0)
    found = agreement.repeated_low_from_sums(sums), agreement.repeated_high_from_sums(sums)
    assert found == pytest.approx(slow_repeated_limits(difference, patient))
    statsmodels = importlib.import_module("statsmodels.stats.anova")
    frame = importlib.import_module("pandas").DataFrame({"d": difference, "p": patient.astype(str)})
    fit = importlib.import_module("statsmodels.formula.api").ols("d ~ C(p)", frame).fit()
    table = statsmodels.anova_lm(fit)
    usual = (len(patient) - (np.bincount(patient) ** 2).sum() / len(patient)) / 11
    within, between = table["mean_sq"]["Residual"], table["mean_sq"]["C(p)"]
    width = 1.96 * np.sqrt((between - within) / usual + within)
    assert found[1] - found[0] == pytest.approx(2 * width)


def test_one_case_per_patient_has_the_plain_limits() -> None:
    truth, answer = numbers(3)
    sums = agreement.repeated_terms(answer - truth, np.arange(80)).sum(0)
    plain = agreement.agreement_terms(truth, answer, 50.0).sum(0)
    assert agreement.repeated_low_from_sums(sums) == pytest.approx(agreement.low_limit_from_sums(plain))
    assert agreement.repeated_high_from_sums(sums) == pytest.approx(agreement.high_limit_from_sums(plain))
    assert np.isnan(agreement.repeated_low_from_sums(agreement.repeated_terms(np.ones(3), np.zeros(3, int)).sum(0)))
