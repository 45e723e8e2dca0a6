"""The learning-rate range test: where its curve falls, and where it turns."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from overread.core.errors import OverreadError
from overread.networks import build
from overread.training.loop import Recipe
from overread.training.range_test import HIGHEST, LOWEST, range_test, read_curve
from toys import question, toy_task

RATES = [10 ** (-6 + 6 * k / 99) for k in range(100)]


def valley(rate: float) -> float:
    """Flat, then falling fastest at 0.001, lowest at 0.03, then rising."""
    power = math.log10(rate)
    fall = 1 / (1 + math.exp(4 * (power + 3)))
    return fall + 3 * max(0.0, power + 1.5) ** 2


def test_the_curve_is_read_where_it_falls_and_where_it_turns() -> None:
    found = read_curve(RATES, [valley(rate) for rate in RATES])
    assert found.steepest == pytest.approx(1e-3, rel=0.2)
    assert found.highest == pytest.approx(0.03, rel=0.4)
    low, high = found.worth_searching
    assert low == pytest.approx(high / 100, rel=0.01)


def test_a_curve_that_only_rises_has_its_lowest_rate_as_highest() -> None:
    found = read_curve(RATES, [1 + rate for rate in RATES])
    assert found.highest == found.steepest == RATES[0]


def test_too_short_a_curve_is_refused() -> None:
    with pytest.raises(OverreadError, match="not finite after 3 steps"):
        read_curve(RATES[:3], [1.0, 2.0, 3.0])


def test_rates_rise_by_one_factor_and_one_seed_gives_one_curve() -> None:
    asked = question("classification")
    task = toy_task(asked)

    def curve() -> tuple[tuple[float, ...], tuple[float, ...]]:
        torch.manual_seed(0)
        network = build("lenet", in_channels=1, out_channels=2, dimensions=2, serves="image", options={"image_size": [32, 32]})
        images = torch.randn(8, 1, 32, 32)
        targets = torch.eye(2)[torch.arange(8) % 2]
        recipe = Recipe("sgd", "constant", 1e-3, 0.0, 0, 10, 12.0, 0.0, "float32", False, 3)
        found = range_test(task, network, lambda step: (images, targets), recipe, steps=20)
        return found.rates, found.losses

    rates, losses = curve()
    assert rates[0] == LOWEST
    assert rates[-1] <= HIGHEST
    factors = [b / a for a, b in pairwise(rates)]
    assert factors == pytest.approx([factors[0]] * len(factors))
    assert curve() == (rates, losses)
