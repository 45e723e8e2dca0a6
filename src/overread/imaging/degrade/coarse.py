"""Coarse voxels: in the plane of the slices, or through them; each is the mean of those that it covers."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored

FACTORS = (2.0, 4.0)
FEWEST = 8  # slices


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"pixels {v:g} times larger") for v in FACTORS)


def thick_levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"slices {v:g} times thicker") for v in FACTORS)


def coarsen_plane(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Pixels `amount` times larger in both directions of the stored slices, and back to the grid as it was."""
    return _through(image, (2, 3), amount)


def thicken(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Stored slices `amount` times thicker and as many times fewer, and back to the grid as it was."""
    return _through(image, (1,), amount)


def _through(image: Image, axes: tuple[int, ...], factor: float) -> Image:
    values = image.array.astype(np.float32)
    for axis in axes:
        there_and_back = _matrix(values.shape[axis], factor)
        values = np.moveaxis(np.tensordot(there_and_back, values, (1, axis)), 0, axis)
    return replace(image, array=as_stored(values, image))


@lru_cache(maxsize=8)
def _matrix(count: int, factor: float) -> np.ndarray:
    """(count, count) means over large voxels, centred on the field of view, then straight lines between their centres."""
    large = max(int(np.ceil(count / factor)), 1)
    edges = (np.arange(large + 1) - large / 2) * factor + count / 2
    fine = np.arange(count)
    covered = np.clip(np.minimum(edges[1:, None], fine + 1) - np.maximum(edges[:-1, None], fine), 0, None)
    means = covered / covered.sum(1, keepdims=True)
    centres = (edges[1:] + edges[:-1]) / 2
    place = np.clip(np.interp(fine + 0.5, centres, np.arange(large)), 0, large - 1)
    back = np.maximum(1 - np.abs(place[:, None] - np.arange(large)), 0)
    return np.asarray(back @ means, np.float32)


def _obstacle(image: Image) -> str:
    if image.grid.is_planar:
        return "these are single pictures, which have no slices"
    return "" if image.grid.shape[0] >= FEWEST else f"{image.grid.shape[0]} slices are too few to thicken"


LOW_RESOLUTION = Degradation(
    "low-resolution",
    "Low resolution",
    "pixels of the slices become larger, each the mean of what it covers, and are brought back to the grid as it was",
    levels,
    coarsen_plane,
)
THICK_SLICES = Degradation(
    "thick-slices",
    "Thick slices",
    "slices become thicker and fewer, each the mean of what it covers, and are brought back to the grid as it was",
    thick_levels,
    thicken,
    obstacle=_obstacle,
)
