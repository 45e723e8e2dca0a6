"""A dark sheet on which slices are laid out in rows, as on a reading workstation, and saved as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from overread.reporting.pictures.planes import Plane

TRUTH_COLOUR = "#56b4e9"  # sky blue and orange of Okabe and Ito's colour-blind safe palette
ANSWER_COLOUR = "#e69f00"
MATCHED_COLOUR = "#3fd0a0"  # their bluish green and reddish purple, lighter
MISSED_COLOUR = "#e58fc4"
PHANTOM_COLOUR = "#f0e442"
_BACKGROUND = "#0d0f11"
_INK = "#e8e8e6"
Style = Literal["solid", "dashed", "dotted", "dashdot"]
# One per structure, so that colour can mean who drew it.
STYLES: tuple[Style, ...] = ("solid", "dashed", "dotted", "dashdot")
_DPI = 110
_TALLEST = 1.3  # height of a cell in widths of a cell


@dataclass(frozen=True)
class Sheet:
    """A figure in pixels with cells in rows, a title above and room for a legend below."""

    figure: Figure
    cells: tuple[Axes, ...]
    width: int
    height: int


def sheet(rows: Sequence[Sequence[float]], *, title: str, is_phantom: bool, width: int = 880, aside: int = 0) -> Sheet:
    """Make a sheet.

    rows   for each row the height of each cell's content divided by its width
    aside  pixels kept free on the right, for text
    """
    gap, head, foot, strip = 6, 36, 36, 19  # the strip above each picture holds its caption
    area = width - aside
    heights: list[float] = []
    for row in rows:
        cell = (area - gap * (len(row) + 1)) / len(row)
        heights.append(cell * min(max(row), _TALLEST))
    height = round(head + foot + sum(heights) + strip * len(rows) + gap * (len(rows) - 1))
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    cells = []
    top = float(head)
    for row, tall in zip(rows, heights, strict=True):
        top += strip
        cell = (area - gap * (len(row) + 1)) / len(row)
        for column in range(len(row)):
            left = gap + column * (cell + gap)
            cells.append(figure.add_axes((left / width, 1 - (top + tall) / height, cell / width, tall / height)))
        top += tall + gap
    made = Sheet(figure, tuple(cells), width, height)
    for axes in made.cells:
        axes.set_facecolor(_BACKGROUND)
        axes.set_axis_off()
    write(made, 8, 11, title, size=12)
    if is_phantom:
        write(made, width - 8, 11, "PHANTOM", size=12, colour=PHANTOM_COLOUR, align="right")
    return made


def write(
    made: Sheet, left: float, top: float, text: str, *, size: float = 10.0, colour: str = _INK, align: str = "left"
) -> None:
    """Write text at a pixel position counted from the top left corner."""
    made.figure.text(
        left / made.width, 1 - top / made.height, text, fontsize=size, color=colour, ha=align, va="top", parse_math=False
    )


Extent = tuple[float, float, float, float]  # left, right, bottom, top of a slice in mm (or pixels)


def show(axes: Axes, pixels: np.ndarray, plane: Plane, caption: str, *, is_phantom: bool, extent: Extent, mark: str = "") -> None:
    """Draw a slice already scaled to 0..1 with its true aspect, orientation letters and a caption.

    pixels  (height, width) grey or (height, width, 3) colour, 0 to 1
    mark    words in a corner that say that a network made or changed it
    """
    box = axes.get_window_extent()
    interpolation = "antialiased" if pixels.shape[1] > box.width or pixels.shape[0] > box.height else "bicubic"
    axes.imshow(np.clip(pixels, 0, 1), cmap="gray", vmin=0, vmax=1, extent=extent, aspect="equal", interpolation=interpolation)
    axes.set_anchor("N")
    left, right, top, bottom = plane.letters
    for letter, x, y, horizontal, vertical in (
        (left, 0.015, 0.5, "left", "center"),
        (right, 0.985, 0.5, "right", "center"),
        (top, 0.5, 0.985, "center", "top"),
        (bottom, 0.5, 0.015, "center", "bottom"),
    ):
        _mark(axes, x, y, letter, horizontal, vertical, size=11.5)
    axes.set_title(caption, loc="left", fontsize=9.5, color="#b8b8b4", pad=3, parse_math=False)
    if is_phantom:
        _mark(axes, 0.985, 0.015, "PHANTOM", "right", "bottom", size=8.5, colour=PHANTOM_COLOUR)
    _mark(axes, 0.015, 0.015, mark, "left", "bottom", size=8.5, colour=PHANTOM_COLOUR)


def _mark(axes: Axes, x: float, y: float, text: str, horizontal: str, vertical: str, *, size: float, colour: str = _INK) -> None:
    if text:
        back = {"facecolor": _BACKGROUND, "alpha": 0.55, "edgecolor": "none", "pad": 1.2}
        place = {"ha": horizontal, "va": vertical, "transform": axes.transAxes}
        axes.text(x, y, text, fontsize=size, color=colour, bbox=back, parse_math=False, **place)  # type: ignore[arg-type]


def outline(axes: Axes, mask: np.ndarray, colour: str, style: Style, extent: Extent, width: float = 1.3) -> None:
    """Draw the contour of a (height, width) mask along its voxel borders' middle."""
    if not mask.any():
        return
    padded = np.pad(mask.astype(np.float32), 1)  # so that a structure at the edge of the picture is closed too
    left, right, bottom, top = extent
    step_x, step_y = (right - left) / mask.shape[1], (top - bottom) / mask.shape[0]
    across = left + (np.arange(-1, mask.shape[1] + 1) + 0.5) * step_x
    down = top - (np.arange(-1, mask.shape[0] + 1) + 0.5) * step_y
    axes.contour(across, down, padded, levels=[0.5], colors=[colour], linestyles=[style], linewidths=[width])


def legend_entry(made: Sheet, left: float, top: float, text: str, colour: str, style: Style) -> float:
    """Draw a short line with its meaning; returns where the next entry may start."""
    y = 1 - (top + 7) / made.height
    made.figure.add_artist(
        Line2D([left / made.width, (left + 26) / made.width], [y, y], color=colour, linestyle=style, linewidth=1.6)
    )
    write(made, left + 32, top, text)
    return left + 32 + 8.2 * len(text) + 22


def png(made: Sheet) -> bytes:
    """The sheet as a PNG file; grey pictures get a palette, which makes them a third of the size."""
    made.figure.canvas.draw()
    pixels = np.asarray(made.figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    picture = PIL.Image.fromarray(pixels)
    if not any(shown.get_array().ndim == 3 for axes in made.cells for shown in axes.get_images()):  # type: ignore[union-attr]
        picture = picture.quantize(palette=_palette(), dither=PIL.Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@cache
def _palette() -> PIL.Image.Image:
    """113 greys and the colours of the drawing, pure and mixed with grey for smooth edges."""
    greys = np.repeat(np.linspace(0, 255, 113)[:, None], 3, axis=1)
    mixed = [
        share * np.array(to_rgb(colour)) * 255 + (1 - share) * grey
        for colour in (TRUTH_COLOUR, ANSWER_COLOUR, MATCHED_COLOUR, MISSED_COLOUR, PHANTOM_COLOUR)
        for share in (1.0, 0.7, 0.4)
        for grey in np.linspace(0, 255, 9)
    ]
    palette = PIL.Image.new("P", (1, 1))
    palette.putpalette(np.rint(np.vstack([greys, mixed])).astype(np.uint8).tobytes())
    return palette
