"""A whole slice as a small picture beside an error, with the outlines of truth and answer where something was drawn."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from scipy import ndimage

from overread.core.image import Image, reorient
from overread.core.kinds import Kind, LabelMap
from overread.core.slices import SliceShare
from overread.reporting.pictures.canvas import ANSWER_COLOUR, TRUTH_COLOUR
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import canonical_index, largest_slice, planes

SIDE = 132  # pixels of the longer side


def small_picture(image: Image, truth: Kind | None = None, answer: Kind | None = None, looked: SliceShare | None = None) -> bytes:
    """One slice as PNG: the one in which most was drawn, else the one the answer rests on most (`looked`), else the middle one.

    Truth blue, answer orange.
    """
    order, flips = image.grid.canonical_axes()
    pixels = grey(image)
    drawn = [_drawn(kind) for kind in (truth, answer)]
    if pixels.ndim == 3:
        pixels = reorient(pixels, order, flips)
        drawn = [None if mask is None else reorient(mask, order, flips) for mask in drawn]
    plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
    masks = [mask for mask in drawn if mask is not None]
    index = largest_slice(np.any(masks, axis=0), plane.normal) if masks else pixels.shape[plane.normal] // 2
    if not masks and looked is not None and looked.axis == 0:
        index = canonical_index(looked.index, image.grid)
    high, wide = (max(1, round(SIDE * edge / max(plane.size))) for edge in plane.size)
    values = np.rint(np.clip(plane.cut(pixels, index), 0, 1) * 255).astype(np.uint8)
    shown = np.asarray(PIL.Image.fromarray(values).resize((wide, high), PIL.Image.Resampling.BILINEAR).convert("RGB")).copy()
    for mask, colour in zip(drawn, (TRUTH_COLOUR, ANSWER_COLOUR), strict=True):
        if mask is not None:
            shown[_rim(plane.cut(mask, index), (wide, high))] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    buffer = io.BytesIO()
    PIL.Image.fromarray(shown).quantize(96).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def shrunk(png: bytes, side: int = 2 * SIDE) -> bytes:
    """A picture made so small that it fits beside an error."""
    with PIL.Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.quantize(128).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _drawn(kind: Kind | None) -> np.ndarray | None:
    """(Z, Y, X) bool: where any structure is; None where nothing can be drawn."""
    return np.asarray((kind.layers > 0).any(axis=0)) if isinstance(kind, LabelMap) else None


def _rim(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    made = PIL.Image.fromarray(mask.astype(np.uint8) * 255).resize(size, PIL.Image.Resampling.NEAREST)
    large = np.asarray(made) > 127
    return np.asarray(large & ~ndimage.binary_erosion(large))
