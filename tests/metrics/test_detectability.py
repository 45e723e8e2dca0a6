"""The channelized Hotelling observer: against theory where it is known, and what a denoiser must not be able to fake."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from overread.core.errors import OverreadError
from overread.metrics.detectability import channels, detectability_index, ratings, wins

EDGE = 21


def patches(strength: float, count: int = 40, patients: int = 8, sd: float = 10.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """White noise, in half of them a Gaussian blob in the middle; patches (N, EDGE, EDGE), present (N,), patient (N,)."""
    random = np.random.default_rng(7)
    y, x = np.indices((EDGE, EDGE)) - EDGE // 2
    blob = strength * np.exp(-(x**2 + y**2) / (2 * 2.0**2))
    number = count * patients
    present = np.arange(number) % 2 == 0
    noise = random.normal(0, sd, (number, EDGE, EDGE))
    return noise + present[:, None, None] * blob, present, np.repeat(np.arange(patients), count)


def test_channels_are_bands_without_the_mean() -> None:
    found = channels(EDGE)
    assert found.shape == (3, EDGE, EDGE)
    np.testing.assert_allclose((found**2).sum((1, 2)), 1)
    np.testing.assert_allclose(found.sum((1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(found, np.flip(found, (1, 2)), atol=1e-12)  # the place is the middle pixel
    frequency = np.hypot(np.fft.fftfreq(EDGE)[:, None], np.fft.fftfreq(EDGE))
    power = np.abs(np.fft.fft2(found)) ** 2
    centres = (power * frequency).sum((1, 2)) / power.sum((1, 2))
    assert (np.diff(centres) > 0).all()


def test_in_white_noise_it_sees_what_its_channels_let_through() -> None:
    """d' of the channelized ideal observer: root of s' K^-1 s, with the signal s and the covariance K in the channels."""
    cut, present, patient = patches(10.0, count=80)
    rated = ratings(cut, present, patient)
    seen = channels(EDGE).reshape(3, -1)
    signal = seen @ (cut[present].mean(0) * 0 + 10.0 * _blob()).ravel()
    expected = float(np.sqrt(signal @ np.linalg.solve(10.0**2 * seen @ seen.T, signal)))
    found = detectability_index(rated, present).value
    assert found == pytest.approx(expected, rel=0.12)
    auc = wins(rated, present, patient, 8).sum() / (present.sum() * (~present).sum())
    assert auc == pytest.approx(stats.norm.cdf(expected / np.sqrt(2)), abs=0.03)


def _blob() -> np.ndarray:
    y, x = np.indices((EDGE, EDGE)) - EDGE // 2
    return np.exp(-(x**2 + y**2) / (2 * 2.0**2))


def test_smoothing_fools_it_little_and_erasing_is_seen() -> None:
    cut, present, patient = patches(10.0)
    plain = detectability_index(ratings(cut, present, patient), present).value
    smooth = ndimage.gaussian_filter(cut, (0, 1, 1))
    again = detectability_index(ratings(smooth, present, patient), present).value
    assert plain is not None
    assert again == pytest.approx(plain, rel=0.12)
    gone = cut - present[:, None, None] * 9.0 * _blob()  # it looks as before, but for the lesion
    erased = detectability_index(ratings(gone, present, patient), present).value
    assert erased is not None
    assert erased < 0.35 * plain


def test_with_nothing_there_it_guesses() -> None:
    cut, present, patient = patches(0.0, count=60)
    found = detectability_index(ratings(cut, present, patient), present).value
    assert found == pytest.approx(0, abs=0.3)


def test_the_one_who_is_judged_taught_nothing() -> None:
    cut, present, patient = patches(10.0)
    own = patient == 3
    other = cut.copy()
    other[own & present] -= 50 * _blob()
    first, second = ratings(cut, present, patient), ratings(other, present, patient)
    np.testing.assert_allclose(first[own & ~present], second[own & ~present])
    assert (second[own & present] < first[own & present]).all()


def test_wins_by_patient_add_up_to_the_area() -> None:
    random = np.random.default_rng(1)
    found, present, number = random.integers(0, 5, 60).astype(float), random.random(60) < 0.4, random.integers(0, 6, 60)
    share = stats.mannwhitneyu(found[present], found[~present]).statistic
    assert wins(found, present, number, 6).sum() == pytest.approx(share)
    without = number != 2
    assert wins(found, present, number, 6)[np.ix_(range(6) != np.array(2), range(6) != np.array(2))].sum() == pytest.approx(
        stats.mannwhitneyu(found[present & without], found[~present & without]).statistic
    )


def test_too_few_and_all_alike_are_said() -> None:
    cut, present, patient = patches(10.0, count=6, patients=2)
    with pytest.raises(OverreadError, match=r"without one patient 3 patches with a lesion and 3 without(?s:.*)more patients"):
        ratings(cut, present, patient)
    assert detectability_index(np.ones(4), np.array([True, True, False, False])).reason == "all ratings of a kind are alike"
    assert "fewer than two" in detectability_index(np.ones(3), np.array([True, True, False])).reason
