"""The area under the curve under thousands of weights at once, against scikit-learn's, one after another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from overread.metrics.ranking import Ranking, auc


def drawn(seed: int, n: int = 40):
    random = np.random.default_rng(seed)
    truth = np.r_[True, False, random.random(n - 2) < 0.4]
    return random, truth, np.round(random.normal(size=n) + truth, 1)


@given(st.integers(0, 10_000), st.sampled_from(["drawn", "fractional", "huge"]))
def test_weighted_areas(seed, kind) -> None:
    random, truth, score = drawn(seed)
    weights = random.poisson(1.0, (5, 40)).astype(float) + np.r_[1.0, 1.0, np.zeros(38)]
    if kind != "drawn":
        weights = weights * (random.random((5, 40)) if kind == "fractional" else 1e9)
    expected = [roc_auc_score(truth, score, sample_weight=row) for row in weights]
    assert Ranking.of(truth, score).auc(weights) == pytest.approx(expected)


@given(st.integers(0, 10_000), st.sampled_from([2, 40, 300]))
def test_weighted_average_precision_and_partial_area(seed, n) -> None:
    random, truth, score = drawn(seed, n)
    weights = random.poisson(1.0, (5, n)).astype(float) + np.r_[1.0, 1.0, np.zeros(n - 2)]
    weights[2:] *= random.random((3, n))
    ranking = Ranking.of(truth, score)
    expected = [average_precision_score(truth, score, sample_weight=row) for row in weights]
    assert ranking.average_precision(weights) == pytest.approx(expected)
    expected = [roc_auc_score(truth, score, sample_weight=row, max_fpr=0.1) for row in weights]
    assert ranking.partial_auc(weights) == pytest.approx(expected)


def test_a_partial_area_whose_negatives_at_the_top_have_no_weight() -> None:
    truth, score = np.r_[np.zeros(30, bool), np.ones(10, bool), np.zeros(60, bool)], np.arange(100.0)[::-1]
    weights = np.stack([np.ones(100), np.r_[np.zeros(30), np.ones(70)]])
    expected = [roc_auc_score(truth, score, sample_weight=row, max_fpr=0.1) for row in weights]
    assert Ranking.of(truth, score).partial_auc(weights) == pytest.approx(expected)


@given(st.integers(0, 10_000))
def test_weights_of_patients_are_those_of_their_cases(seed) -> None:
    random, truth, score = drawn(seed)
    patient = random.integers(0, 12, 40)
    weights = random.integers(0, 3, (5, 12))
    ranking = Ranking.of(truth, score)
    assert ranking.by_unit(patient).auc(weights) == pytest.approx(ranking.auc(weights[:, patient]), nan_ok=True)
    assert ranking.by_unit(patient).auc()[0] == pytest.approx(auc(truth, score))


def test_a_class_without_weight_has_no_area() -> None:
    _, truth, score = drawn(0)
    weights = np.stack([truth.astype(float), np.full(40, np.nan), np.ones(40)])
    for function in (Ranking.auc, Ranking.average_precision, Ranking.partial_auc):
        assert np.isnan(function(Ranking.of(truth, score), weights)).tolist() == [True, True, False]
    assert auc(np.ones(3, bool), np.arange(3.0)) is None
    assert auc(np.zeros(0, bool), np.zeros(0)) is None
