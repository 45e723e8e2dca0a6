"""A liar for tests of translation and restoration: it erases lesions that are there and invents ones that are not.

`outline` is the program that segments both images, so that a check can be tried from the images on; it knows lesions by their
brightness, as those of `exam` are planted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

TISSUE, LESION, AIR = 100.0, 200.0, 0.0
NOISE = 4.0
BALL = 3.0  # voxels, radius

Voxel = tuple[int, int, int]


def exam(random: np.random.Generator, places: Sequence[Voxel], shape: Voxel = (16, 40, 40)) -> np.ndarray:
    """(Z, Y, X) float32: a body in air, with a bright ball at each place."""
    _, y, x = np.indices(shape)
    body = np.hypot(y - shape[1] / 2 + 0.5, x - shape[2] / 2 + 0.5) < 0.45 * min(shape[1:])
    values = np.where(body, TISSUE, AIR) + random.normal(0, NOISE, shape)
    return invent(values.astype(np.float32), places)


def outline(volume: np.ndarray) -> np.ndarray:
    """(Z, Y, X) bool: what a program takes for lesions."""
    return ndimage.gaussian_filter(volume, 0.5) > (TISSUE + LESION) / 2


def erase(volume: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """The volume without some of its lesions, counted as `outline` finds them from 0: filled with what lies around each."""
    components, count = ndimage.label(outline(volume), np.ones((3, 3, 3)))
    changed = volume.copy()
    for number in numbers:
        if not 0 <= number < count:
            raise IndexError(f"lesion {number} of {count}")
        wide = ndimage.binary_dilation(components == number + 1, iterations=2)
        ring = ndimage.binary_dilation(wide, iterations=2) & ~wide & ~outline(volume)
        changed[wide] = np.resize(volume[ring], int(wide.sum()))  # its grain too, so that nothing is seen of it
    return changed


def invent(volume: np.ndarray, places: Sequence[Voxel]) -> np.ndarray:
    """The volume with a bright ball at each place, soft at its edge."""
    changed = volume.copy()
    grid = np.indices(volume.shape)
    for place in places:
        away = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, place, strict=True)))
        changed += (LESION - TISSUE) / (1 + np.exp(2 * (away - BALL)))
    return changed.astype(volume.dtype)
