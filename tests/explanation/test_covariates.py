"""Shapley values: exact against captum and by hand, sampled against exact, and of the features of small models."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from captum.attr import ShapleyValueSampling

from overread.explanation.covariates import group_values
from overread.explanation.shapley import exact, sampled

PLAYERS = 5


def game(coalitions: np.ndarray) -> np.ndarray:
    """Two numbers per coalition, with gains that depend on who is there."""
    weights = np.array([1.0, -2.0, 0.5, 3.0, 0.0])
    first = (
        coalitions @ weights
        + 2.0 * (coalitions[:, 0] & coalitions[:, 3])
        - 2.0 * coalitions[:, 0] * coalitions[:, 1] * coalitions[:, 2]
    )
    return np.stack([first, coalitions.sum(1) ** 3.0], axis=1)


def by_hand() -> np.ndarray:
    """The mean gain over all 120 orders."""
    total = np.zeros((PLAYERS, 2))
    for order in permutations(range(PLAYERS)):
        there = np.zeros(PLAYERS, bool)
        for player in order:
            before = game(there[None])[0]
            there[player] = True
            total[player] += game(there[None])[0] - before
    return total / 120


def test_every_coalition_gives_the_mean_over_all_orders() -> None:
    found = exact(game, PLAYERS)
    assert np.allclose(found.values, by_hand())
    assert np.allclose(found.values.sum(0), found.everyone - found.none)
    assert found.values[4, 0] == pytest.approx(0)  # who brings nothing gets nothing
    assert found.standard_error is None


def test_orders_come_near_and_say_how_near() -> None:
    true = exact(game, PLAYERS).values
    found = sampled(game, PLAYERS, 2000, seed=3)
    assert found.standard_error is not None
    assert np.allclose(found.values, true, atol=1.0)
    assert (np.abs(found.values - true) <= 4 * found.standard_error + 1e-9).all()
    assert np.allclose(found.values.sum(0), found.everyone - found.none, atol=1e-12)
    few = sampled(game, PLAYERS, 3)
    assert np.allclose(few.values.sum(0), few.everyone - few.none, atol=1e-12)
    assert few.asked == 2 + 4 * (PLAYERS - 1)
    assert np.array_equal(few.values, sampled(game, PLAYERS, 3).values)
    assert not np.array_equal(few.values, sampled(game, PLAYERS, 3, seed=1).values)


def test_an_order_and_its_reverse_are_exact_for_pairs() -> None:
    """Gains that depend on one other player at most come out right from a single pair (Mitchell 2022)."""

    def pairwise(coalitions: np.ndarray) -> np.ndarray:
        return np.asarray(coalitions[:, 0] * 2.0 + coalitions[:, 1] * coalitions[:, 2] * 4.0)

    assert np.allclose(sampled(pairwise, PLAYERS, 2).values, exact(pairwise, PLAYERS).values)


def _answers(table: np.ndarray) -> np.ndarray:
    """Two answers to five features, the third feature in none of them."""
    first = 1 / (1 + np.exp(-(table[:, 0] + 2 * table[:, 1] * table[:, 3])))
    return np.stack([first, 3 * table[:, 4] - table[:, 0]], axis=1)


def test_features_against_captum_and_in_sum() -> None:
    random = np.random.default_rng(0)
    table, background = random.normal(size=(3, 5)), random.normal(size=(1, 5))
    groups = {"a": np.array([0, 2]), "b": np.array([1]), "c": np.array([3]), "d": np.array([4])}
    found = group_values(_answers, table, background, groups)
    values = found.values.reshape(4, 3, 2)
    assert np.allclose(values.sum(0), _answers(table) - _answers(background), atol=1e-12)
    assert np.allclose(values[3, :, 1], 3 * (table[:, 4] - background[0, 4]))
    assert np.allclose(values[1, :, 1], 0)
    torch.manual_seed(0)
    mask = torch.tensor([[0, 1, 0, 2, 3]])
    reference = ShapleyValueSampling(lambda x: torch.from_numpy(_answers(x.numpy()))[:, 0]).attribute(
        torch.from_numpy(table), baselines=torch.from_numpy(background), feature_mask=mask, n_samples=3000
    )
    assert np.allclose(values[:, :, 0].T, reference.numpy()[:, [0, 1, 3, 4]], atol=0.02)


def test_the_worth_of_none_is_the_mean_answer_to_the_background() -> None:
    random = np.random.default_rng(1)
    table, background = random.normal(size=(4, 5)), random.normal(size=(7, 5))
    groups = {str(k): np.array([k]) for k in range(5)}
    found = group_values(_answers, table, background, groups)
    usual = _answers(background).mean(0)
    assert np.allclose(found.none.reshape(4, 2), usual)
    linear = found.values.reshape(5, 4, 2)[4, :, 1]  # of a sum, each term less its own mean
    assert np.allclose(linear, 3 * (table[:, 4] - background[:, 4].mean()))


def test_many_groups_are_sampled_and_still_add_up() -> None:
    random = np.random.default_rng(2)
    table, background = random.normal(size=(2, 12)), random.normal(size=(3, 12))
    found = group_values(
        lambda t: np.tanh(t.sum(1, keepdims=True)), table, background, {str(k): np.array([k]) for k in range(12)}
    )
    assert found.standard_error is not None
    assert np.allclose(found.values.sum(0), found.everyone - found.none, atol=1e-12)
