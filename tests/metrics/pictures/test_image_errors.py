"""MAE, RMSE, NMSE and PSNR against other programs; the range of intensities; the body."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import PSNRMetric
from skimage.metrics import peak_signal_noise_ratio

from overread.metrics.pictures.body import body_of
from overread.metrics.pictures.data_range import range_of, units_by_channel
from overread.metrics.pictures.errors import (
    mean_absolute_error,
    normalised_squared_error,
    peak_signal_to_noise,
    root_mean_squared_error,
)


def random_pair(seed: int = 0, noise: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(50, 100, (5, 7, 9)).astype(np.float32)
    return truth, (truth + random.normal(0, noise, truth.shape)).astype(np.float32)


def test_errors_are_what_their_names_say() -> None:
    truth, answer = random_pair()
    gap = answer.astype(float) - truth
    assert mean_absolute_error(truth, answer).value == pytest.approx(np.abs(gap).mean())
    assert root_mean_squared_error(truth, answer).value == pytest.approx(np.sqrt((gap**2).mean()))
    assert normalised_squared_error(truth, answer, "a.u.").value == pytest.approx(
        np.linalg.norm(gap) ** 2 / np.linalg.norm(truth.astype(float)) ** 2
    )


def test_psnr_is_that_of_scikit_image_and_monai() -> None:
    truth, answer = random_pair()
    span = range_of(truth, "a.u.")
    found = peak_signal_to_noise(truth, answer, span).value
    assert found == pytest.approx(peak_signal_noise_ratio(truth, answer, data_range=span.length), abs=1e-4)
    oracle = PSNRMetric(max_val=span.length)(torch.from_numpy(answer)[None, None], torch.from_numpy(truth)[None, None])
    assert found == pytest.approx(float(oracle), abs=1e-4)


def test_hounsfield_units_have_one_window_for_all_cases() -> None:
    truth = np.array([[[-1024.0, 0.0, 3000.0]]])
    span = range_of(truth, "HU")
    assert (span.length, span.is_cut) == (2000.0, True)
    beyond = np.array([[[-1024.0, 0.0, 1500.0]]])
    assert peak_signal_to_noise(truth, beyond, span).value == 100.0
    assert mean_absolute_error(truth, beyond).value == 500.0
    air = np.full((1, 2, 2), -1000.0)
    assert normalised_squared_error(air, air, "HU").reason == "the truth is 0 everywhere"


def test_a_copy_has_100_db_and_a_flat_truth_none() -> None:
    truth, _ = random_pair()
    assert peak_signal_to_noise(truth, truth, range_of(truth, "a.u.")).value == pytest.approx(100.0)
    flat = np.ones((1, 4, 4))
    assert "one intensity" in peak_signal_to_noise(flat, flat, range_of(flat, "a.u.")).reason
    assert mean_absolute_error(np.zeros(0), np.zeros(0)).reason == "no voxel to be compared"


@given(st.integers(0, 1000), st.floats(0.1, 50), st.floats(1.1, 5))
def test_more_noise_is_never_better(seed, noise, more) -> None:
    truth, answer = random_pair(seed, noise)
    worse = (truth + more * (answer.astype(float) - truth)).astype(np.float32)
    span = range_of(truth, "a.u.")
    assert peak_signal_to_noise(truth, worse, span).value < peak_signal_to_noise(truth, answer, span).value
    for error in (mean_absolute_error, root_mean_squared_error):
        assert error(truth, worse).value > error(truth, answer).value


@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_psnr_does_not_depend_on_scale_and_shift(scale, shift) -> None:
    truth, answer = (one.astype(np.float64) for one in random_pair())
    moved = [scale * one + shift for one in (truth, answer)]
    expected = peak_signal_to_noise(truth, answer, range_of(truth, "a.u.")).value
    assert peak_signal_to_noise(*moved, range_of(moved[0], "a.u.")).value == pytest.approx(expected, abs=1e-6)


def test_the_body_keeps_the_dark_inside_and_leaves_out_the_air_around() -> None:
    z, y, x = np.indices((2, 40, 40))
    radius = np.hypot(y - 20, x - 20)
    truth = np.where(radius < 15, 40.0, -1000.0)
    truth[np.hypot(y - 20, x - 15) < 5] = -850.0  # a lung
    body = body_of(truth, "HU")
    assert np.array_equal(body, radius < 15)
    assert np.array_equal(body_of((truth + 1000) * 0.3, "a.u."), radius < 15)
    assert body_of(np.zeros((1, 4, 4)), "a.u.").all()
    assert z.shape == truth.shape


def test_units_may_be_told_by_channel() -> None:
    assert units_by_channel("HU, SUV", 2) == ("HU", "SUV")
    assert units_by_channel("a.u.", 2) == ("a.u.", "a.u.")
