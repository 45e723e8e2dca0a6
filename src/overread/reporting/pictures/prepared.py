"""What the network sees, as pictures: a prepared case, and examples of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.reporting.pictures import canvas
from overread.reporting.pictures.planes import Plane, largest_slice, spread_slices


def prepared_panel(array: np.ndarray, label: np.ndarray | None, title: str, *, is_phantom: bool = False) -> bytes:
    """Draw what the network sees: one channel per row, up to three slices, the label as contours.

    array  (C, Z, Y, X) float, normalised
    label  (Z, Y, X) integers, 0 background; None where the task has no mask
    """
    channels, count = array.shape[:2]
    mask = np.zeros(array.shape[1:], dtype=bool) if label is None else np.asarray(label) > 0
    indices = [0] if count == 1 else _telling_slices(mask)
    height, width = array.shape[2:]
    plane = Plane("", 0, ("", "", "", ""), (float(height), float(width)))
    rows = min(channels, 4)
    cells = [[height / width] * len(indices)] * rows
    made = canvas.sheet(cells, title=title, is_phantom=is_phantom, width=240 * len(indices) + 60)
    extent = (0.0, float(width), 0.0, float(height))
    values = [] if label is None else [int(v) for v in np.unique(label) if v > 0]
    for row in range(rows):
        low, high = np.percentile(array[row], (0.5, 99.5))
        for column, index in enumerate(indices):
            axes = made.cells[row * len(indices) + column]
            pixels = (array[row, index] - low) / max(float(high - low), 1e-6)
            caption = f"slice {index + 1} of {count}" if count > 1 else ""
            canvas.show(axes, pixels, plane, caption, is_phantom=is_phantom, extent=extent)
            for number, value in enumerate(values):
                canvas.outline(axes, label[index] == value, canvas.TRUTH_COLOUR, canvas.STYLES[number % 4], extent)  # type: ignore[index]
    low, high = float(array.min()), float(array.max())
    note = f"normalised values from {low:.2f} to {high:.2f}; {count} x {height} x {width}"
    canvas.write(made, 8, made.height - 24, note, size=8)
    return canvas.png(made)


def _telling_slices(mask: np.ndarray) -> list[int]:
    """Three slices through what a (Z, Y, X) mask covers, or through the volume where it is empty."""
    inside = np.flatnonzero(mask.any(axis=(1, 2)))
    if len(inside) == 0:
        return spread_slices(mask.shape[0], 3)
    return sorted({int(inside[round(share * (len(inside) - 1))]) for share in (0.2, 0.5, 0.8)})


def example_grid(examples: Sequence[tuple[np.ndarray, np.ndarray | None]], title: str, *, is_phantom: bool) -> bytes:
    """Draw up to nine examples of a batch, three in a row: the first channel, with the label as contours.

    examples  (C, Z, Y, X) float with (Z, Y, X) integers or None
    """
    shown = list(examples)[:9]
    height, width = shown[0][0].shape[2:]
    rows = [shown[k : k + 3] for k in range(0, len(shown), 3)]
    columns = len(rows[0])
    cells = [[height / width] * columns for _ in rows]
    made = canvas.sheet(cells, title=title, is_phantom=is_phantom, width=240 * columns + 60)
    plane = Plane("", 0, ("", "", "", ""), (float(height), float(width)))
    extent = (0.0, float(width), 0.0, float(height))
    for number, (array, label) in enumerate(shown):
        index = largest_slice(np.asarray(label) > 0, 0) if label is not None else array.shape[1] // 2
        low, high = np.percentile(array[0], (0.5, 99.5))
        caption = f"{number + 1}" if array.shape[1] == 1 else f"{number + 1}: slice {index + 1} of {array.shape[1]}"
        pixels = (array[0, index] - low) / max(float(high - low), 1e-6)
        canvas.show(made.cells[number], pixels, plane, caption, is_phantom=is_phantom, extent=extent)
        for order, value in enumerate(() if label is None else [v for v in np.unique(label) if v > 0]):
            canvas.outline(made.cells[number], label[index] == value, canvas.TRUTH_COLOUR, canvas.STYLES[order % 4], extent)  # type: ignore[index]
    return canvas.png(made)
