"""Shapes as signed distances: negative inside, positive outside, in millimetres near the surface.

All coordinates are those of the standard patient: x to the Left, y to Posterior, z to Superior,
origin at the midline, mid-depth, at the height of the right dome of the diaphragm.
Source of the formulas: I. Quilez, "distance functions" (ellipsoid bound, round cone, polynomial smooth minimum).
"""

from __future__ import annotations

import math

import numpy as np

Point = tuple[float, float, float]
Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, z of every voxel, in mm


def ellipsoid(at: Coordinates, centre: Point, radii: Point, turn: np.ndarray | None = None) -> np.ndarray:
    """Distance to an ellipsoid, exact on the surface and close to it near by.

    turn  (3, 3) rotation whose rows are the ellipsoid's own axes; None where they are x, y, z
    """
    offset = tuple(a - np.float32(c) for a, c in zip(at, centre, strict=True))
    if turn is not None:
        offset = tuple(sum(np.float32(row[k]) * offset[k] for k in range(3)) for row in turn)  # type: ignore[misc]
    scaled = [(length * np.float32(1 / radius)) ** 2 for length, radius in zip(offset, radii, strict=True)]
    steep = sum(s * np.float32(1 / radius**2) for s, radius in zip(scaled, radii, strict=True))
    norm = np.sqrt(scaled[0] + scaled[1] + scaled[2])
    return norm * (norm - 1) / np.sqrt(np.maximum(steep, np.float32(1e-12)))


def round_cone(at: Coordinates, start: Point, end: Point, start_radius: float, end_radius: float) -> np.ndarray:
    """Distance to a straight piece of a tapering tube with round ends."""
    axis = np.subtract(end, start).astype(np.float32)
    length_squared = max(float(axis @ axis), 1e-6)
    offset = tuple(a - np.float32(s) for a, s in zip(at, start, strict=True))
    along = (offset[0] * axis[0] + offset[1] * axis[1] + offset[2] * axis[2]) * np.float32(1 / length_squared)
    np.clip(along, 0, 1, out=along)
    square = sum((o - along * a) ** 2 for o, a in zip(offset, axis, strict=True))
    return np.sqrt(square) - (np.float32(start_radius) + along * np.float32(end_radius - start_radius))


def join(first: np.ndarray, second: np.ndarray, smooth_mm: float) -> np.ndarray:
    """Union of two shapes with a smooth seam."""
    overlap = np.maximum(np.float32(smooth_mm) - np.abs(first - second), 0)
    return np.minimum(first, second) - overlap * overlap * np.float32(0.25 / smooth_mm)


def common(first: np.ndarray, second: np.ndarray, smooth_mm: float) -> np.ndarray:
    """Intersection of two shapes with a rounded edge."""
    overlap = np.maximum(np.float32(smooth_mm) - np.abs(first - second), 0)
    return np.maximum(first, second) + overlap * overlap * np.float32(0.25 / smooth_mm)


def without(shape: np.ndarray, removed: np.ndarray, smooth_mm: float) -> np.ndarray:
    """A shape less another, with a rounded edge."""
    return common(shape, -removed, smooth_mm)


def rotation(about_x: float = 0.0, about_y: float = 0.0, about_z: float = 0.0) -> np.ndarray:
    """(3, 3) rotation matrix from angles in degrees."""
    a, b, c = (math.radians(angle) for angle in (about_x, about_y, about_z))
    x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    y = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return z @ y @ x
