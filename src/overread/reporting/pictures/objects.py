"""Objects on the image: what was found, what was missed, and what was seen where nothing is. Colour and line style differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from overread.core.grid import Grid
from overread.core.image import Image, reorient
from overread.core.kinds import Boxes, Instances, Piece
from overread.reporting.pictures import canvas
from overread.reporting.pictures.display import grey
from overread.reporting.pictures.planes import Plane, planes
from overread.reporting.pictures.words_beside import Free

Record = Mapping[str, Any]
_MOST_SLICES = 4
_MOST_NAMED = 12  # boxes of one slice with words beside them; more would hide the image
_SAME = 0.02  # voxels by which two boxes of one object may differ


@dataclass(frozen=True)
class Look:
    """How a kind of object is drawn."""

    words: str
    colour: str
    style: canvas.Style
    width: float


LOOKS = {
    "reference": Look("reference, found", canvas.TRUTH_COLOUR, "solid", 1.3),
    "missed": Look("reference, missed", canvas.MISSED_COLOUR, "dotted", 2.0),
    "matched": Look("model, right", canvas.MATCHED_COLOUR, "dashed", 1.4),
    "false": Look("model, false", canvas.ANSWER_COLOUR, "dashdot", 1.6),
}


@dataclass(frozen=True)
class Drawn:
    """One object to be drawn, in the canonical axes.

    corners  (2, 3) index coordinates of its box
    piece    its voxels, where there are any
    """

    look: Look
    corners: np.ndarray
    words: str
    piece: Piece | None
    rank: float


def objects_panel(
    image: Image,
    truth: Boxes | Instances | None,
    answer: Boxes | Instances | None,
    listed: Sequence[Record],
    title: str,
    is_phantom: bool,
    window: tuple[float, float] | None,
    *,
    named: bool = False,
) -> bytes:
    """Draw one case as PNG.

    listed   the case's objects as the evaluation file has them; without them, truths and answers are drawn unmatched
    named    the question has several classes: say the class beside each object, in place of its size
    """
    order, flips = image.grid.canonical_axes()
    pixels = grey(image, window)
    shown = reorient(pixels, order, flips) if pixels.ndim == 3 else pixels
    plane = planes(image.grid.reoriented(order, flips))[order.index(0)]
    drawn = [_turned(d, image.grid, order, flips) for d in _all_drawn(truth, answer, listed, named=named)]
    indices = [0] if image.grid.is_planar else _telling_slices(drawn, shown.shape, plane.normal)
    rows = [indices[k : k + 2] for k in range(0, len(indices), 2)]
    aspect = plane.size[0] / plane.size[1]
    width = 700 if len(indices) == 1 else 940
    made = canvas.sheet([[aspect] * len(row) for row in rows], title=title, is_phantom=is_phantom, width=width)
    extent = (0.0, plane.size[1], 0.0, plane.size[0])
    for axes, index in zip(made.cells, indices, strict=True):
        caption = "" if image.grid.is_planar else f"{plane.name} {index + 1} of {shown.shape[plane.normal]}"
        canvas.show(axes, plane.cut(shown, index), plane, caption, is_phantom=is_phantom, extent=extent)
        _draw(axes, [d for d in drawn if _crosses(d, plane, index)], plane, index, shown.shape[:3])
    left = 10.0
    for key in _present(drawn):
        look = LOOKS[key]
        left = canvas.legend_entry(made, left, made.height - 24, look.words, look.colour, look.style)
    return canvas.png(made)


def _present(drawn: Sequence[Drawn]) -> list[str]:
    return [key for key, look in LOOKS.items() if any(d.look is look for d in drawn)]


# ---- what is drawn ----------------------------------------------------------------------------------


def _all_drawn(
    truth: Boxes | Instances | None, answer: Boxes | Instances | None, listed: Sequence[Record], *, named: bool
) -> list[Drawn]:
    """References that were found, then what the evaluation says of the others and of every answer."""
    missed = [_corners(item) for item in listed if item["state"] == "missed"]
    found = [] if truth is None else [k for k, c in enumerate(truth.corners) if not any(_same(c, m) for m in missed)]
    drawn = [Drawn(LOOKS["reference"], truth.corners[k], "", _piece(truth, k), 0.0) for k in found] if truth is not None else []
    if not listed and answer is not None:
        everything = zip(answer.corners, answer.scores, strict=True)
        return drawn + [
            Drawn(LOOKS["false" if truth is not None and not found else "matched"], c, f"{s:.2f}", _piece(answer, k), float(s))
            for k, (c, s) in enumerate(everything)
        ]
    for item in listed:
        holder = truth if item["state"] == "missed" else answer
        corners = _corners(item)
        rank = item["score"] if item["score"] is not None else 1.0 + float(item.get("size_px") or 0)
        words, piece = object_words(item, named=named), _piece_at(holder, corners)
        drawn.append(Drawn(LOOKS[item["state"]], corners, words, piece, float(rank)))
    return drawn


def object_words(item: Record, *, named: bool = False) -> str:
    """``0.87, 14 mm``: score where there is one, and size; among several classes ``cyst 0.87``."""
    score = [f"{item['score']:.2f}"] if item.get("score") is not None else []
    return " ".join([item["class"], *score]) if named else ", ".join([*score, size_words(item)])


def size_words(item: Record) -> str:
    """Longest edge in mm, or area in square pixels where the spacing is not known."""
    if item.get("size_mm") is not None:
        return f"{item['size_mm']:.0f} mm" if item["size_mm"] >= 9.5 else f"{item['size_mm']:.1f} mm"
    return f"{item['size_px']:.0f} px²"


def _corners(item: Record) -> np.ndarray:
    return np.asarray(item["box"], dtype=float).reshape(2, 3)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= _SAME)


def _piece(kind: Boxes | Instances, number: int) -> Piece | None:
    return kind.pieces[number] if isinstance(kind, Instances) else None


def _piece_at(kind: Boxes | Instances | None, corners: np.ndarray) -> Piece | None:
    if not isinstance(kind, Instances):
        return None
    return next((kind.pieces[k] for k, c in enumerate(kind.corners) if _same(c, corners)), None)


def _turned(drawn: Drawn, grid: Grid, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Drawn:
    """The same object in the axes in which the image is shown."""
    sizes = [grid.shape[axis] for axis in order]
    corners = drawn.corners[:, list(order)].copy()
    for axis, flip in enumerate(flips):
        if flip:
            corners[:, axis] = sizes[axis] - 1 - corners[::-1, axis]
    piece = drawn.piece
    if piece is not None:
        mask = reorient(piece.mask, order, flips)
        first = [piece.start[axis] for axis in order]
        start = [s - n - a if flip else a for s, n, a, flip in zip(sizes, mask.shape, first, flips, strict=True)]
        piece = Piece((start[0], start[1], start[2]), mask)
    return Drawn(drawn.look, corners, drawn.words, piece, drawn.rank)


# ---- where ------------------------------------------------------------------------------------------


def _telling_slices(drawn: Sequence[Drawn], shape: Sequence[int], normal: int) -> list[int]:
    """Through the surest false answer, the largest miss, the surest right answer and the next of these, in order of height."""
    wished: list[int] = []
    keys = ("false", "missed", "matched", "reference")
    ranked = [sorted((d for d in drawn if d.look is LOOKS[key]), key=lambda d: -d.rank) for key in keys]
    for place in range(_MOST_SLICES):
        for group in ranked:
            if place < len(group):
                middle = int(np.clip(round(float(group[place].corners[:, normal].mean())), 0, shape[normal] - 1))
                if middle not in wished:
                    wished.append(middle)
    return sorted(wished[:_MOST_SLICES]) or [shape[normal] // 2]


def _crosses(drawn: Drawn, plane: Plane, index: int) -> bool:
    first, last = drawn.corners[:, plane.normal]
    return bool(first <= index <= last)


# ---- drawing ----------------------------------------------------------------------------------------


def _draw(axes: Axes, drawn: Sequence[Drawn], plane: Plane, index: int, shape: Sequence[int]) -> None:
    height, width = plane.size
    down, across = (axis for axis in range(3) if axis != plane.normal)
    step_y, step_x = height / shape[down], width / shape[across]
    named = {id(d) for d in sorted(drawn, key=lambda d: -d.rank)[:_MOST_NAMED]}
    free = Free(axes, width, height)
    for item in drawn:
        (y0, x0), (y1, x1) = item.corners[:, [down, across]] + 0.5
        if plane.normal != 0:  # head up
            y0, y1 = shape[down] - y1, shape[down] - y0
        low, left = height - y1 * step_y, x0 * step_x
        if item.piece is not None:
            mask = np.zeros(tuple(shape), bool)
            mask[item.piece.place] = item.piece.mask
            extent = (0.0, width, 0.0, height)
            canvas.outline(axes, plane.cut(mask, index), item.look.colour, item.look.style, extent, item.look.width)
        else:
            size = ((x1 - x0) * step_x, (y1 - y0) * step_y)
            style = {"fill": False, "edgecolor": item.look.colour, "linestyle": item.look.style, "linewidth": item.look.width}
            axes.add_patch(Rectangle((left, low), *size, **style))  # type: ignore[arg-type]
        if item.words and id(item) in named:
            place = (left, low, left + (x1 - x0) * step_x, height - y0 * step_y)
            free.write(item.words, item.look.colour, place, prefers_below=item.look is LOOKS["missed"])
