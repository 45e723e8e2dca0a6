"""One case under each degradation, side by side, so that a reader sees what was done to the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.core.image import Image, reorient
from overread.imaging.window import display_range
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import largest_slice, planes

IN_A_ROW = 4
WIDTH = 1100


@dataclass(frozen=True)
class View:
    """A picture of the sheet; is_across cuts across the stored slices, where a lost one is a line."""

    caption: str
    image: Image
    is_across: bool = False


def degraded_panel(clean: Image, degraded: Sequence[View], *, focus: np.ndarray | None, title: str, is_phantom: bool) -> bytes:
    """Draw a case as PNG: as it is, then under each degradation, all with the window of the image as it is.

    degraded  on the grid of the image as it is
    focus     (Z, Y, X) bool, what the slices are chosen by; None takes the middle
    """
    order, flips = clean.grid.canonical_axes()
    cuts = planes(clean.grid.reoriented(order, flips))
    stored = cuts[order.index(0)]
    across = next(plane for plane in cuts if plane.normal != stored.normal)
    place = reorient(focus if focus is not None else np.zeros(clean.grid.shape, bool), order, flips)
    views = [View("as it is", clean), *_beside(clean, degraded)]
    rows = [views[k : k + IN_A_ROW] for k in range(0, len(views), IN_A_ROW)]
    tall = stored.size[0] / stored.size[1]
    made = canvas.sheet([[tall] * IN_A_ROW for _ in rows], title=title, is_phantom=is_phantom, width=WIDTH)
    for axes, view in zip(made.cells, views, strict=False):  # the last row may have empty cells
        plane = across if view.is_across else stored
        shown = _grey(view.image, _window(clean))
        shown = reorient(shown, order, flips) if shown.ndim == 3 else shown
        picture = plane.cut(shown, largest_slice(place, plane.normal))
        canvas.show(axes, picture, plane, view.caption, is_phantom=is_phantom, extent=(0.0, plane.size[1], 0.0, plane.size[0]))
    return canvas.png(made)


def _beside(clean: Image, degraded: Sequence[View]) -> list[View]:
    """Where a view cuts across the slices, the image as it is stands before it, cut alike."""
    views = []
    for view in degraded:
        views += [View("as it is, across the slices", clean, is_across=True), view] if view.is_across else [view]
    return views


def _grey(image: Image, window: tuple[float, float]) -> np.ndarray:
    shown = grey(image, window)
    return 1 - shown if image.source.get("shown_inverted") else shown


def _window(image: Image) -> tuple[float, float]:
    """Of what `grey` shows: the first channel, or all three where they are colours."""
    if image.channels == ("red", "green", "blue"):
        return display_range(image)
    return display_range(replace(image, array=image.array[:1], channels=image.channels[:1], units=image.units.split(", ")[0]))
