"""Batches of two heaps without pairs: images of the first are read, pictures of the second wanted, never the other way round."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.batches.augment import NONE
from overread.batches.cache import PreparedCase
from overread.batches.sampler import Batches, Sampling, fixed_patches

FIRST, SECOND = 100, 200  # what is added to the number of a case, so that every voxel tells where it came from
TARGET = 500  # all of them are exact in float16


def heap(kind: int, count: int, shape: tuple[int, int, int]) -> list[PreparedCase]:
    """Cases whose voxels tell kind, number, and whether they are of the image or of its own picture."""
    image = [np.full((1, *shape), kind + k, np.float16) for k in range(count)]
    target = [np.full((1, *shape), kind + TARGET + k, np.float16) for k in range(count)]
    return [PreparedCase(f"C-{kind + k}", image[k], target[k]) for k in range(count)]


def of_two(first: int, second: int, batch: int, seed: int = 0, dimensions: int = 3) -> Batches:
    """The second heap's images are larger than the first's, and neither is of the window's size."""
    depth = (1, 1, 1) if dimensions == 2 else (4, 6, 4)
    cases, partners = heap(FIRST, first, (depth[0], 9, 8)), heap(SECOND, second, (depth[1], 12, 11))
    return Batches(cases, (depth[2], 8, 8), Sampling(batch), NONE, seed=seed, partners=partners, dimensions=dimensions)


def seen(batches: Batches, steps: int) -> tuple[list[int], list[int]]:
    """Numbers of the cases read and of the partners wanted, in order; every voxel is checked on the way."""
    read, wanted = [], []
    for step in range(steps):
        images, targets = batches(step)
        assert isinstance(targets, torch.Tensor)
        assert images.shape == targets.shape
        for image, target in zip(images, targets, strict=True):
            assert torch.unique(image).numel() == torch.unique(target).numel() == 1
            read.append(round(float(image.mean())) - FIRST)
            wanted.append(round(float(target.mean())) - SECOND - TARGET)
    return read, wanted


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 99), st.sampled_from([2, 3]))
def test_every_step_reads_the_first_kind_and_wants_the_second(first, second, batch, seed, dimensions):
    batches = of_two(first, second, batch, seed, dimensions)
    steps = 2 * max(first, second)
    read, wanted = seen(batches, steps)
    for numbers, count in ((read, first), (wanted, second)):  # an A as target, or a B as image, would be out of range
        assert set(numbers) == set(range(count))
        passes = [numbers[k : k + count] for k in range(0, len(numbers) - count + 1, count)]
        assert all(sorted(one) == list(range(count)) for one in passes), "each case once per pass, however small the heap"


def test_a_step_is_the_same_whenever_it_is_asked_for():
    one, two = of_two(5, 3, 2, seed=7), of_two(5, 3, 2, seed=7)
    for step in (11, 0, 4):
        for first, second in zip(one(step), two(step), strict=True):
            assert torch.equal(first, second)
    assert seen(of_two(5, 3, 2, seed=7), 9) != seen(of_two(5, 3, 2, seed=8), 9)


def test_who_stands_beside_whom_changes_from_pass_to_pass():
    read, wanted = seen(of_two(4, 4, 2), 8)
    pairs = [set(zip(read[k : k + 4], wanted[k : k + 4], strict=True)) for k in range(0, 16, 4)]
    assert any(one != pairs[0] for one in pairs[1:])


def test_a_look_keeps_its_partners():
    cases, partners = heap(FIRST, 5, (1, 8, 8)), heap(SECOND, 2, (1, 10, 10))
    images, targets = fixed_patches(cases, (1, 8, 8), 2, partners=partners)
    assert isinstance(targets, torch.Tensor)
    assert [round(float(image.mean())) - FIRST for image in images] == [0, 1, 2, 3, 4]
    assert [round(float(target.mean())) - SECOND - TARGET for target in targets] == [0, 1, 0, 1, 0]
