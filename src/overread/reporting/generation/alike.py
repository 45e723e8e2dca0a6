"""Real and made images brought to look alike in all that is no image: size, number format, range of greys, marks.

A reader who knows that made images have 224 pixels, or a lighter background, tells them without looking. Both kinds therefore
take the same way into the reading room, and what that way does is said on its page and in its record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.errors import OverreadError
from overread.core.image import Image
from overread.imaging.resample import resample_image
from overread.imaging.window import display_range
from overread.reporting.generation.held import Held

HU_RANGE = (-1024, 3071)  # 12 bits, as scanners store it
LIKE_HU = -200.0  # made images without a unit that reach below this are taken to be in HU where the real ones are
FINE = 1024  # levels where no image has 8 bits only
MOST_SLICES, MOST_PIXELS = 96, 1024  # of a volume, of a side: what a page can hold


@dataclass(frozen=True)
class Alike:
    """Images that differ in what they show only.

    levels  (N, Z, Y, X) uint8 or uint16, in the order given: real, then made
    depth   number of grey levels
    offset  HU at level 0, one level being one HU; None where the levels have no unit
    start   (low, high) levels shown first
    aspect  height of a pixel divided by its width
    notes   what was done to both kinds alike, for the page: nothing that helps to tell them
    remarks what was done to one kind only, for the record
    """

    levels: np.ndarray
    depth: int
    offset: int | None
    start: tuple[int, int]
    aspect: float
    notes: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Levels:
    """values (N, Z, Y, X) whole numbers from 0 to depth - 1; the rest as in `Alike`."""

    values: np.ndarray
    depth: int
    offset: int | None
    start: tuple[int, int]
    note: str
    remarks: tuple[str, ...] = ()


def alike(real: Sequence[Held], made: Sequence[Held]) -> Alike:
    """One size, one scale of greys, no mark."""
    everyone = (*real, *made)
    if len({one.is_planar for one in everyone}) > 1:
        raise OverreadError(
            "Some of these images are planar and some are volumes, which tells one kind from the other.",
            "give made images of the kind that the real ones are: films beside films, volumes beside volumes",
        )
    shape = _shape(real, made)
    hidden = _under_marks(everyone, shape)
    images = [one.image for one in everyone]
    found = _levels(np.stack([_sized(image, shape) for image in images]), images, len(real), hidden)
    found.values[..., hidden] = 0
    channels = dict.fromkeys(one.channel for one in everyone if one.channel)
    notes = (_size_words(everyone, shape), found.note, _mark_words(hidden), *channels)
    remarks = (*_resampled_words(real, made, shape), *found.remarks)
    return Alike(found.values, found.depth, found.offset, found.start, _aspect(real, shape), notes, remarks)


def _shape(real: Sequence[Held], made: Sequence[Held]) -> tuple[int, int, int]:
    """The usual size of the made images, but no larger than the real ones usually are or a page can hold."""
    usual = np.minimum(*(np.median([one.stored for one in kind], axis=0) for kind in (real, made)))
    most = (MOST_SLICES, MOST_PIXELS, MOST_PIXELS)
    z, y, x = (max(1, min(int(n), limit)) for n, limit in zip(usual, most, strict=True))
    return z, y, x


def _sized(image: Image, shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) float32 over the same field of view, as a network with a fixed size is given its images."""
    return resample_image(image.array, image.grid, image.grid.with_shape(shape))[0]


def _levels(sized: np.ndarray, images: Sequence[Image], real: int, hidden: np.ndarray) -> Levels:
    """sized (N, Z, Y, X) to whole numbers of grey, by one rule for all of them; what is hidden (Y, X) counts for none."""
    if all(image.array.dtype == np.uint8 for image in images):
        said = "all images are shown from 0 to 255, as they are stored"
        stored = np.clip(np.rint(sized), 0, 255).astype(np.uint8)
        for levels, image in zip(stored, images, strict=True):
            if image.source.get("shown_inverted"):
                np.subtract(255, levels, out=levels)
        return Levels(stored, 256, None, (0, 255), said)
    of_real, of_made = images[:real], images[real:]
    without = [image for image in of_made if image.units != "HU"]
    if all(image.units == "HU" for image in of_real) and all(float(image.array.min()) < LIKE_HU for image in without):
        low, high = HU_RANGE
        start = display_range(of_real[0])
        said = "all images are shown in HU, rounded to whole units"
        taken = (f"{len(without)} made images carry no unit and are taken to be in HU, as the real ones are",) if without else ()
        in_units = np.clip(np.rint(sized), low, high) - low
        first = (int(start[0] - low), int(start[1] - low))
        return Levels(in_units.astype(np.uint16), high - low + 1, low, first, said, taken)
    depth = 256 if any(image.array.dtype == np.uint8 for image in images) else FINE
    scaled = np.stack([_by_percentiles(one, image, depth, hidden) for one, image in zip(sized, images, strict=True)])
    said = f"each image is scaled by its own 0.5 and 99.5 percentiles to {depth} levels, so that brightness tells nothing"
    return Levels(scaled, depth, None, (0, depth - 1), said)


def _by_percentiles(values: np.ndarray, image: Image, depth: int, hidden: np.ndarray) -> np.ndarray:
    seen = values[:, ~hidden]
    foreground = seen[seen > seen.min()]
    low, high = np.percentile(foreground if foreground.size else seen, [0.5, 99.5])
    share = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    share = 1 - share if image.source.get("shown_inverted") else share
    return np.rint(share * (depth - 1)).astype(np.uint8 if depth <= 256 else np.uint16)


def _under_marks(everyone: Sequence[Held], shape: tuple[int, int, int]) -> np.ndarray:
    """(Y, X) bool at the size of the room: where some image carries a visible mark."""
    size = np.array(shape[1:])
    hidden = np.zeros(shape[1:], bool)
    for one in everyone:
        if one.corner is not None:
            spread = int(one.stored[1:] != shape[1:])  # resampling spreads a mark by a pixel
            top, left = np.maximum(np.floor(np.array(one.corner) * size + 1e-9).astype(int) - spread, 0)
            hidden[top:, left:] = True
    return hidden


def _mark_words(hidden: np.ndarray) -> str:
    if not hidden.any():
        return "no mark of synthetic images is drawn in this room, so that it gives nothing away"
    return (
        "where made images carry a mark in their corner, that corner is black in real and made images alike "
        f"({hidden.mean():.0%} of the picture)"
    )


def _aspect(real: Sequence[Held], shape: tuple[int, int, int]) -> float:
    """Height of a pixel over its width, the usual one of the real images, for all."""
    grids = [one.image.grid for one in real if one.image.grid.spacing_known]
    if not grids:
        return 1.0
    field = np.median([np.multiply(grid.spacing, grid.shape) for grid in grids], axis=0)
    return float((field[1] / shape[1]) / (field[2] / shape[2]))


def _size_words(everyone: Sequence[Held], shape: tuple[int, int, int]) -> str:
    done = "which they are" if all(one.stored == shape for one in everyone) else "resampled where they had another size"
    return f"all images are shown as {_size(shape)}, {done}"


def _resampled_words(real: Sequence[Held], made: Sequence[Held], shape: tuple[int, int, int]) -> list[str]:
    """Which kind had another size: how sharp it is may still tell it."""
    told = []
    for name, kind in (("real", real), ("made", made)):
        other = [one.stored for one in kind if one.stored != shape]
        if other:
            count = f"{len(other)} of {len(kind)} {name} images"
            usual = _size([int(n) for n in np.median(other, axis=0)])
            told.append(f"{count} were resampled, usually from {usual}: their sharpness may tell")
    return told


def _size(shape: Sequence[int]) -> str:
    plane = f"{shape[1]} x {shape[2]} pixels"
    return plane if shape[0] == 1 else f"{shape[0]} slices of {plane}"
