"""An image, what was added to it, made visible, and the image with it: three pictures a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.grid import Grid
from overread.imaging.made import DERIVED
from overread.reporting.pictures import canvas
from overread.reporting.pictures.made_marks import WORDS, marked
from overread.reporting.pictures.planes import Plane, planes

WIDTH = 1100
MIDDLE = 0.5  # grey of no change
_LINE = 48  # letters of a caption above one picture of the row


@dataclass(frozen=True)
class Before:
    """The image as the network is given it.

    array        (C, Z, Y, X) normalised
    answer       in words
    mask         (Z, Y, X) bool, what was outlined; None where nothing was
    is_inverted  shown with low values white, as the file asks
    """

    array: np.ndarray
    grid: Grid
    answer: str
    mask: np.ndarray | None = None
    is_inverted: bool = False


@dataclass(frozen=True)
class After:
    """A changed image: array and mask as in `Before`.

    what  of the change, in words: "at most 0.013 SD"
    """

    array: np.ndarray
    what: str
    answer: str
    mask: np.ndarray | None = None


def changed_panel(before: Before, changed: Sequence[After], *, title: str, is_phantom: bool, is_by_network: bool) -> bytes:
    """Draw each change as PNG: the image, the change amplified by the factor that is named, the changed image.

    What was changed along the slopes of a network is marked, in the text of the PNG and in the corner of the picture.

    The slice is the one that changes most; all images have the grey scale of the image as it is, from its 0.5 to its 99.5
    percentile. In the middle picture mid-grey is no change, lighter a higher value.
    """
    plane = planes(before.grid)[0]
    tall = plane.size[0] / plane.size[1]
    made = canvas.sheet([[tall] * 3 for _ in changed], title=title, is_phantom=is_phantom, width=WIDTH)
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    low, high = (float(v) for v in np.percentile(before.array, (0.5, 99.5)))
    span = max(high - low, 1e-6)
    for row, after in enumerate(changed):
        left, middle, right = made.cells[3 * row : 3 * row + 3]
        difference = after.array - before.array
        place = int(np.abs(difference).sum(axis=(0, 2, 3)).argmax())
        factor = amplification(difference, span)
        where = f"slice {place + 1} of {before.array.shape[1]}, " if before.array.shape[1] > 1 else ""
        shown = [(before.array - low) / span, MIDDLE + factor * difference / span, (after.array - low) / span]
        captions = [
            f"{where}as it is: {before.answer}",
            f"{after.what}, times {factor:g}",
            f"with it: {after.answer}",
        ]
        marks = ("", "", WORDS[DERIVED] if is_by_network else "")
        for axes, values, caption, mark in zip((left, middle, right), shown, captions, marks, strict=True):
            picture = _picture(values, plane, place)
            picture = 1 - picture if before.is_inverted else picture
            canvas.show(axes, picture, plane, _short(caption), is_phantom=is_phantom, extent=extent, mark=mark)
        for axes, mask in ((left, before.mask), (right, after.mask)):
            if mask is not None:
                canvas.outline(axes, plane.cut(mask, place), canvas.ANSWER_COLOUR, "solid", extent)
    canvas.write(made, 8, made.height - 24, "middle: grey is no change, the factor makes it visible", size=9)
    return marked(canvas.png(made), DERIVED, is_phantom=is_phantom) if is_by_network else canvas.png(made)


def amplification(difference: np.ndarray, span: float) -> float:
    """1, 2, 5, 10, ... so that 98 of 100 values of the change fill the grey scale; never below 1."""
    largest = float(np.percentile(np.abs(difference), 98)) or float(np.abs(difference).max())
    wished = MIDDLE * span / max(largest, 1e-12)
    steps = [mantissa * 10.0**power for power in range(7) for mantissa in (1, 2, 5)]
    return max([step for step in steps if step <= wished], default=1.0)


def _short(caption: str) -> str:
    return caption if len(caption) <= _LINE else f"{caption[: _LINE - 1]}…"


def _picture(values: np.ndarray, plane: Plane, place: int) -> np.ndarray:
    """(C, Z, Y, X) -> a slice, of three channels in colour."""
    cut = plane.cut(np.moveaxis(values, 0, -1), place)
    return cut if cut.shape[-1] == 3 else cut[..., 0]
