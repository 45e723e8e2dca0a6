"""Missing slices: a volume from which some were lost, its gaps filled from the neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored

ONE_IN = (4.0, 2.0)
FEWEST = 8  # slices


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"1 in {v:g}") for v in ONE_IN)


def lose_slices(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Lose one stored slice in `amount`, from a chance one on; each becomes the mean of its two neighbours, which stay.

    That is what a reader of gapped series makes of them. The first and the last slice are never lost.
    """
    lost = lost_slices(image.grid.shape[0], round(amount), random)
    values = image.array.astype(np.float32)
    values[:, lost] = (values[:, lost - 1] + values[:, lost + 1]) / 2
    return replace(image, array=as_stored(values, image))


def lost_slices(count: int, one_in: int, random: np.random.Generator) -> np.ndarray:
    """Numbers of the slices that are lost, of `count`."""
    return np.arange(int(random.integers(1, one_in + 1)), count - 1, one_in)


def _obstacle(image: Image) -> str:
    if image.grid.is_planar:
        return "these are single pictures, which have no slices"
    return "" if image.grid.shape[0] >= FEWEST else f"{image.grid.shape[0]} slices are too few to lose any"


MISSING_SLICES = Degradation(
    "missing-slices",
    "Missing slices",
    "slices are lost, and the gaps filled from their neighbours",
    levels,
    lose_slices,
    obstacle=_obstacle,
)
