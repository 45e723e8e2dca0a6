"""Windows cover every voxel, and merging a pointwise network's windows changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.batches.windows import Merger, centred_start, cut, gaussian_weight, window_starts

sizes = st.tuples(*(st.integers(1, 30) for _ in range(3)))
patches = st.tuples(*(st.integers(1, 12) for _ in range(3)))


@given(sizes, patches, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_windows_cover_every_voxel_and_stay_inside(shape, patch, overlap):
    padded = tuple(max(n, p) for n, p in zip(shape, patch, strict=True))
    covered = np.zeros(padded, dtype=int)
    for start in window_starts(padded, patch, overlap):
        place = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
        assert covered[place].shape == patch
        covered[place] += 1
    assert covered.min() >= 1


@given(sizes, patches)
def test_merging_equal_answers_gives_them_back(shape, patch):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    merger = Merger(2, shape, patch)
    for start, place in merger.starts(0.5):
        merger.add(cut(image, start, patch), place)
    np.testing.assert_allclose(merger.result(), image, rtol=1e-4, atol=1e-5)


def test_neighbouring_windows_overlap_by_at_least_the_share_asked_for():
    starts = sorted({start[0] for start in window_starts((100, 1, 1), (16, 1, 1), 0.5)})
    assert max(np.diff(starts)) <= 8


def test_weight_is_highest_in_the_middle_and_never_zero():
    weight = gaussian_weight((9, 9, 9))
    assert weight[4, 4, 4] == weight.max() == 1
    assert weight.min() > 0


def test_a_window_reaching_outside_is_padded_with_zero():
    image = np.ones((1, 2, 2, 2), dtype=np.float32)
    window = cut(image, (-1, 0, 1), (4, 2, 2))
    assert window.sum() == 4
    assert window[0, 0].sum() == 0


def test_centred_start_of_a_small_grid_is_negative():
    assert centred_start((4, 10, 5), (8, 8, 8)) == (-2, 1, -2)


def test_a_window_wholly_outside_is_zero():
    assert cut(np.ones((1, 2, 2, 2)), (5, 0, 0), (2, 2, 2)).sum() == 0


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_a_grid_smaller_than_the_patch_has_one_window(overlap):
    assert window_starts((3, 4, 5), (8, 8, 8), overlap) == [(0, 0, 0)]
