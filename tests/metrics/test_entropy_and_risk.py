"""Entropies against closed forms and scipy, and cases in the order of uncertainty against scikit-learn's and scipy's ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from overread.metrics.certainty import aurc
from overread.metrics.entropy import Entropies, entropy, spread
from overread.metrics.ranking import Ranking
from overread.metrics.risk import RankCorrelation, Surest

LOGITS = arrays(float, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.floats(-20, 20))


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_closed_forms() -> None:
    assert entropy(np.array([0.5, 0.5]), exclusive=True) == pytest.approx(1.0)
    assert entropy(np.full(8, 1 / 8), exclusive=True) == pytest.approx(3.0)
    assert entropy(np.array([1.0, 0.0]), exclusive=True) == 0.0
    assert entropy(np.array([0.5, 0.5, 1.0]), exclusive=False) == pytest.approx(2.0)
    assert entropy(np.array([[0.25, 0.5], [0.75, 0.5]]), exclusive=True, axis=0) == pytest.approx([0.8112781, 1.0])
    sure_of_opposites = Entropies.of(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.5]), exclusive=True)
    assert (sure_of_opposites.total, sure_of_opposites.expected, sure_of_opposites.mutual) == pytest.approx((1.0, 0.0, 1.0))
    torn_alike = Entropies.of(np.full((2, 2), 0.5), np.array([0.5, 0.5]), exclusive=True)
    assert (torn_alike.total, torn_alike.expected, torn_alike.mutual) == pytest.approx((1.0, 1.0, 0.0))


@given(LOGITS, st.booleans())
def test_parts_add_up_and_none_is_below_zero(logits: np.ndarray, exclusive: bool) -> None:
    answers = softmax(logits) if exclusive else 1 / (1 + np.exp(-logits))
    weights = np.full(len(answers), 1 / len(answers))
    bits = Entropies.of(answers, weights, exclusive=exclusive)
    assert bits.mutual >= 0
    assert bits.total + 1e-9 >= bits.expected  # concave
    assert bits.mutual == pytest.approx(float(bits.total - bits.expected), abs=1e-9)
    assert bits.total <= (np.log2(answers.shape[1]) if exclusive else answers.shape[1]) + 1e-9
    if exclusive:
        assert bits.total == pytest.approx(stats.entropy(answers.mean(0), base=2), abs=1e-6)
        assert bits.mutual == pytest.approx(np.mean([stats.entropy(a, answers.mean(0), base=2) for a in answers]), abs=1e-6)


def test_spread_under_weights_is_that_of_repeated_passes() -> None:
    values, weights = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([0.25, 0.75])
    mean, sd = spread(values, weights)
    again = np.array([1.0, 3.0, 3.0, 3.0])
    assert mean.tolist() == [again.mean(), 5.0]
    assert sd == pytest.approx([again.std(), 0.0])


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_that_of_wrong_calls_by_confidence(ties: bool) -> None:
    random = np.random.default_rng(0)
    wrong, unsure = random.random(60) < 0.3, random.normal(size=60).round(1 if ties else 9)
    weights = random.integers(0, 4, (5, 60)).astype(float)
    assert Surest.of(wrong, unsure).area(weights) == pytest.approx(aurc(Ranking.of(wrong, -unsure), weights))
    coverage, risk = Surest.of(wrong, unsure).curve()
    assert coverage[-1] == 1.0
    assert risk[-1] == pytest.approx(wrong.mean())


def test_the_area_of_sizes_of_errors() -> None:
    error, unsure = np.array([0.1, 0.9, 0.3]), np.array([1.0, 3.0, 2.0])
    risk = [0.1, (0.1 + 0.3) / 2, (0.1 + 0.3 + 0.9) / 3]
    assert Surest.of(error, unsure).area(np.ones((1, 3)))[0] == pytest.approx(np.mean(risk))


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_scipys_also_of_repeated_cases(ties: bool) -> None:
    random = np.random.default_rng(1)
    first = random.normal(size=30).round(0 if ties else 9)
    second = (first + random.normal(size=30)).round(0 if ties else 9)
    counts = random.integers(0, 3, (4, 30)).astype(float)
    found = RankCorrelation.of(first, second, np.arange(30)).value(counts)
    for value, times in zip(found, counts.astype(int), strict=True):
        assert value == pytest.approx(stats.spearmanr(np.repeat(first, times), np.repeat(second, times)).statistic)
    assert np.isnan(RankCorrelation.of(first, np.zeros(30), np.arange(30)).value(np.ones((1, 30)))[0])
