"""Small pictures of single objects: of an error, and of a pair that shows what counts as found."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from overread.core.image import Image
from overread.core.kinds import Piece
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.objects import LOOKS

_THUMB, _PAIR = 132, 300  # pixels
_TONES = 60  # of the image
_AROUND = {1: 1.4, 2: 0.9}  # reach of the picture from its middle, in longest edges of what is shown, by how much is shown
_LEAST = 16  # pixels of the image that are shown on either side, however small the object


@dataclass(frozen=True)
class Shape:
    """What is drawn around.

    look     key of `LOOKS`
    corners  (2, 3) index coordinates of its box
    piece    its voxels, where there are any: their rim is drawn in place of the box
    """

    look: str
    corners: np.ndarray
    piece: Piece | None = None


def thumbnail(image: Image, item: Mapping[str, Any], window: tuple[float, float] | None = None) -> bytes:
    """One object of the error browser as a small PNG: its surroundings in its middle slice, with its box."""
    return close_up(image, [Shape(item["state"], np.asarray(item["box"], dtype=float).reshape(2, 3))], _THUMB, window)


def pair_picture(image: Image, reference: Shape, answer: Shape, window: tuple[float, float] | None = None) -> bytes:
    """A reference and an answer near it as a PNG, in the middle slice of the reference."""
    return close_up(image, [reference, answer], _PAIR, window)


def close_up(image: Image, shapes: Sequence[Shape], side: int, window: tuple[float, float] | None = None) -> bytes:
    """Surroundings of one or two shapes in the middle slice of the first, as they are stored, in true proportions."""
    pixels = grey(image, window)
    corners = np.stack([shape.corners for shape in shapes])
    level = int(np.clip(round(float(corners[0, :, 0].mean())), 0, pixels.shape[0] - 1))
    plane, spacing = pixels[level], image.grid.spacing[1:]
    low, high = corners[:, 0, 1:].min(0), corners[:, 1, 1:].max(0)
    reach = max(_AROUND[len(shapes)] * float(((high - low) * spacing).max()), _LEAST * float(max(spacing)))
    steps = (np.arange(side) / (side - 1) * 2 - 1) * reach
    rows, columns = ((low[k] + high[k]) / 2 + steps / spacing[k] for k in (0, 1))
    values = np.rint(np.clip(_cut(plane, rows, columns), 0, 1) * 255).astype(np.uint8)
    made = PIL.Image.fromarray(values).quantize(_TONES)
    drawn, tones = np.array(made), (made.getpalette() or [])[: 3 * _TONES]
    palette = tones + [0] * (3 * _TONES - len(tones))
    for number, shape in enumerate(shapes):  # beside the tones of the image, so that lines keep their colours
        drawn[_line(_region(shape, level, rows, columns), is_dotted=shape.look == "missed")] = _TONES + number
        palette += [int(LOOKS[shape.look].colour[k : k + 2], 16) for k in (1, 3, 5)]
    made = PIL.Image.fromarray(drawn)
    made.putpalette(palette)
    buffer = io.BytesIO()
    made.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _cut(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(H, W, 3) of a plane (Y, X) or (Y, X, 3) at these places; dark outside of the image."""
    inside = ((rows >= -0.5) & (rows <= plane.shape[0] - 0.5))[:, None] & ((columns >= -0.5) & (columns <= plane.shape[1] - 0.5))
    y = np.clip(np.rint(rows).astype(int), 0, plane.shape[0] - 1)
    x = np.clip(np.rint(columns).astype(int), 0, plane.shape[1] - 1)
    cut = plane[y][:, x]
    cut = cut if cut.ndim == 3 else np.repeat(cut[:, :, None], 3, axis=2)
    return np.where(inside[:, :, None], cut, 0.05)


def _region(shape: Shape, level: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(H, W) bool: the places that belong to the shape; a piece without a voxel in this slice is drawn as its box."""
    piece = shape.piece
    if piece is not None and 0 <= level - piece.start[0] < piece.mask.shape[0]:
        mask = piece.mask[level - piece.start[0]]
        y, x = (np.rint(at).astype(int) - piece.start[k] for k, at in ((1, rows), (2, columns)))
        known = ((y >= 0) & (y < mask.shape[0]))[:, None] & ((x >= 0) & (x < mask.shape[1]))
        return known & mask[np.clip(y, 0, mask.shape[0] - 1)][:, np.clip(x, 0, mask.shape[1] - 1)]
    within = [(at >= shape.corners[0, k]) & (at <= shape.corners[1, k]) for k, at in ((1, rows), (2, columns))]
    return np.asarray(within[0][:, None] & within[1])


def _line(inside: np.ndarray, *, is_dotted: bool) -> np.ndarray:
    """(H, W) bool: a line around a region; broken where dotted."""
    around = np.zeros_like(inside)
    for step in (-2, -1, 1, 2):
        around |= np.roll(inside, step, 0) | np.roll(inside, step, 1)
    line = around & ~inside
    if is_dotted:
        y, x = np.indices(line.shape)
        line &= (y + x) // 4 % 2 == 0
    return np.asarray(line)
