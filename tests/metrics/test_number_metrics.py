"""Metrics of measured numbers against scikit-learn and the formulas as published."""

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


@settings(max_examples=50)
@given(st.floats(-100, 100), st.integers(0, 20))
def test_the_centre_changes_nothing(centre, seed) -> None:
    truth, answer = numbers(seed)
    sums = agreement.agreement_terms(truth, answer, 50.0).sum(0)
    moved = agreement.agreement_terms(truth, answer, centre).sum(0)
    for metric in agreement.ALL:
        assert metric.from_sums(moved) == pytest.approx(metric.from_sums(sums), abs=1e-7), metric.key
