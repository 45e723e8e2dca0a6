"""A case beside the cases that lie nearest to it, in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.image import Image, reorient
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import Plane, planes

_WIDTH, _LONGEST = 1120, 22  # pixels; letters of a caption


@dataclass(frozen=True)
class Shown:
    """One case of the row; caption: its truth, and how far it lies."""

    image: Image
    caption: str


def neighbours_row(cases: Sequence[Shown], title: str, *, is_phantom: bool) -> bytes:
    """The case first, then its neighbours, as PNG: the middle slice of each, as a viewer shows it."""
    cut = [_middle(case.image) for case in cases]
    aspect = max(plane.size[0] / plane.size[1] for plane, _ in cut)
    made = canvas.sheet([[aspect] * len(cut)], title=title, is_phantom=is_phantom, width=_WIDTH)
    for axes, (plane, pixels), case in zip(made.cells, cut, cases, strict=True):
        caption = case.caption if len(case.caption) <= _LONGEST else case.caption[: _LONGEST - 1] + "…"
        extent = (0.0, plane.size[1], 0.0, plane.size[0])
        canvas.show(axes, pixels, plane, caption, is_phantom=is_phantom, extent=extent)
    return canvas.png(made)


def _middle(image: Image) -> tuple[Plane, np.ndarray]:
    order, flips = image.grid.canonical_axes()
    pixels = grey(image)
    if pixels.ndim == 3:
        pixels = reorient(pixels, order, flips)
    plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
    return plane, plane.cut(pixels, pixels.shape[plane.normal] // 2)
