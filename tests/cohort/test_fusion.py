"""Several reads become one: STAPLE against SimpleITK's, the plain rules against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from overread.cohort.labels.fusion import fuse, fuse_layers
from overread.core.errors import OverreadError


def drawn(seed: int, readers: int = 4) -> dict[str, np.ndarray]:
    """A ball as readers of different care see it."""
    random = np.random.default_rng(seed)
    z, y, x = np.ogrid[:12, :24, :24]
    reads = {}
    for k in range(readers):
        ball = (z - 6) ** 2 * 4 + (y - 12 - 0.5 * k) ** 2 + (x - 12) ** 2 < (6 + k % 3) ** 2
        reads[f"reader {k}"] = ball ^ (random.random(ball.shape) < 0.01 * (k + 1))
    return reads


@pytest.mark.parametrize("seed", range(3))
def test_staple_is_simpleitks(seed: int) -> None:
    sitk = pytest.importorskip("SimpleITK")
    reads = drawn(seed)
    found = fuse(reads, "staple")
    theirs = sitk.STAPLEImageFilter()
    theirs.SetMaximumIterations(1000)
    expected = sitk.GetArrayFromImage(theirs.Execute([sitk.GetImageFromArray(r.astype(np.uint8)) for r in reads.values()]))
    assert np.array_equal(found.accepted, expected >= 0.5)
    assert found.probability == pytest.approx(expected, abs=1e-3)
    assert [p["sensitivity"] for p in found.performance.values()] == pytest.approx(theirs.GetSensitivity(), abs=1e-3)
    assert [p["specificity"] for p in found.performance.values()] == pytest.approx(theirs.GetSpecificity(), abs=1e-3)


@given(arrays(bool, st.tuples(st.integers(2, 5), st.integers(1, 30))))
def test_plain_rules_count_votes(votes: np.ndarray) -> None:
    reads = {f"r{k}": row for k, row in enumerate(votes)}
    count, readers = votes.sum(0), len(votes)
    assert np.array_equal(fuse(reads, "any").accepted, count > 0)
    assert np.array_equal(fuse(reads, "all").accepted, count == readers)
    majority = fuse(reads, "majority")
    assert np.array_equal(majority.accepted, 2 * count > readers)
    assert np.array_equal(majority.tied, 2 * count == readers)
    assert np.array_equal(fuse(reads, "r1").accepted, votes[1])
    agreed = (count == 0) | (count == readers)
    staple = fuse(reads, "staple").accepted
    if agreed.all():
        assert np.array_equal(staple, count == readers)


def test_unanimous_silence_stays_silent() -> None:
    reads = {"a": np.zeros((2, 3, 4), bool), "b": np.zeros((2, 3, 4), bool)}
    assert not fuse(reads, "staple").accepted.any()


def test_two_structures_share_no_voxel() -> None:
    first = np.array([[[1, 1, 2, 0]]])
    second = np.array([[[1, 2, 2, 2]]])
    third = np.array([[[1, 2, 0, 0]]])
    fused, found = fuse_layers({"a": first, "b": second, "c": third}, [1, 2], "any")
    assert fused.tolist() == [[[1, 2, 2, 2]]]
    assert found["2"].probability.ravel() == pytest.approx([0, 2 / 3, 2 / 3, 1 / 3])


def test_an_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(OverreadError, match=r"neither a rule .majority, any, all, staple. nor one of the readers .a, b."):
        fuse({"a": np.ones(3, bool), "b": np.ones(3, bool)}, "mean")
