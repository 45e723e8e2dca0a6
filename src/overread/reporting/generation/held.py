"""One image on its way into the reading room: its first channel, its axes in order, no larger than a page could show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.imaging.corner import with_corner
from overread.imaging.made import WORDS
from overread.imaging.resample import resample_image

COLOURS = ("red", "green", "blue")
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
MOST_VOXELS = 4_000_000  # held of one image, several times what is shown of it: forty large CT volumes would fill a machine


@dataclass(frozen=True)
class Held:
    """An image of one channel in canonical orientation.

    stored   (Z, Y, X) its size before it was made smaller to be held
    corner   where the field of a visible mark begins in its lower right corner, as shares of height and width; None without one
    channel  what was done to its channels, in words; "" where it has one
    """

    image: Image
    stored: tuple[int, int, int]
    corner: tuple[float, float] | None
    channel: str

    @property
    def is_planar(self) -> bool:
        return self.stored[0] == 1


def held(image: Image) -> Held:
    single, channel = _single(image)
    canonical = single.reoriented(*single.grid.canonical_axes())
    return Held(_shrunk(canonical), canonical.grid.shape, _corner(canonical.array[0]), channel)


def _single(image: Image) -> tuple[Image, str]:
    """Colours become their luminance; of other channels the first is taken."""
    if image.channels == COLOURS:
        grey = np.tensordot(np.array(LUMINANCE, np.float32), image.array.astype(np.float32), 1)[None]
        return replace(image, array=_as(image.array, grey), channels=("image",)), "colours are shown by their luminance"
    said = "of several channels the first is shown" if len(image.channels) > 1 else ""
    return replace(image, array=image.array[:1], channels=image.channels[:1]), said


def _shrunk(image: Image) -> Image:
    factor = (MOST_VOXELS / image.array.size) ** (1 / (2 if image.grid.shape[0] == 1 else 3))
    if factor >= 1:
        return image
    z, y, x = (max(1, int(n * factor)) for n in image.grid.shape)
    grid = image.grid.with_shape((z, y, x))
    return replace(image, array=_as(image.array, resample_image(image.array, image.grid, grid)), grid=grid)


def _as(stored: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of 8-bit pictures stay whole numbers of 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8) if stored.dtype == np.uint8 else values


def _corner(array: np.ndarray) -> tuple[float, float] | None:
    """Where the mark begins that `imaging.corner` draws, if the middle slice of (Z, Y, X) bears it dot by dot."""
    plane = array[array.shape[0] // 2]
    for kind in WORDS:
        try:
            field = with_corner(np.zeros(plane.shape), kind, 1, 1) > 0
            letters = with_corner(np.zeros(plane.shape), kind, 0, 1) > 0
        except OverreadError:  # too small a picture for a mark
            return None
        bright, dark = plane[letters], plane[field & ~letters]
        if bright.min() == bright.max() and dark.min() == dark.max() and bright[0] > dark[0]:
            top, left = np.argwhere(field)[0]
            return float(top / plane.shape[0]), float(left / plane.shape[1])
    return None
