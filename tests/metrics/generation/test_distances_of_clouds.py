"""FID, KID and MMD against scipy, MONAI and scikit-learn; precision, recall, density and coverage against loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import FIDMetric
from monai.metrics.mmd import compute_mmd
from scipy import linalg
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from overread.core.errors import OverreadError
from overread.metrics.generation.diversity import diversity, likeness
from overread.metrics.generation.frechet import frechet_distance
from overread.metrics.generation.kernels import (
    Kernels,
    cubic_kernels,
    gaussian_discrepancy,
    kernel_distance,
    kernel_distance_of_subsets,
    median_distance,
)
from overread.metrics.generation.manifold import manifolds, reach


def clouds(real: int = 60, made: int = 50, features: int = 8, seed: int = 0, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mix = random.normal(size=(features, features))
    return random.normal(size=(real, features)) @ mix + 5, random.normal(shift, 1.2, (made, features)) @ mix + 5


@pytest.mark.filterwarnings("ignore:The `disp` argument")  # of scipy, in MONAI
def test_fid_is_that_of_scipy_and_monai() -> None:
    real, made = clouds()
    first, second = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    root = linalg.sqrtm(first @ second)
    expected = np.square(real.mean(0) - made.mean(0)).sum() + np.trace(first + second - 2 * root.real)
    assert frechet_distance(real, made) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(real, made) == pytest.approx(
        float(FIDMetric()(torch.from_numpy(made), torch.from_numpy(real))), rel=1e-6
    )


def test_fid_with_fewer_images_than_features() -> None:
    """The product of the covariances has no inverse there; a little added to its diagonal leads scipy to the same number."""
    real, made = clouds(real=12, made=9, features=30)
    first, second = (np.cov(each, rowvar=False) + 1e-9 * np.eye(30) for each in (real, made))
    root = linalg.sqrtm(linalg.sqrtm(first).real @ second @ linalg.sqrtm(first).real).real
    expected = np.square(real.mean(0) - made.mean(0)).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(real, made) == pytest.approx(expected, rel=1e-3)


def test_fid_of_normal_clouds_is_that_of_their_parameters() -> None:
    random = np.random.default_rng(0)
    real, made = random.normal(0, 1, (4000, 3)), random.normal(1, 2, (4000, 3))
    assert frechet_distance(real, made) == pytest.approx(3 * (1 + (2 - 1) ** 2), rel=0.05)


def test_kid_is_that_of_a_slow_form() -> None:
    real, made = clouds()
    kernels = [polynomial_kernel(a, b, degree=3, gamma=1 / 8, coef0=1) for a, b in ((real, real), (made, made), (real, made))]
    (n, m), (rr, mm, rm) = (len(real), len(made)), kernels
    expected = (rr.sum() - np.trace(rr)) / (n * (n - 1)) + (mm.sum() - np.trace(mm)) / (m * (m - 1)) - 2 * rm.mean()
    assert kernel_distance(real, made) == pytest.approx(expected, rel=1e-9)
    mean, sd, size = kernel_distance_of_subsets(cubic_kernels(real, made), np.random.default_rng(0))
    assert size == 25
    assert mean == pytest.approx(expected, abs=4 * sd / 10)


def test_mmd_is_that_of_scikit_learn_and_the_estimator_that_of_monai() -> None:
    real, made = clouds(made=60)
    width = median_distance(real)
    rr, mm, rm = (rbf_kernel(a, b, gamma=1 / (2 * width**2)) for a, b in ((real, real), (made, made), (real, made)))
    off = 1 - np.eye(60)
    assert gaussian_discrepancy(real, made) == pytest.approx((rr * off).sum() / 3540 + (mm * off).sum() / 3540 - 2 * rm.mean())
    linear = Kernels.of(real, made, lambda a, b: a @ b.T).discrepancy()
    assert linear == pytest.approx(float(compute_mmd(torch.from_numpy(real), torch.from_numpy(made), None)), rel=1e-9)
    assert np.isnan(gaussian_discrepancy(np.ones((4, 2)), made[:, :2]))


def test_kid_does_not_drift_with_the_number_of_images_and_fid_does() -> None:
    few = [clouds(15, 15, seed=k, shift=0.0) for k in range(40)]
    many = [clouds(150, 150, seed=k, shift=0.0) for k in range(10)]
    assert np.mean([frechet_distance(r, m) for r, m in few]) > 2 * np.mean([frechet_distance(r, m) for r, m in many])
    kid = [kernel_distance(r, r[::-1] * 1.0) for r, _ in many]
    assert max(kid) < 0  # unbiased, so of one cloud with itself below 0


def test_two_images_of_one_patient_do_not_count_as_a_pair() -> None:
    """Made images from the very distribution of the real ones: 0 on the average, though each patient has three real images."""
    found = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        real = np.repeat(random.normal(size=(20, 4)), 3, axis=0)
        kernels = cubic_kernels(real, random.normal(size=(40, 4)), np.repeat(np.arange(20), 3))
        found.append((kernels.discrepancy(), Kernels(kernels.real, kernels.made, kernels.across).discrepancy()))
    apart, together = np.mean(found, 0)
    error = np.std(found, 0)[0] / np.sqrt(150)
    assert abs(apart) < 3 * error
    assert together > 10 * error


def slow(real: np.ndarray, made: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """As in the papers, image by image."""

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).sum()))

    reach_real = [sorted(apart(a, b) for j, b in enumerate(real) if j != i)[k - 1] for i, a in enumerate(real)]
    reach_made = [sorted(apart(a, b) for j, b in enumerate(made) if j != i)[k - 1] for i, a in enumerate(made)]
    precision = np.mean([any(apart(m, r) <= d for r, d in zip(real, reach_real, strict=True)) for m in made])
    recall = np.mean([any(apart(r, m) <= d for m, d in zip(made, reach_made, strict=True)) for r in real])
    density = np.mean([sum(apart(m, r) <= d for r, d in zip(real, reach_real, strict=True)) / k for m in made])
    coverage = np.mean([any(apart(r, m) <= d for m in made) for r, d in zip(real, reach_real, strict=True)])
    return precision, recall, density, coverage


def test_precision_recall_density_and_coverage_are_those_of_the_papers() -> None:
    real, made = clouds(30, 25, shift=1.0)
    found = manifolds(real, made)
    assert found.precision.mean() == pytest.approx(slow(real, made, 3)[0])
    assert found.recall.mean() == pytest.approx(slow(real, made, 3)[1])
    assert found.density.mean() == pytest.approx(slow(real, made, 5)[2])
    assert found.coverage.mean() == pytest.approx(slow(real, made, 5)[3])


def test_neighbours_are_images_of_other_patients() -> None:
    real, made = clouds(30, 25)
    twice, whose = np.repeat(real, 2, axis=0), np.repeat(np.arange(30), 2)
    assert reach(twice, 2)[0] > 0
    assert reach(twice, 2, whose)[::2] == pytest.approx(reach(real, 1))
    assert manifolds(twice, made, whose).precision.mean() > manifolds(twice, made).precision.mean()
    with pytest.raises(OverreadError, match="images of at least 6 patients"):
        manifolds(twice, made, whose // 6)


def test_collapse_shows_in_recall_coverage_and_diversity_not_in_precision() -> None:
    real, _ = clouds(100)
    made = real.mean(0) + 0.01 * np.random.default_rng(1).normal(size=(100, 8))
    found = manifolds(real, made)
    assert found.precision.mean() > 0.9
    assert found.recall.mean() < 0.1
    assert found.coverage.mean() < 0.3
    assert diversity(real, made) < 0.02
    assert diversity(real, real) == 1.0


def test_likeness_of_pairs() -> None:
    random = np.random.default_rng(0)
    alike = np.repeat(random.normal(size=(1, 1, 24, 24)), 4, axis=0)
    unlike = random.normal(size=(4, 1, 24, 24))
    assert likeness(alike, 6.0, random).value == pytest.approx(1.0)
    assert likeness(unlike, 6.0, random).value < 0.5
    assert "two scales" in likeness(unlike[..., :20], 6.0, random).reason
    assert likeness(unlike[:1], 6.0, random).reason == "a pair needs two images"


@given(st.integers(0, 1000), st.floats(0.01, 100), st.integers(3, 20))
@settings(max_examples=25)
def test_clouds_do_not_care_for_order_shift_and_turning(seed, scale, count) -> None:
    real, made = clouds(count, count + 2, 5, seed)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]
    moved = [scale * each[::-1] @ turn + 3 for each in (real, made)]
    assert frechet_distance(*moved) == pytest.approx(scale**2 * frechet_distance(real, made), rel=1e-6, abs=1e-6 * scale**2)
    assert frechet_distance(real, made) == pytest.approx(frechet_distance(made, real), rel=1e-6)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6 * float(np.var(real)) * 5)
    assert gaussian_discrepancy(*moved) == pytest.approx(gaussian_discrepancy(real, made), abs=1e-9)


def test_faults_are_named() -> None:
    real, made = clouds()
    with pytest.raises(OverreadError, match=r"at least 2 images; got the shape \(1, 8\)"):
        frechet_distance(real[:1], made)
    with pytest.raises(OverreadError, match="1 of 50 images have features that are no numbers"):
        frechet_distance(real, np.where(np.arange(50)[:, None] == 3, np.nan, made))
    with pytest.raises(OverreadError, match=r"different length \(7, 8\)"):
        kernel_distance(real, made[:, :7])
    with pytest.raises(OverreadError, match="neighbours need at least 6 of each"):
        manifolds(real, made[:5])
