"""Maps of a layer beside the image, and pictures that excite a class or a channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.grid import Grid
from overread.imaging.made import SYNTHETIC
from overread.reporting.pictures import canvas
from overread.reporting.pictures.inside.planar import draw, len_along, scaled, views
from overread.reporting.pictures.made_marks import marked

_COLUMNS = 4


def maps_picture(
    image: np.ndarray,
    channels: Sequence[str],
    grid: Grid,
    maps: np.ndarray,
    numbers: Sequence[int],
    title: str,
    *,
    is_phantom: bool,
) -> bytes:
    """The image, then each map on a scale of its own, which its caption says; of a volume the axial slice through the middle.

    image    (C, Z, Y, X) normalised window
    maps     (N, Z, Y, X) channels of a layer, coarser or as fine
    numbers  of these channels
    """
    view = views(grid, image.shape[1:])[0]
    count = len(maps) + 1
    rows = [[view.shape] * _COLUMNS for _ in range(-(-count // _COLUMNS))]
    made = canvas.sheet(rows, title=title, is_phantom=is_phantom, width=960)
    where = "image" if image.shape[1] == 1 else f"image, slice {view.index + 1} of {image.shape[1]}"
    draw(made.cells[0], view, view.cut(scaled(image, channels)), where, is_phantom=is_phantom)
    for axes, values, number in zip(made.cells[1:], maps, numbers, strict=False):
        low, high = float(values.min()), float(values.max())
        pixels = (values - low) / max(high - low, 1e-12)
        cut = view.cut_coarse(pixels, len_along(image[0], view.plane))
        draw(axes, view, cut, f"channel {number}: {low:.2g} to {high:.2g}", is_phantom=is_phantom)
    note = f"maps of {' x '.join(str(n) for n in maps.shape[1:] if n > 1)}; each black at its lowest, white at its highest value"
    canvas.write(made, 8, made.height - 24, note, size=9)
    return canvas.png(made)


def excited_picture(
    pictures: Sequence[tuple[str, np.ndarray]], channels: Sequence[str], grid: Grid, bounds: tuple[float, float], title: str
) -> bytes:
    """Optimised pictures with their captions; of a volume the three planes through the middle, one row each.

    pictures  caption and (C, Z, Y, X) normalised values; bounds: lowest and highest shown
    """
    is_planar = pictures[0][1].shape[1] == 1
    columns = _COLUMNS if is_planar else 3
    first = views(grid, pictures[0][1].shape[1:], is_lettered=False)
    shapes = [first[0].shape] * columns if is_planar else [view.shape for view in first]
    rows = [shapes] * (-(-len(pictures) // columns) if is_planar else len(pictures))
    made = canvas.sheet(rows, title=title, is_phantom=False, width=960 if is_planar else 720)
    canvas.write(made, made.width - 8, 11, "OPTIMISED, NO PATIENT", size=12, colour=canvas.PHANTOM_COLOUR, align="right")
    for k, (caption, values) in enumerate(pictures):
        grey = scaled(values, channels, bounds)
        for j, view in enumerate(first):
            axes = made.cells[k if is_planar else 3 * k + j]
            words = caption if j == 0 else view.plane.name
            draw(axes, view, view.cut(grey), words, is_phantom=False)
    canvas.write(made, 8, made.height - 24, f"black {bounds[0]:.2g}, white {bounds[1]:.2g} in normalised units", size=9)
    return marked(canvas.png(made), SYNTHETIC, is_phantom=False)
