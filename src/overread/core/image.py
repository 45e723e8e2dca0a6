"""An image: channels on a grid, with units and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.region import RegionBox


@dataclass(frozen=True)
class Image:
    """Pixels on a grid.

    array     (C, Z, Y, X) float32 or the stored integer type
    grid      where the voxels lie
    units     ``HU``, ``SUV`` or ``a.u.``
    channels  one name per channel, e.g. ("flair", "t1") or ("red", "green", "blue")
    source    what is known of the origin, never a name, number, date or path of a patient:
              modality, body part, vendor, kernel, ``is_simulated`` ...
    clinical  what is known of the patient beside the image, as its sheet says it: column -> value
    region    the part of it that is to be read; None where nobody has looked
    """

    array: np.ndarray
    grid: Grid
    units: str = "a.u."
    channels: tuple[str, ...] = ("image",)
    source: dict[str, Any] = field(default_factory=dict)
    clinical: Mapping[str, Any] = field(default_factory=dict)
    region: RegionBox | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[1:] != self.grid.shape:
            raise OverreadError(f"An image array must be (C, Z, Y, X) on its grid {self.grid.shape}; got {self.array.shape}.")
        if len(self.channels) != self.array.shape[0]:
            raise OverreadError(f"{self.array.shape[0]} channels need as many names; got {self.channels}.")

    def reoriented(self, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Image:
        """The same voxels with array axes permuted, then flipped (see `Grid.canonical_axes`)."""
        array = reorient(self.array, order, flips)
        return replace(self, array=array, grid=self.grid.reoriented(order, flips))


def cropped(image: Image) -> Image:
    """The part of an image that its region names, with the same place in the patient; the image itself where it has none."""
    if image.region is None:
        return image
    array = image.array[(slice(None), *image.region.place)]
    z, y, x = array.shape[1:]
    affine = np.array(image.grid.affine)
    affine[:3, 3] = image.grid.to_world(np.array(image.region.start))
    return replace(image, array=array, grid=replace(image.grid, shape=(z, y, x), affine=affine), region=None)


def reorient(array: np.ndarray, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> np.ndarray:
    """Permute, then flip, the last three axes of (..., Z, Y, X); a view, nothing is copied."""
    lead = array.ndim - 3
    moved = array.transpose(*range(lead), *(lead + k for k in order))
    return moved[(..., *(slice(None, None, -1) if flip else slice(None) for flip in flips))]


def reorient_back(array: np.ndarray, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> np.ndarray:
    """Undo `reorient`."""
    lead = array.ndim - 3
    unflipped = array[(..., *(slice(None, None, -1) if flip else slice(None) for flip in flips))]
    inverse = [order.index(k) for k in range(3)]
    return unflipped.transpose(*range(lead), *(lead + k for k in inverse))
