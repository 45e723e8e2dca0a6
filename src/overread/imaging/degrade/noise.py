"""Noise: what fewer photons, or less signal, would add."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level, is_mr
from overread.imaging.degrade.values import as_stored, spread

IN_HU = (15.0, 30.0, 60.0)
IN_SHARES = (0.1, 0.2, 0.4)


def levels(image: Image) -> tuple[Level, ...]:
    if image.units == "HU":
        return tuple(Level(v, f"SD {v:g} HU") for v in IN_HU)
    return tuple(Level(v, f"SD {100 * v:g} % of the spread") for v in IN_SHARES)


def add_noise(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Add normal noise, independent from voxel to voxel; amount is its standard deviation in HU, or as a share of the spread.

    In magnetic resonance both parts of the complex signal get it and the magnitude is what is seen, so that noise is Rician: it
    lifts what is dark. Source: Gudbjartsson and Patz, Magn Reson Med 1995;34:910.
    """
    noise = _scaled(image, amount, random)
    if not is_mr(image):
        return replace(image, array=as_stored(image.array + noise, image))
    floor = np.minimum(image.array.reshape(len(image.array), -1).min(1), 0).reshape(-1, 1, 1, 1)  # of a z-scored image
    seen = np.hypot(image.array - floor + noise, _scaled(image, amount, random)) + floor
    return replace(image, array=as_stored(seen, image))


def _scaled(image: Image, amount: float, random: np.random.Generator) -> np.ndarray:
    noise = random.standard_normal(image.array.shape, dtype=np.float32)
    for channel, values in zip(noise, image.array, strict=True):
        channel *= amount if image.units == "HU" else amount * spread(values)
    return noise


NOISE = Degradation(
    "noise",
    "Noise",
    "normal noise is added, independent from voxel to voxel; in magnetic resonance to both parts of the signal, which is Rician",
    levels,
    add_noise,
    "Gudbjartsson 1995 (Rician noise)",
)
