"""What is drawn around on a heat map: what was asked about, the reference where there is one, the window that was asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from overread.core.grid import Grid
from overread.core.image import reorient
from overread.reporting.pictures import canvas
from overread.reporting.pictures.planes import Plane

WINDOW_COLOUR = "#c9c9c4"
_HALO = "#0d0f11"


@dataclass(frozen=True)
class Marks:
    """All on the grid of the image; boxes (2, 3) as in `core.kinds.Boxes`.

    target        (Z, Y, X) bool: the voxels that were asked about
    target_box    the object that was asked about
    truth         (Z, Y, X) bool: the reference, drawn by a reader
    truth_boxes   the objects of the reference
    window        what the network was shown, where that is less than the image
    """

    target: np.ndarray | None = None
    target_box: np.ndarray | None = None
    truth: np.ndarray | None = None
    truth_boxes: tuple[np.ndarray, ...] = ()
    window: np.ndarray | None = None

    @property
    def legend(self) -> list[tuple[str, str, canvas.Style]]:
        entries: list[tuple[str, str, canvas.Style]] = []
        if self.target is not None or self.target_box is not None:
            entries.append(("asked about (the answer)", canvas.ANSWER_COLOUR, "solid"))
        if self.truth is not None or self.truth_boxes:
            entries.append(("reference", canvas.TRUTH_COLOUR, "solid"))
        if self.window is not None:
            entries.append(("what the network was shown", WINDOW_COLOUR, "dotted"))
        return entries


def turned_marks(marks: Marks, grid: Grid, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Marks:
    """The same marks in the axes in which the image is shown."""

    def box(corners: np.ndarray | None) -> np.ndarray | None:
        if corners is None:
            return None
        turned = np.asarray(corners, dtype=float)[:, list(order)].copy()
        for axis, flip in enumerate(flips):
            if flip:
                turned[:, axis] = grid.shape[order[axis]] - 1 - turned[::-1, axis]
        return turned

    def mask(voxels: np.ndarray | None) -> np.ndarray | None:
        return None if voxels is None else reorient(voxels, order, flips)

    truths = tuple(each for each in map(box, marks.truth_boxes) if each is not None)
    return replace(
        marks,
        target=mask(marks.target),
        target_box=box(marks.target_box),
        truth=mask(marks.truth),
        truth_boxes=truths,
        window=box(marks.window),
    )


def draw_marks(axes: Axes, marks: Marks, plane: Plane, index: int, shape: tuple[int, ...]) -> None:
    """Draw what of the marks, already turned, a slice shows."""
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    if marks.window is not None:
        _box(axes, marks.window, plane, index, shape, WINDOW_COLOUR, "dotted", 1.0)
    if marks.truth is not None:
        _outline(axes, plane.cut(marks.truth, index), canvas.TRUTH_COLOUR, extent)
    for corners in marks.truth_boxes:
        _box(axes, corners, plane, index, shape, canvas.TRUTH_COLOUR, "solid", 1.2)
    shown = None if marks.target is None else plane.cut(marks.target, index)
    if shown is not None and shown.any():
        _outline(axes, shown, canvas.ANSWER_COLOUR, extent)
    elif marks.target_box is not None:
        _box(axes, marks.target_box, plane, index, shape, canvas.ANSWER_COLOUR, "solid", 1.4)


def _outline(axes: Axes, mask: np.ndarray, colour: str, extent: canvas.Extent) -> None:
    """A contour on a dark one, so that it is seen on warm colours too."""
    for line, width in ((_HALO, 3.2), (colour, 1.3)):
        canvas.outline(axes, mask, line, "solid", extent, width)


def _box(
    axes: Axes,
    corners: np.ndarray,
    plane: Plane,
    index: int,
    shape: tuple[int, ...],
    colour: str,
    style: canvas.Style,
    width: float,
) -> None:
    first, last = corners[:, plane.normal]
    if not first <= index <= last:
        return
    down, across = (axis for axis in range(3) if axis != plane.normal)
    (y0, x0), (y1, x1) = corners[:, [down, across]] + 0.5
    if plane.normal != 0:  # head up
        y0, y1 = shape[down] - y1, shape[down] - y0
    step_y, step_x = plane.size[0] / shape[down], plane.size[1] / shape[across]
    place = (x0 * step_x, plane.size[0] - y1 * step_y)
    lines = [(_HALO, width + 1.9)] if style == "solid" else []
    for edge, thick in (*lines, (colour, width)):
        line = {"fill": False, "edgecolor": edge, "linestyle": style, "linewidth": thick}
        axes.add_patch(Rectangle(place, (x1 - x0) * step_x, (y1 - y0) * step_y, **line))  # type: ignore[arg-type]
