"""Contrast: another tube voltage, another processing of the same film, another receiver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored, span

AIR = -1000.0  # HU
TIMES_HU = (0.8, 1.25)
GAMMAS = (0.67, 1.5)


def levels(image: Image) -> tuple[Level, ...]:
    if image.units == "HU":
        return tuple(Level(v, f"HU times {v:g}") for v in TIMES_HU)
    return tuple(Level(v, f"gamma {v:g}, {'brighter' if v < 1 else 'darker'}") for v in GAMMAS)


def change_contrast(image: Image, amount: float, random: np.random.Generator) -> Image:
    """HU are multiplied about water, air stays air; other intensities get a gamma over their own range.

    The range is that of the 0.5 and 99.5 percentiles, of all channels together where they are colours, so that grey stays grey.
    """
    values = image.array.astype(np.float32)
    if image.units == "HU":
        changed = np.where(values > AIR, np.maximum(values * amount, AIR), values)
    elif image.channels == ("red", "green", "blue"):
        changed = _gamma(values, amount)
    else:
        changed = np.stack([_gamma(channel, amount) for channel in values])
    return replace(image, array=as_stored(changed, image))


def _gamma(values: np.ndarray, gamma: float) -> np.ndarray:
    """What lies below the range stays where it is."""
    low, high = span(values)
    share = np.maximum((values - low) / max(high - low, 1e-6), 0)
    return np.where(share > 0, low + (high - low) * share**gamma, values)


CONTRAST = Degradation(
    "contrast",
    "Contrast",
    "HU are multiplied, as another tube voltage would do to bone and contrast agent; other images get a gamma over their range",
    levels,
    change_contrast,
)
