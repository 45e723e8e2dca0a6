"""JPEG: what saving a picture for a presentation, and taking it back, does."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import PIL.Image

from overread.core.image import Image
from overread.imaging.degrade.degradation import Degradation, Level
from overread.imaging.degrade.values import as_stored
from overread.imaging.window import display_range

QUALITIES = (50.0, 10.0)


def levels(image: Image) -> tuple[Level, ...]:
    return tuple(Level(v, f"quality {v:g}") for v in QUALITIES)


def compress(image: Image, amount: float, random: np.random.Generator) -> Image:
    """Save each slice as JPEG in 8 bits of the display range and read it again; amount is the quality, 1 to 95.

    What lies beyond the display range keeps its distance from it: only the error of the compression is added, as a model may
    look where no reader does.
    """
    low, high = display_range(image)
    scale = (high - low) / 255
    values = image.array.astype(np.float32)
    shown = np.clip((values - low) / scale, 0, 255)
    saved = np.rint(shown).astype(np.uint8)
    if image.channels == ("red", "green", "blue"):
        back = np.stack([_saved(np.moveaxis(saved[:, z], 0, -1), amount) for z in range(saved.shape[1])])
        read = np.moveaxis(back, -1, 0)
    else:
        read = np.stack([[_saved(plane, amount) for plane in channel] for channel in saved])
    return replace(image, array=as_stored(values + (read.astype(np.float32) - shown) * scale, image))


def _saved(plane: np.ndarray, quality: float) -> np.ndarray:
    """(Y, X) grey or (Y, X, 3) colour uint8, through a JPEG file in memory."""
    file = io.BytesIO()
    PIL.Image.fromarray(plane).save(file, "JPEG", quality=int(quality))
    return np.asarray(PIL.Image.open(file))


JPEG = Degradation("jpeg", "JPEG", "each slice is saved as JPEG in 8 bits of its display range and read again", levels, compress)
