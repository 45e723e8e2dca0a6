"""Resolution: the same field of view on fewer voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored
from overread.imaging.resample import resample_image

FACTORS = (2.0, 4.0)


def levels(image: Image) -> tuple[Level, ...]:
    what = "pixels" if image.grid.is_planar else "voxels"
    return tuple(Level(v, f"{what} {v:g} times larger") for v in FACTORS)


def coarsen(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Sample on a coarser grid, smoothed as its voxels are larger, and bring it back by straight lines between them.

    Voxels become `amount` times the finest spacing of the grid; an axis that is coarser already stays as it is, so that thick
    slices do not become thicker.
    """
    spacing = image.grid.spacing
    finest = min(spacing[1:]) if image.grid.is_planar else min(spacing)
    z, y, x = (max(s, amount * finest) for s in spacing)
    coarse = image.grid.with_spacing((z, y, x))
    there = resample_image(image.array, image.grid, coarse)
    return replace(image, array=as_stored(resample_image(there, coarse, image.grid), image))


RESOLUTION = Degradation(
    "resolution", "Resolution", "the image is sampled on a coarser grid and brought back to its own", levels, coarsen
)
