"""Arithmetic on codes, against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation, Slerp

from overread.reading import code_space as space

RANDOM = np.random.default_rng(0)
SHARES = (0.0, 0.25, 0.5, 1.0)


def test_the_arc_is_that_of_rotations() -> None:
    """Unit quaternions are what Shoemake's form was made for."""
    first, last = (v / np.linalg.norm(v) for v in RANDOM.normal(size=(2, 4)))
    last = last if first @ last > 0 else -last  # scipy takes the shorter of two ways
    expected = Slerp([0, 1], Rotation.from_quat([first, last]))(SHARES).as_quat()
    expected *= np.sign((expected * space.on_a_sphere(first, last, SHARES)).sum(1, keepdims=True))
    assert np.allclose(space.on_a_sphere(first, last, SHARES), expected)


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_both_ways_begin_and_end_at_the_codes(length: int, seed: int) -> None:
    first, last = np.random.default_rng(seed).normal(size=(2, length))
    for way in (space.straight, space.on_a_sphere):
        ends = way(first, last, (0.0, 1.0))
        assert np.allclose(ends, [first, last])


def test_the_arc_keeps_the_length_that_a_straight_line_loses() -> None:
    first, last = RANDOM.normal(size=(2, 256))
    usual = np.linalg.norm(first)
    assert np.linalg.norm(space.on_a_sphere(first, last, (0.5,))) == pytest.approx(usual, rel=0.1)
    assert np.linalg.norm(space.straight(first, last, (0.5,))) < 0.8 * usual


def test_codes_on_one_line_are_joined_straight() -> None:
    first = RANDOM.normal(size=5)
    for last in (2 * first, -first, np.zeros(5)):
        assert np.allclose(space.on_a_sphere(first, last, SHARES), space.straight(first, last, SHARES))


def test_nats_are_those_of_torch() -> None:
    import torch
    from torch.distributions import Normal, kl_divergence

    mean, sd = RANDOM.normal(size=(7, 3)), RANDOM.uniform(0.1, 2, size=(7, 3))
    expected = kl_divergence(Normal(torch.tensor(mean), torch.tensor(sd)), Normal(0.0, 1.0)).mean(0)
    assert np.allclose(space.nats(mean, sd), expected.numpy())


def test_a_number_is_active_where_it_moves() -> None:
    codes = np.zeros((200, 3))
    codes[:, 0], codes[:, 1] = RANDOM.normal(size=200), 0.05 * RANDOM.normal(size=200)
    assert space.is_active(codes).tolist() == [True, False, False]  # variances of 1, 0.0025 and 0
    assert not space.is_active(codes[:1]).any()


def test_directions_are_counted() -> None:
    codes = RANDOM.normal(size=(4000, 5))
    assert space.directions(codes) == pytest.approx(5, abs=0.1)
    assert space.directions(codes[:, :1] @ np.ones((1, 5))) == pytest.approx(1)
    assert space.directions(np.ones((4, 5))) == 0


def test_distances_are_those_of_scipy() -> None:
    one, other = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(9, 4))
    assert np.allclose(space.distances(one, other), cdist(one, other))


def test_neighbours_are_of_other_patients() -> None:
    codes = np.array([[0.0], [0.1], [1.0], [5.0]])
    patients = ["a", "a", "b", "c"]
    rows, least = space.nearest(codes, patients, codes, patients)
    assert rows.tolist() == [2, 2, 1, 2]
    assert least == pytest.approx([1.0, 0.9, 0.9, 4.0])
    assert space.nearest(codes[:1], ["a"], codes[:2], ["a", "a"])[0].tolist() == [-1]
    assert space.most_unlike(codes, patients) == (0, 3)
    assert space.most_unlike(codes[:2], patients[:2]) is None
