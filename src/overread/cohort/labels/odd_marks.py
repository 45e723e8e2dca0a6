"""What is odd in the marks of a cohort as a whole: outlines that cross themselves, boxes that are turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.cohort.labels.marks import Mark
from overread.core.errors import Refused

ALONG = 0.02  # cosine: sides this near to an axis are not turned
PARALLEL = 0.02  # of the longest side: so far may the fourth corner lie from where a parallelogram has it
FEW = 3  # so many turned rectangles and nothing else are no accident


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
    """Four corners of a parallelogram with no side along an axis: a rectangle, also where its image was stretched."""
    if len(points) != 4:
        return False
    sides = np.roll(points, -1, axis=0) - points
    lengths = np.linalg.norm(sides, axis=1)
    if lengths.min() <= 0:
        return False
    away = np.linalg.norm(points[0] + points[2] - points[1] - points[3])
    return bool(away <= PARALLEL * lengths.max() and np.abs(sides / lengths[:, None]).min() > ALONG)


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
