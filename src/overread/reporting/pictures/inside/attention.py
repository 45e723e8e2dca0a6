"""How much each place of a case counts, as heat beside the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps

from overread.core.grid import Grid
from overread.reporting.pictures import canvas
from overread.reporting.pictures.inside.planar import draw, len_along, scaled, views

_COLUMNS = 4
_COLOURS = "inferno"
_NARROWEST = 0.2  # of a scale: weights that hardly differ shall look alike
_BAR = 120  # pixels
_LONGEST = 14  # letters of a name in a caption


def attention_picture(
    image: np.ndarray,
    channels: Sequence[str],
    grid: Grid,
    maps: Sequence[tuple[str, np.ndarray]],
    title: str,
    *,
    is_phantom: bool,
) -> bytes:
    """The image, then the weights of each block on one scale for all; of a volume the axial slice through the middle.

    image  (C, Z, Y, X) normalised window
    maps   name and (Z, Y, X) weights of each block, 0 to 1, coarser or as fine
    """
    view = views(grid, image.shape[1:])[0]
    columns = min(_COLUMNS, len(maps) + 1)
    rows = [[view.shape] * columns for _ in range(-(-(len(maps) + 1) // columns))]
    made = canvas.sheet(rows, title=title, is_phantom=is_phantom, width=240 * columns)
    where = "image" if image.shape[1] == 1 else f"image, slice {view.index + 1} of {image.shape[1]}"
    draw(made.cells[0], view, view.cut(scaled(image, channels)), where, is_phantom=is_phantom)
    low, high = scale_of([values for _, values in maps])
    names = _told_apart([name for name, _ in maps])
    for axes, name, (_, values) in zip(made.cells[1:], names, maps, strict=False):
        cut = view.cut_coarse(values, len_along(image[0], view.plane))
        caption = f"{name}: {values.min():.2f} to {values.max():.2f}"
        draw(axes, view, colormaps[_COLOURS]((cut - low) / (high - low))[..., :3], caption, is_phantom=is_phantom)
    _scale(made, low, high)
    return canvas.png(made)


def scale_of(maps: Sequence[np.ndarray]) -> tuple[float, float]:
    """From the lowest to the highest weight of all blocks, in tenths; about their middle where they hardly differ."""
    least, most = min(float(values.min()) for values in maps), max(float(values.max()) for values in maps)
    if most - least < _NARROWEST / 2:
        low = round(min(max((least + most - _NARROWEST) / 2, 0.0), 1 - _NARROWEST) * 20) / 20
        return low, low + _NARROWEST
    low = float(np.floor(least * 10 + 1e-6) / 10)
    return low, max(float(np.ceil(most * 10 - 1e-6) / 10), low + _NARROWEST)


def _scale(made: canvas.Sheet, low: float, high: float) -> None:
    """A strip of the colours with the weights that its ends mean."""
    top = made.height - 26
    canvas.write(made, 8, top, f"{low:.2g}", size=9)
    axes = made.figure.add_axes((40 / made.width, 1 - (top + 13) / made.height, _BAR / made.width, 12 / made.height))
    axes.imshow(np.linspace(0, 1, 64)[None], cmap=_COLOURS, aspect="auto")
    axes.set_axis_off()
    canvas.write(made, 46 + _BAR, top, f"{high:.2g}   weight of a place, one scale for all blocks", size=9)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names as short as a caption needs them: without the ending that all of them share."""
    parts = [name.split(".") for name in names]
    while len(parts) > 1 and all(len(each) > 1 for each in parts) and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    joined = [".".join(each) for each in parts]
    return [name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :] for name in joined]
