"""A picture that was answered: what was read, the answer, the truth, and where the two differ, in one grey scale."""

from __future__ import annotations

import numpy as np

from overread.core.image import Image, reorient
from overread.core.kinds import Picture
from overread.imaging.made import DERIVED
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.made_marks import WORDS, marked
from overread.reporting.pictures.planes import Plane, planes, spread_slices

SLICES = 2  # of a volume
ALIKE = 0.6  # share of two grey scales that overlaps, from which one holds for both
BELOW, ABOVE = np.array([0.34, 0.71, 0.91]), np.array([0.90, 0.62, 0.0])  # too dark sky blue, too bright orange
Span = tuple[float, float]


def picture_panel(
    image: Image, truth: Picture | None, answer: Picture | None, title: str, is_phantom: bool, window: Span | None
) -> bytes:
    """A row per slice and channel of the answer.

    The grey scale is that of the truth, so that what is too bright looks too bright; what was read has it, too, where its values
    are like those. The difference is scaled to a quarter of it.
    """
    shown = truth if truth is not None else answer
    assert shown is not None
    order, flips = image.grid.canonical_axes()
    plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
    of_read = _span_of_read(image, shown, window)
    read = grey(image, of_read)
    read = reorient(read, order, flips) if read.ndim == 3 else read
    columns = ["read"] + ["answer"] * (answer is not None) + ["truth"] * (truth is not None)
    columns += ["answer less truth"] * (len(columns) == 3)
    indices = spread_slices(read.shape[plane.normal], SLICES)
    rows = [(channel, index) for channel in range(len(shown.array)) for index in indices]
    aspect = plane.size[0] / plane.size[1]
    made = canvas.sheet([[aspect] * len(columns)] * len(rows), title=title, is_phantom=is_phantom, width=260 * len(columns))
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    cells = iter(made.cells)
    span = (0.0, 1.0)
    for channel, index in rows:
        span = _span(shown.array[channel], window)
        volumes = {
            name: reorient(kind.array[channel], order, flips)
            for name, kind in (("answer", answer), ("truth", truth))
            if kind is not None
        }
        for name in columns:
            pixels = plane.cut(read, index) if name == "read" else _cut(volumes, name, plane, index, span)
            where = f", slice {index + 1}" if len(indices) > 1 else ""
            mark = WORDS[DERIVED] if name == "answer" else ""
            canvas.show(next(cells), pixels, plane, f"{name}{where}", is_phantom=is_phantom, extent=extent, mark=mark)
    whose = "answer and truth" if of_read is None else "all"
    note = f"{whose} from {span[0]:.4g} to {span[1]:.4g} {shown.units}"
    if len(columns) == 4:
        note += f"; difference: orange too bright, blue too dark, full at {_reach(span):.3g}"
    canvas.write(made, 8, made.height - 24, note, size=8)
    return canvas.png(made) if answer is None else marked(canvas.png(made), DERIVED, is_phantom=is_phantom)


def _cut(volumes: dict[str, np.ndarray], name: str, plane: Plane, index: int, span: Span) -> np.ndarray:
    """The slice scaled to 0..1; of the difference in colour."""
    if name in volumes:
        return (plane.cut(volumes[name], index) - span[0]) / max(span[1] - span[0], 1e-6)
    error = plane.cut(volumes["answer"] - volumes["truth"], index) / _reach(span)
    strength = np.clip(np.abs(error), 0, 1)[..., None]
    return np.asarray(strength * np.where(error[..., None] > 0, ABOVE, BELOW))


def _span(values: np.ndarray, window: Span | None) -> Span:
    if window is not None:
        return window
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high)


def _span_of_read(image: Image, shown: Picture, window: Span | None) -> Span | None:
    """That of the truth where the two overlap well, as before and after a restoration; else None: as a viewer shows it."""
    if window is not None or image.units != shown.units or len(image.array) != 1:
        return window
    (low, high), (least, most) = _span(image.array[0], None), _span(shown.array[0], None)
    both, either = min(high, most) - max(low, least), max(high, most) - min(low, least)
    return (least, most) if both > ALIKE * either else None


def _reach(span: Span) -> float:
    """The difference that is drawn in full colour."""
    return max((span[1] - span[0]) / 4, 1e-6)
