"""Bias field: a coil that hears one side better than the other."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level, is_mr
from overread.imaging.degrade.values import as_stored

SHARES = (0.2, 0.4)  # the two fields of BrainWeb
DEGREE = 3


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"{100 * v:g} % across the image") for v in SHARES)


def add_bias(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Multiply by a smooth field from 1 - amount / 2 to 1 + amount / 2 over the image, one field for all channels.

    The field is a polynomial of the place, of third degree, with random coefficients. Sources: Van Leemput et al., IEEE Trans
    Med Imaging 1999;18:885 (polynomial); Collins et al., IEEE Trans Med Imaging 1998;17:463 (BrainWeb's 20 % and 40 %).
    """
    values = image.array.astype(np.float32)
    floor = np.minimum(values.reshape(len(values), -1).min(1), 0).reshape(-1, 1, 1, 1)  # a z-scored image has values below 0
    changed = (values - floor) * (1 + amount / 2 * field(image.grid.shape, random)) + floor
    return replace(image, array=as_stored(changed, image))


def field(shape: tuple[int, int, int], random: np.random.Generator) -> np.ndarray:
    """(Z, Y, X) float32 from -1 to 1."""
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, np.float32) for n in shape)
    found = np.zeros(shape, np.float32)
    for i, j, k in product(range(DEGREE + 1), repeat=3):
        if 0 < i + j + k <= DEGREE:
            found += np.float32(random.normal()) * (z**i)[:, None, None] * (y**j)[None, :, None] * (x**k)[None, None, :]
    low, high = float(found.min()), float(found.max())
    return (found - (low + high) / 2) / max((high - low) / 2, 1e-6)


def _obstacle(image: Image) -> str:
    return "" if is_mr(image) else "a bias field is a fault of magnetic resonance, and these images do not say that they are that"


BIAS_FIELD = Degradation(
    "bias-field",
    "Bias field",
    "intensities are multiplied by a smooth random field, as by an uneven coil",
    levels,
    add_bias,
    "Van Leemput 1999; amounts of BrainWeb (Collins 1998)",
    _obstacle,
)
