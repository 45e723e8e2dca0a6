"""Errors of intensities, voxel by voxel: MAE, RMSE, NMSE, PSNR."""

from __future__ import annotations

import numpy as np

from overread.core.score import Score
from overread.metrics.pictures.data_range import AIR_HU, DataRange

NO_VOXELS = "no voxel to be compared"
FLAT = "the truth has one intensity everywhere"
MOST_DB = 100.0  # what an exact copy gets: an infinity would swallow every mean


def mean_absolute_error(truth: np.ndarray, answer: np.ndarray) -> Score:
    """Mean of |answer - truth| over voxels, in their unit. Definition image_mae/1.

    truth, answer  of one shape: one channel, or the voxels of a region
    """
    return Score(float(np.abs(_gap(truth, answer)).mean())) if truth.size else Score(None, NO_VOXELS)


def root_mean_squared_error(truth: np.ndarray, answer: np.ndarray) -> Score:
    """Square root of the mean of (answer - truth)^2, in the unit of the truth. Definition image_rmse/1."""
    return Score(float(np.sqrt(np.square(_gap(truth, answer)).mean()))) if truth.size else Score(None, NO_VOXELS)


def normalised_squared_error(truth: np.ndarray, answer: np.ndarray, units: str) -> Score:
    """Sum of (answer - truth)^2 over the sum of truth^2; in HU both counted from air. Definition nmse/1.

    Source: fastMRI (Zbontar et al., arXiv:1811.08839).
    """
    zero = AIR_HU if units == "HU" else 0.0
    size = float(np.square(truth.astype(np.float64) - zero).sum())
    return Score(float(np.square(_gap(truth, answer)).sum()) / size) if size else Score(None, "the truth is 0 everywhere")


def peak_signal_to_noise(truth: np.ndarray, answer: np.ndarray, span: DataRange) -> Score:
    """20 log10(range) - 10 log10(mean squared error), in dB, at most 100. Definition psnr/1.

    span  the range of intensities; where it says so, intensities beyond are cut off first
    """
    if not truth.size:
        return Score(None, NO_VOXELS)
    if span.length <= 0:
        return Score(None, FLAT)
    squared = float(np.square(_gap(span.cut(truth), span.cut(answer))).mean())
    least = span.length**2 * 10 ** (-MOST_DB / 10)
    return Score(float(20 * np.log10(span.length) - 10 * np.log10(max(squared, least))))


def _gap(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    return answer.astype(np.float64) - truth.astype(np.float64)
