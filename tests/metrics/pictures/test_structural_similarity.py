"""SSIM and MS-SSIM against scikit-image and MONAI, and what must hold for any two images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import MultiScaleSSIMMetric, SSIMMetric
from skimage.metrics import structural_similarity

from overread.metrics.pictures import structure
from overread.metrics.pictures.structure import (
    WEIGHTS,
    both_scores,
    judged_axes,
    ms_ssim_scores,
    scales,
    similarities,
    ssim_scores,
)

SHAPES = [(1, 32, 40), (14, 17, 20)]


def pair(shape: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth truth far from 0, and the same with noise and another brightness."""
    random = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    truth = 1000 + 200 * np.sin(x / 4) + 100 * np.cos(y / 3 + z) + random.normal(0, 20, shape)
    return truth, 0.9 * truth + 30 + random.normal(0, 40, shape)


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array[0] if len(array) == 1 else array)[None, None].float()


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_is_that_of_scikit_image_and_monai(shape) -> None:
    truth, answer = pair(shape)
    span = float(np.ptp(truth))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": span, "full": True}
    expected, maps = structural_similarity(np.squeeze(truth), np.squeeze(answer), **settings)
    region = np.zeros(shape, bool)
    region[:, 3:9, :12] = True
    (whole, within), *_ = ssim_scores(truth, [answer], span, {"region": region, "nothing": np.zeros(shape, bool)})
    assert whole.value == pytest.approx(expected, abs=1e-9)
    assert within["region"].value == pytest.approx(maps.reshape(shape)[region].mean(), abs=1e-9)
    assert within["nothing"].reason == "no voxel to be compared"
    centred = SSIMMetric(2 if shape[0] == 1 else 3, data_range=span)(tensor(answer), tensor(truth))
    assert whole.value == pytest.approx(float(centred), abs=1e-4)


@pytest.mark.parametrize(("shape", "number"), [((1, 64, 90), 3), ((24, 25, 22), 2)])
def test_ms_ssim_is_that_of_monai(shape, number) -> None:
    truth, answer = pair(shape)
    span = float(np.ptp(truth))
    assert scales(shape) == number
    weights = np.array(WEIGHTS[:number]) / sum(WEIGHTS[:number])
    oracle = MultiScaleSSIMMetric(2 if shape[0] == 1 else 3, data_range=span, weights=tuple(weights))
    found = ms_ssim_scores(truth, [answer], span)[0].value
    assert found == pytest.approx(float(oracle(tensor(answer), tensor(truth))), abs=1e-4)


def test_five_scales_where_there_is_room() -> None:
    assert scales((1, 176, 200)) == 5
    assert scales((1, 175, 200)) == 4
    assert scales((1, 21, 40)) == 0
    truth, answer = pair((1, 176, 176))
    assert 0 < ms_ssim_scores(truth, [answer], 600.0)[0].value < 1


def test_a_volume_of_few_slices_is_judged_slice_by_slice() -> None:
    truth, answer = pair((4, 24, 24))
    span = float(np.ptp(truth))
    assert judged_axes(truth.shape) == (1, 2)
    slices = [ssim_scores(truth[k : k + 1], [answer[k : k + 1]], span)[0][0].value for k in range(4)]
    assert ssim_scores(truth, [answer], span)[0][0].value == pytest.approx(np.mean(slices))


def test_slabs_change_nothing(monkeypatch) -> None:
    truth, answer = pair((30, 14, 15))
    region = {"half": np.indices(truth.shape)[0] > 12}
    whole = similarities(truth, [answer], 500.0, (0, 1, 2), region)[0]
    monkeypatch.setattr(structure, "SLAB", 14 * 15 * 4)
    slabs = similarities(truth, [answer], 500.0, (0, 1, 2), region)[0]
    assert slabs.ssim == pytest.approx(whole.ssim, abs=1e-12)
    assert slabs.contrast == pytest.approx(whole.contrast, abs=1e-12)
    assert slabs.within["half"] == pytest.approx(whole.within["half"], abs=1e-12)


def test_what_has_no_ssim_says_why() -> None:
    small, flat = np.zeros((1, 8, 40)), np.full((1, 30, 30), 7.0)
    assert "smaller than the window of 11" in ssim_scores(small, [small], 1.0)[0][0].reason
    assert "one intensity everywhere" in ssim_scores(flat, [flat], 0.0)[0][0].reason
    assert "22 voxels a side are the least" in ms_ssim_scores(np.zeros((1, 21, 21)), [np.zeros((1, 21, 21))], 1.0)[0].reason


@given(st.integers(0, 10_000), st.floats(0.5, 400), st.sampled_from([(1, 13, 16), (11, 12, 13)]))
def test_a_copy_is_1_order_does_not_matter_and_nothing_exceeds_1(seed, noise, shape) -> None:
    random = np.random.default_rng(seed)
    one = random.normal(0, 100, shape)
    other = one + random.normal(0, noise, shape)
    forth, copy = (found.value for found, _ in ssim_scores(one, [other, one], 500.0))
    back = ssim_scores(other, [one], 500.0)[0][0].value
    assert copy == pytest.approx(1.0, abs=1e-9)
    assert forth == pytest.approx(back, abs=1e-9)
    assert -1 - 1e-9 <= forth < 1


@pytest.mark.parametrize("shape", [(1, 24, 30), (24, 23, 22), (15, 24, 24), (1, 14, 30)])
def test_both_at_once_are_what_each_is_alone(shape) -> None:
    truth, answer = pair(shape)
    region = {"half": np.indices(shape)[2] > 12}
    (ssim, within, ms_ssim), *_ = both_scores(truth, [answer], 500.0, region)
    assert ((ssim, within),) == tuple(ssim_scores(truth, [answer], 500.0, region))
    assert [ms_ssim] == ms_ssim_scores(truth, [answer], 500.0)
