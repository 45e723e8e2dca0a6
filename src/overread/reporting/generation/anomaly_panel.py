"""A case that may not be normal: the image, what a network made of it, and where the two differ more than is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from overread.core.grid import Grid
from overread.core.kinds import Piece
from overread.imaging.made import DERIVED
from overread.reporting.pictures import canvas
from overread.reporting.pictures.made_marks import WORDS, marked
from overread.reporting.pictures.planes import Plane, planes

COLOURS = colormaps["magma"]  # equal steps look equal
NAMED = 6  # regions that bear their rank
COLUMNS = ("image", "made of it by the network", "beyond the usual")


@dataclass(frozen=True)
class Panel:
    """A case on the grid of the network, in canonical orientation.

    seen, answer  (Z, Y, X) normalised
    beyond        (Z, Y, X) in usual standard deviations
    regions       worst first
    threshold     at which a region is one
    """

    seen: np.ndarray
    answer: np.ndarray
    beyond: np.ndarray
    regions: Sequence[Piece]
    grid: Grid
    threshold: float


def anomaly_panel(panel: Panel, title: str, *, is_phantom: bool) -> bytes:
    """PNG: three pictures of one slice, of a volume that of the worst place; regions are framed and numbered by rank."""
    plane = planes(panel.grid)[0]
    index = _index(panel)
    made = canvas.sheet([[plane.size[0] / plane.size[1]] * 3], title=title, is_phantom=is_phantom, width=900)
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    low, high = (float(value) for value in np.percentile(panel.seen, (0.5, 99.5)))
    where = f", slice {index + 1}" if len(panel.seen) > 1 else ""
    limit = 2 * max(panel.threshold, 1.0)
    shown = (
        (plane.cut(panel.seen, index) - low) / max(high - low, 1e-6),
        (plane.cut(panel.answer, index) - low) / max(high - low, 1e-6),
        COLOURS(np.clip(plane.cut(panel.beyond, index) / limit, 0, 1))[..., :3],
    )
    for axes, name, pixels in zip(made.cells, COLUMNS, shown, strict=True):
        mark = WORDS[DERIVED] if name == COLUMNS[1] else ""
        canvas.show(axes, pixels, plane, f"{name}{where}", is_phantom=is_phantom, extent=extent, mark=mark)
        if name != COLUMNS[1]:
            _frames(axes, panel, plane, index)
    note = f"Right: black usual, white {limit:.1f} standard deviations beyond; frames: regions at {panel.threshold:.1f} and above"
    hidden = len(panel.regions) - len([piece for piece in panel.regions if _is_in(piece, index)])
    canvas.write(made, 8, made.height - 24, note + (f"; {hidden} more in other slices" if hidden else ""), size=8)
    return marked(canvas.png(made), DERIVED, is_phantom=is_phantom)


def _index(panel: Panel) -> int:
    """The slice of the worst region, else of the highest value."""
    if panel.regions:
        first = panel.regions[0]
        return int(first.start[0] + first.mask.sum(axis=(1, 2)).argmax())
    return int(np.unravel_index(int(panel.beyond.argmax()), panel.beyond.shape)[0])


def _is_in(piece: Piece, index: int) -> bool:
    return piece.start[0] <= index < piece.start[0] + piece.mask.shape[0]


def _frames(axes: Axes, panel: Panel, plane: Plane, index: int) -> None:
    """The boxes of the regions in this slice, with their ranks."""
    step_y, step_x = plane.size[0] / panel.beyond.shape[1], plane.size[1] / panel.beyond.shape[2]
    for rank, piece in enumerate(panel.regions, 1):
        if not _is_in(piece, index):
            continue
        _, first, left = piece.start
        _, high, wide = piece.mask.shape
        bottom = plane.size[0] - (first + high) * step_y
        box = Rectangle((left * step_x, bottom), wide * step_x, high * step_y, fill=False, linewidth=1.2)
        box.set_edgecolor(canvas.MATCHED_COLOUR)
        axes.add_patch(box)
        if rank <= NAMED:
            place = (left * step_x, bottom + high * step_y)
            axes.annotate(str(rank), place, color=canvas.MATCHED_COLOUR, fontsize=8.5, va="bottom")
