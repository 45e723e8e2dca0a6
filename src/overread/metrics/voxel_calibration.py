"""Metrics of calibration over voxels: functions of counts by code of probability, so that resampling patients is cheap.

Sums are (..., 256): for each of the 128 codes of `probability_code` the volume without, then the volume with the structure.
Sources: Guo et al., ICML 2017 (ECE); Van Calster et al., BMC Medicine 2019;17:230 (slope, intercept); Mehrtash et al., IEEE
TMI 2020;39:3868 (masks); Maier-Hein et al., Nature Methods 2024;21:195 (which to report).
"""

from __future__ import annotations

import numpy as np

from overread.metrics import calibration
from overread.metrics.metric import Metric, ratio
from overread.metrics.probability_code import CODES, DECODED, LOGITS

_BIN = np.eye(calibration.BINS)[calibration.bin_numbers(DECODED)]  # (128, bins) one-hot
THOUSAND = 1000  # Brier scores of voxels are small: in thousandths, two digits say something
STEPS, SETTLED, FARTHEST = 60, 1e-9, 50.0  # of Newton's method: at most, when done, when hopeless


def volumes(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 256) -> volume by code, and the part of it that has the structure, (..., 128) each."""
    present = sums[..., CODES:]
    return sums[..., :CODES] + present, present


def binned(sums: np.ndarray) -> np.ndarray:
    """(..., 256) -> (..., bins * 3 + 1): volume, probability and truth of each bin, and the squared error."""
    volume, present = volumes(sums)
    parts = np.stack([volume @ _BIN, (volume * DECODED) @ _BIN, present @ _BIN], -1)
    squared = (volume * DECODED**2 - 2 * present * DECODED + present).sum(-1, keepdims=True)
    return np.concatenate([parts.reshape(*parts.shape[:-2], -1), squared], -1)


def _brier(sums: np.ndarray) -> np.ndarray:
    return THOUSAND * ratio(binned(sums)[..., -1], sums.sum(-1))


def _ece(sums: np.ndarray) -> np.ndarray:
    return calibration.ece_from_sums(binned(sums)[..., :-1])


def _reliability(sums: np.ndarray) -> np.ndarray:
    return THOUSAND * calibration.reliability_from_sums(binned(sums))


def _resolution(sums: np.ndarray) -> np.ndarray:
    return THOUSAND * calibration.resolution_from_sums(binned(sums))


def _uncertainty(sums: np.ndarray) -> np.ndarray:
    return THOUSAND * calibration.uncertainty_from_sums(binned(sums))


def _observed_expected(sums: np.ndarray) -> np.ndarray:
    volume, present = volumes(sums)
    return ratio(present.sum(-1), volume @ DECODED)


def slope_from_sums(sums: np.ndarray) -> np.ndarray:
    """Slope of the logistic regression of the truth on logit(probability); NaN where it does not exist."""
    volume, present = _whole(sums)
    constant, slope = np.zeros(len(volume)), np.zeros(len(volume))  # from further out, Newton's steps overshoot
    step = np.full((2, len(volume)), np.inf)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(STEPS):
            fitted = _expit(constant[:, None] + slope[:, None] * LOGITS)
            weight, rest = volume * fitted * (1 - fitted), present - volume * fitted
            a, b, c = weight.sum(1), weight @ LOGITS, weight @ LOGITS**2
            down, along = rest.sum(1), rest @ LOGITS
            step = np.stack([c * down - b * along, a * along - b * down]) / (a * c - b * b)
            constant, slope = constant + step[0], slope + step[1]
            if not (np.abs(step) > SETTLED).any():
                break
    return _settled(slope, np.abs(step).max(0), sums)


def intercept_from_sums(sums: np.ndarray) -> np.ndarray:
    """Intercept of that regression with the slope held at 1; NaN where it does not exist."""
    volume, present = _whole(sums)
    constant = np.zeros(len(volume))
    step = np.full(len(volume), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(STEPS):
            fitted = _expit(constant[:, None] + LOGITS)
            step = np.clip((present - volume * fitted).sum(1) / (volume * fitted * (1 - fitted)).sum(1), -2, 2)
            constant = constant + step
            if not (np.abs(step) > SETTLED).any():
                break
    return _settled(constant, np.abs(step), sums)


def _expit(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(score, -35, 35)))


def _whole(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 128) shares of volume and of structure: the fit does not depend on the unit, its numerics do."""
    flat = sums.reshape(-1, 2 * CODES)
    volume, present = volumes(flat / np.maximum(flat.sum(1, keepdims=True), 1e-300))
    return volume, present


def _settled(value: np.ndarray, step: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """NaN where there is only one kind of voxel, or the fit ran away (perfect separation)."""
    _, present = _whole(sums)
    share = present.sum(1)
    good = (step <= 1e-6) & (np.abs(value) < FARTHEST) & (share > 0) & (share < 1 - 1e-12)
    return np.where(good, value, np.nan).reshape(sums.shape[:-1])


def noise_ece(totals: np.ndarray) -> float:
    """The ECE that differences between patients alone would show: (P, 256) totals by patient -> one number.

    Were the model calibrated, the gap of a bin would be about normal around 0 with the variance of a sum over patients, whose
    mean absolute value is sqrt(2 / pi) of its sigma.
    """
    bins = binned(totals)[:, :-1].reshape(len(totals), calibration.BINS, 3)
    gap = bins[..., 2] - bins[..., 1]
    share = ratio(gap.sum(0), bins[..., 0].sum(0))
    around = gap - np.nan_to_num(share) * bins[..., 0]
    return float(np.sqrt(2 / np.pi * (around**2).sum(0)).sum() / max(float(totals.sum()), 1e-300))


_NO_LINE = "the logistic regression does not exist (one kind of voxel, or perfect separation)"
BRIER = Metric(
    "voxel_brier", "Brier score of voxels",
    "mean of (truth - probability)^2 over voxels near the structure, weighed by volume", "lower",
    unit="thousandths", undefined="no voxel", from_sums=_brier, depends_on_prevalence=True,
)  # fmt: skip
ECE = Metric(
    "voxel_ece", "Expected calibration error of voxels",
    f"sum over {calibration.BINS} bins of equal width of (share of volume) x |mean probability - share with the structure|, "
    "voxels near the structure",
    "lower", undefined="no voxel", from_sums=_ece, depends_on_prevalence=True,
)  # fmt: skip
ECE_WHOLE = Metric(
    "voxel_ece_whole", "Expected calibration error of voxels, whole image",
    "the same over all voxels of the image: far background, which any model gets right, makes it small", "lower",
    undefined="no voxel", from_sums=_ece, depends_on_prevalence=True,
)  # fmt: skip
SLOPE = Metric(
    "voxel_slope", "Calibration slope of voxels",
    "slope of the logistic regression of the truth on logit(probability) over voxels near the structure; 1 is ideal, below 1 is "
    "overconfident",
    "none", undefined=_NO_LINE, from_sums=slope_from_sums,
)  # fmt: skip
INTERCEPT = Metric(
    "voxel_intercept", "Calibration in the large of voxels",
    "intercept of that regression with the slope held at 1; 0 is ideal, below 0 is too high a probability", "zero",
    undefined=_NO_LINE, from_sums=intercept_from_sums, depends_on_prevalence=True,
)  # fmt: skip
OBSERVED_EXPECTED = Metric(
    "voxel_observed_expected", "Observed to expected volume",
    "volume of the structure / sum of (probability x volume) over voxels near it; 1 is ideal", "none",
    undefined="the probabilities add up to nothing", from_sums=_observed_expected, depends_on_prevalence=True,
)  # fmt: skip
RELIABILITY = Metric(
    "voxel_brier_reliability", "Brier score of voxels, part lost to calibration",
    f"{calibration.RELIABILITY.formula}; voxels near the structure", "lower",
    unit="thousandths", undefined="no voxel", from_sums=_reliability, depends_on_prevalence=True,
)  # fmt: skip
RESOLUTION = Metric(
    "voxel_brier_resolution", "Brier score of voxels, part won by telling voxels apart",
    f"{calibration.RESOLUTION.formula}; voxels near the structure", "higher",
    unit="thousandths", undefined="no voxel", from_sums=_resolution, depends_on_prevalence=True,
)  # fmt: skip
UNCERTAINTY = Metric(
    "voxel_brier_uncertainty", "Brier score of voxels of saying the prevalence every time",
    "prevalence x (1 - prevalence) among voxels near the structure", "none",
    unit="thousandths", undefined="no voxel", from_sums=_uncertainty, depends_on_prevalence=True,
)  # fmt: skip

NEAR_METRICS = (BRIER, ECE, SLOPE, INTERCEPT, OBSERVED_EXPECTED, RELIABILITY, RESOLUTION, UNCERTAINTY)
BEFORE_METRICS = (BRIER, ECE, SLOPE, OBSERVED_EXPECTED)  # shown before the temperature too
