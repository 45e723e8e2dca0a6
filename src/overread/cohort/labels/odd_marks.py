"""What is odd in the marks of a cohort as a whole: outlines that cross themselves, turned boxes, exchanged sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from overread.cohort.labels.marks import ROUNDING, Mark, MarkedImage, in_pixels
from overread.core.errors import Refused

Size = tuple[int, int]  # (Y, X)
RIGHT_ANGLE = 0.02  # cosine: corners this near to 90 degrees make a rectangle, edges this near to an axis are not turned
FEW = 3  # so many turned rectangles and nothing else are no accident
MOST = 0.8  # share of the odd boxes that an exchange of sides must explain
AGREES = 2.0  # pixels between the side of a box and that of its outline


@dataclass(frozen=True)
class Placed:
    """A mark in pixels, and the picture it belongs to by the user's name."""

    mark: Mark
    name: str


def crosses_itself(points: np.ndarray) -> bool:
    """Do two sides of a closed outline (N, 2) cross? Sides that only touch, as in a keyhole, do not."""
    start, end = points, np.roll(points, -1, axis=0)
    for k in range(len(points) - 2):
        last = len(points) - (k == 0)  # the last side is a neighbour of the first
        others = slice(k + 2, last)
        a, b, c, d = start[k], end[k], start[others], end[others]
        apart = _side(a, b, c) * _side(a, b, d) < 0
        if (apart & (_side(c, d, a) * _side(c, d, b) < 0)).any():
            return True
    return False


def _side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sign says on which side of the line through a and b the point c lies; broadcasts."""
    first, second = b - a, c - a
    return np.asarray(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])


def is_turned_rectangle(points: np.ndarray) -> bool:
    """Four corners with right angles, and no side along an axis."""
    if len(points) != 4:
        return False
    sides = np.roll(points, -1, axis=0) - points
    lengths = np.linalg.norm(sides, axis=1)
    if lengths.min() <= 0:
        return False
    directions = sides / lengths[:, None]
    right = all(abs(float(directions[k] @ directions[k - 1])) <= RIGHT_ANGLE for k in range(4))
    return right and bool(np.abs(directions).min() > RIGHT_ANGLE)


def refuse_turned(marks: Sequence[Placed], title: str) -> None:
    """Oriented boxes look like outlines of four corners; where all marks are such, they are named and refused."""
    turned = sum(len(m.mark.outlines) == 1 and is_turned_rectangle(m.mark.outlines[0]) for m in marks)
    if turned and (turned >= FEW or turned == len(marks)) and all(_is_four_cornered(m.mark) for m in marks):
        raise oriented(f"The {title} labels hold {turned} boxes that are turned (four corners of a rectangle off the axes)")


def oriented(found: str) -> Refused:
    return Refused(
        "oriented-boxes",
        f"{found}: oriented boxes (YOLO-OBB, DOTA) are not supported.",
        "export boxes along the axes (x, y, width, height), or outlines",
    )


def _is_four_cornered(mark: Mark) -> bool:
    return len(mark.outlines) == 1 and len(mark.outlines[0]) == 4


def crossing_note(marks: Sequence[Placed], title: str) -> tuple[str, ...]:
    """A sentence about outlines that cross themselves, if there are any."""
    found = [m for m in marks if any(crosses_itself(outline) for outline in m.mark.outlines)]
    if not found:
        return ()
    return (
        f"WARNING: {len(found)} {title} outlines cross themselves, for example on {found[0].name}; "
        "they were filled by the even-odd rule, so what is enclosed twice is outside",
    )


def exchanged_note(marks: Sequence[Placed]) -> tuple[str, ...]:
    """A sentence where boxes fit their own outlines only with width and height exchanged."""
    both = [m.mark for m in marks if m.mark.box is not None and m.mark.outlines]
    odd = exchanged = 0
    for mark in both:
        width, height = _sides(mark.box)
        own = _sides(Mark("", outlines=mark.outlines).extent)
        if abs(width - own[0]) > AGREES or abs(height - own[1]) > AGREES:
            odd += 1
            exchanged += abs(height - own[0]) <= AGREES and abs(width - own[1]) <= AGREES
    if odd < FEW or exchanged < MOST * odd:
        return ()
    return (
        f"WARNING: {exchanged} of {len(both)} boxes fit their own outlines only when width and height are exchanged; "
        "look at them before you train",
    )


def _sides(box: tuple[float, float, float, float] | None) -> tuple[float, float]:
    x0, y0, x1, y1 = box or (0.0, 0.0, 0.0, 0.0)
    return x1 - x0, y1 - y0


def exchanged_in_words(images: Iterable[tuple[MarkedImage, Size]]) -> str:
    """A sentence where most boxes outside their images would fit with their sides, or x and y, exchanged; "" elsewhere."""
    total = outside = sides = axes = 0
    for image, size in images:
        for mark in image.marks:
            box = in_pixels(mark, size).box if image.relative else mark.box
            if box is None:
                continue
            total += 1
            if not _is_inside(box, size):
                x0, y0, x1, y1 = box
                outside += 1
                sides += _is_inside((x0, y0, x0 + y1 - y0, y0 + x1 - x0), size)
                axes += _is_inside((y0, x0, y1, x1), size)
    if not outside or max(sides, axes) < MOST * outside:
        return ""
    what, count = ("width and height", sides) if sides >= axes else ("x and y", axes)
    return f"{outside} of {total} boxes reach outside their image; {count} of these fit when {what} are exchanged."


def _is_inside(box: tuple[float, float, float, float], size: Size) -> bool:
    x0, y0, x1, y1 = box
    return x0 >= -ROUNDING and y0 >= -ROUNDING and x1 <= size[1] + ROUNDING and y1 <= size[0] + ROUNDING
