"""What a network of objects sees, as pictures: a prepared case and examples of a batch with boxes and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from overread.reporting.pictures import canvas
from overread.reporting.pictures.planes import Plane, spread_slices


@dataclass(frozen=True)
class ObjectsShown:
    """One image with what is asked for in it.

    array    (C, Z, Y, X) float, normalised
    boxes    (N, 6) z0, y0, x0, z1, y1, x1 index coordinates of the array
    names    (N,) class of each, and all classes in order, one line style each
    numbers  (L, Z, Y, X) integers, k + 1 where object k is; None where boxes are all that is known
    """

    array: np.ndarray
    boxes: np.ndarray
    names: tuple[str, ...]
    classes: tuple[str, ...]
    numbers: np.ndarray | None


def object_panel(shown: ObjectsShown, title: str, *, is_phantom: bool = False) -> bytes:
    """The prepared case: one channel per row, up to three slices, boxes and outlines of the objects on them."""
    channels, count, height, width = shown.array.shape
    middles = (shown.boxes[:, 0] + shown.boxes[:, 3]) / 2
    indices = _slices(middles, count)
    rows = min(channels, 4)
    each = 560 if len(indices) == 1 else 240
    made = canvas.sheet(
        [[height / width] * len(indices)] * rows, title=title, is_phantom=is_phantom, width=each * len(indices) + 60
    )
    for row in range(rows):
        for column, index in enumerate(indices):
            caption = f"slice {index + 1} of {count}" if count > 1 else ""
            _draw(made.cells[row * len(indices) + column], shown, row, index, caption, is_phantom)
    low, high = float(shown.array.min()), float(shown.array.max())
    note = f"{low:.2f} to {high:.2f}; {count} x {height} x {width}; {len(shown.boxes)} objects"
    canvas.write(made, made.width - 8, 14, note, size=8, align="right")
    _legend(made, shown.classes)
    return canvas.png(made)


def object_grid(examples: Sequence[ObjectsShown], title: str, *, is_phantom: bool) -> bytes:
    """Up to nine examples of a batch, three in a row: the first channel, the slice through the largest object."""
    kept = list(examples)[:9]
    height, width = kept[0].array.shape[2:]
    rows = [kept[k : k + 3] for k in range(0, len(kept), 3)]
    cells = [[height / width] * len(rows[0]) for _ in rows]
    made = canvas.sheet(cells, title=title, is_phantom=is_phantom, width=260 * len(rows[0]) + 60)
    for number, shown in enumerate(kept):
        count = shown.array.shape[1]
        sizes = (shown.boxes[:, 3:] - shown.boxes[:, :3]).prod(axis=1)
        index = round(float(shown.boxes[np.argmax(sizes), [0, 3]].mean())) if len(sizes) else count // 2
        index = int(np.clip(index, 0, count - 1))
        caption = f"{number + 1}" if count == 1 else f"{number + 1}: slice {index + 1} of {count}"
        _draw(made.cells[number], shown, 0, index, caption + ("" if len(sizes) else ", nothing to find"), is_phantom)
    _legend(made, kept[0].classes)
    return canvas.png(made)


def _legend(made: canvas.Sheet, classes: tuple[str, ...]) -> None:
    left = 8.0
    for number, name in enumerate(classes[: len(canvas.STYLES)]):
        left = canvas.legend_entry(made, left, made.height - 26, name, canvas.TRUTH_COLOUR, canvas.STYLES[number])


def _slices(middles: np.ndarray, count: int) -> list[int]:
    """Three slices through objects, or through the volume where there are none."""
    if count == 1:
        return [0]
    if not len(middles):
        return spread_slices(count, 3)
    ordered = np.sort(middles)
    return sorted({int(np.clip(round(ordered[round(s * (len(ordered) - 1))]), 0, count - 1)) for s in (0.2, 0.5, 0.8)})


def _draw(axes: Axes, shown: ObjectsShown, channel: int, index: int, caption: str, is_phantom: bool) -> None:
    height, width = shown.array.shape[2:]
    low, high = np.percentile(shown.array[channel], (0.5, 99.5))
    pixels = (shown.array[channel, index] - low) / max(float(high - low), 1e-6)
    extent = (0.0, float(width), 0.0, float(height))
    plane = Plane("", 0, ("", "", "", ""), (float(height), float(width)))
    canvas.show(axes, pixels, plane, caption, is_phantom=is_phantom, extent=extent)
    if shown.numbers is not None:
        for number in (int(v) for v in np.unique(shown.numbers[:, index]) if v > 0):
            mask = (shown.numbers[:, index] == number).any(axis=0)
            canvas.outline(axes, mask, canvas.TRUTH_COLOUR, "dotted", extent, 1.0)
    for box, name in zip(shown.boxes, shown.names, strict=True):
        if box[0] <= index <= box[3]:
            left, top = float(box[2]) + 0.5, float(height) - (float(box[1]) + 0.5)
            place = shown.classes.index(name)
            style = canvas.STYLES[place % len(canvas.STYLES)]
            size = float(box[5] - box[2]), float(box[4] - box[1])
            edge = {"edgecolor": canvas.TRUTH_COLOUR, "facecolor": "none", "linewidth": 1.1, "linestyle": style}
            axes.add_patch(Rectangle((left, top - size[1]), *size, **edge))  # type: ignore[arg-type]
            if place >= len(canvas.STYLES):  # the styles are used up, so the name stands beside the box
                axes.text(left, top + 1, name, fontsize=6.5, color=canvas.TRUTH_COLOUR, clip_on=True, parse_math=False)
