"""Smooth fields, smooth curves and separable resampling: what gives tissue texture and organs their irregular outline."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from overread.cohort.phantom.shapes import Coordinates


def linear_operator(n_fine: int, n_coarse: int) -> np.ndarray:
    """(n_fine, n_coarse) weights of linear interpolation between the same two ends."""
    at = np.linspace(0, n_coarse - 1, n_fine)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_coarse))).astype(np.float32)


def spline_operator(n_fine: int, n_coarse: int) -> np.ndarray:
    """(n_fine, n_coarse) cubic B-spline weights that draw a smooth curve through coarse knots; rows sum to 1."""
    knots = np.arange(n_coarse) - 1.0
    at = np.linspace(0, n_coarse - 3, n_fine) if n_fine > 1 else np.array([(n_coarse - 3) / 2])
    t = np.abs(at[:, None] - knots)
    weights = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def apply_separable(array: np.ndarray, operators: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Apply one matrix per axis to a (Z, Y, X) array; the cheapest order (fewest voxels last) is taken."""
    order = sorted(range(3), key=lambda axis: operators[axis].shape[0] / operators[axis].shape[1])
    for axis in order:
        array = _along(array, operators[axis], axis)
    return array


def _along(array: np.ndarray, operator: np.ndarray, axis: int) -> np.ndarray:
    n = operator.shape[0]
    z, y, x = array.shape
    if axis == 0:
        return (operator @ array.reshape(z, y * x)).reshape(n, y, x)
    if axis == 1:
        return np.matmul(operator, array)
    return (array.reshape(z * y, x) @ operator.T).reshape(z, y, n)


def smooth_field(
    random: np.random.Generator, shape: tuple[int, int, int], spacing: tuple[float, float, float], scale_mm: float
) -> np.ndarray:
    """A smooth random field of mean 0 and standard deviation 1.

    shape, spacing  (Z, Y, X) voxels and mm
    scale_mm        distance between independent knots
    """
    knots = tuple(int(np.ceil(n * s / scale_mm)) + 4 for n, s in zip(shape, spacing, strict=True))
    coarse = random.standard_normal(knots, dtype=np.float32)
    operators = tuple(spline_operator(n, k) for n, k in zip(shape, knots, strict=True))
    field = apply_separable(coarse, operators)  # type: ignore[arg-type]
    return field / max(float(field.std()), 1e-6)


SPLINE_LOSS = np.float32(3.0)  # a cubic B-spline through white noise keeps about a third of its standard deviation in 3D


class Warp:
    """A fixed smooth displacement of space, so that no organ is a geometric primitive and both exams of a patient agree.

    amplitude_mm  standard deviation of the displacement per axis
    scale_mm      distance between knots
    """

    EXTENT_MM = 320.0

    def __init__(self, random: np.random.Generator, amplitude_mm: float, scale_mm: float) -> None:
        self.n = int(2 * self.EXTENT_MM / scale_mm) + 1
        self.scale_mm = scale_mm
        self.knots = (random.standard_normal((3, self.n, self.n, self.n)) * amplitude_mm).astype(np.float32)

    def displacement(self, at: Coordinates) -> list[np.ndarray]:
        """(x, y, z) displacement in mm at each coordinate."""
        index = [(a + self.EXTENT_MM) / self.scale_mm for a in at]
        return [map_coordinates(k, index, order=3, mode="nearest", prefilter=False) * SPLINE_LOSS for k in self.knots]


def smooth_course(points: np.ndarray, radii: np.ndarray, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Catmull-Rom curve through points (N, 3), resampled about every `step_mm`."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    course, widths = [], []
    for k in range(1, len(points)):
        n = max(2, int(np.linalg.norm(points[k] - points[k - 1]) / step_mm))
        t = np.linspace(0, 1, n, endpoint=k == len(points) - 1)[:, None]
        a, b, c, d = padded[k - 1 : k + 3]
        course.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
        widths.append(radii[k - 1] + (radii[k] - radii[k - 1]) * t[:, 0])
    return np.concatenate(course), np.concatenate(widths)
