"""A planted copy is found; images of the same kind are not accused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.metrics.generation.memorisation import memorised, nearest


def sets(seed: int = 0, made: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return tuple(random.normal(100, 1, (n, 6)) for n in (80, made, 50))  # type: ignore[return-value]


def test_a_planted_copy_is_found_and_named() -> None:
    training, made, held_out = sets()
    made[7] = training[33]
    found = memorised(training, made, held_out)
    assert found.distance[7] == 0
    assert found.nearest[7] == 33
    assert list(np.flatnonzero(found.copies)) == [7]
    assert found.nearer[7]


def test_a_network_that_only_repeats_is_found_by_number_and_ratio() -> None:
    training, _, held_out = sets()
    made = training[:40] + np.random.default_rng(1).normal(0, 0.2, (40, 6))
    found = memorised(training, made, held_out)
    assert found.ratio < 0.5
    assert found.nearer.mean() > 0.5
    assert found.p < 1e-3


def test_images_of_the_same_kind_are_not_accused() -> None:
    found = [memorised(*sets(seed)) for seed in range(30)]
    assert np.mean([f.ratio for f in found]) == pytest.approx(1, abs=0.1)
    assert sum(f.copies.any() for f in found) <= 1
    assert np.mean([f.p < 0.05 for f in found]) < 0.2


def test_the_chance_of_so_many_nearer_is_exact() -> None:
    """Of 3 made and 2 held-out images of one kind: 2 or more made ones first in 3/5 * 2/4 of the orders."""
    random = np.random.default_rng(0)
    training = np.zeros((2, 1))
    counts = []
    for _ in range(4000):
        values = random.random((5, 1)) + 1
        counts.append(memorised(training, values[:3], values[3:]).nearer.sum())
    assert np.mean(np.array(counts) >= 2) == pytest.approx(3 / 5 * 2 / 4, abs=0.03)
    two = memorised(training, np.array([[1.0], [2.0], [9.0]]), np.array([[3.0], [4.0]]))
    assert two.p == pytest.approx(3 / 5 * 2 / 4)


@given(st.integers(0, 1000))
def test_the_nearest_is_the_nearest(seed) -> None:
    random = np.random.default_rng(seed)
    among, of = random.normal(size=(9, 3)) * 10, random.normal(size=(5, 3))
    number, distance = nearest(among, of)
    slow = np.linalg.norm(of[:, None] - among[None], axis=-1)
    assert np.array_equal(number, slow.argmin(1))
    assert np.allclose(distance, slow.min(1))
