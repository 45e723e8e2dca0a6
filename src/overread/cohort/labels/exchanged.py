"""Sides or axes of boxes that were exchanged: each box may look right, so the whole label file is looked at.

Three signs: boxes that fit their own outlines, or their images, only when exchanged; and, where images differ in shape, boxes
that follow the exchanged axes. Of right labels in pixels, boxes of wider images are no narrower, and lie no less to the right;
of exchanged ones they are, and do. Shares of the image (YOLO) are put into pixels first, and then boxes that were exchanged
grow wider faster than their images do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from overread.cohort.labels.marks import ROUNDING, Mark, MarkedImage
from overread.cohort.labels.odd_marks import Placed

Size = tuple[int, int]  # (Y, X)
Box = tuple[float, float, float, float]  # x0, y0, x1, y1
FEW = 3  # odd boxes, with fewer of which nothing is said
MOST = 0.8  # share of the odd boxes that an exchange must explain
AGREES = 2.0  # pixels between the side of a box and that of its outline
FEW_IMAGES = 20
LEAST_SPREAD = 0.1  # standard deviation of the logarithm of width over height of the images
STEEP = 0.5  # slope beyond what right labels can have
SURE = 4.0  # standard errors


@dataclass(frozen=True)
class Shaped:
    """The marks of one image, in its pixels.

    relative  the file gave shares of width and height
    """

    size: Size
    marks: tuple[Mark, ...]
    relative: bool


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


def _sides(box: Box | None) -> tuple[float, float]:
    x0, y0, x1, y1 = box or (0.0, 0.0, 0.0, 0.0)
    return x1 - x0, y1 - y0


def exchanged_in_words(images: Iterable[tuple[MarkedImage, Size]]) -> str:
    """A sentence where most boxes outside their images would fit with their sides, or x and y, exchanged; "" elsewhere."""
    total = outside = sides = axes = 0
    for image, size in images:
        height, width = (1.0, 1.0) if image.relative else size  # shares were exchanged as shares
        slack = ROUNDING / min(size) if image.relative else ROUNDING
        for mark in image.marks:
            if mark.box is None:
                continue
            total += 1
            if not _is_inside(mark.box, width, height, slack):
                x0, y0, x1, y1 = mark.box
                outside += 1
                sides += _is_inside(_sides_exchanged(mark.box, about_centre=image.relative), width, height, slack)
                axes += _is_inside((y0, x0, y1, x1), width, height, slack)
    if not outside or max(sides, axes) < MOST * outside:
        return ""
    what, count = ("width and height", sides) if sides >= axes else ("x and y", axes)
    return f"{outside} of {total} boxes reach outside their image; {count} of these fit when {what} are exchanged."


def _sides_exchanged(box: Box, *, about_centre: bool) -> Box:
    """YOLO writes the centre of a box, COCO its first corner: that one stays."""
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    if not about_centre:
        return x0, y0, x0 + high, y0 + wide
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - high / 2, y - wide / 2, x + high / 2, y + wide / 2


def _is_inside(box: Box, width: float, height: float, slack: float) -> bool:
    x0, y0, x1, y1 = box
    return x0 >= -slack and y0 >= -slack and x1 <= width + slack and y1 <= height + slack


def against_shape_note(images: Sequence[Shaped]) -> tuple[str, ...]:
    """A sentence where boxes follow the exchanged axes of images of different shapes."""
    found = [(image, boxes) for image in images if (boxes := [b for m in image.marks if (b := m.extent) and _has_inside(b)])]
    shape = np.array([np.log(image.size[1] / image.size[0]) for image, _ in found])
    if len(found) < FEW_IMAGES or shape.std() < LEAST_SPREAD:
        return ()
    relative = found[0][0].relative
    sides = np.array([np.median([np.log((b[2] - b[0]) / (b[3] - b[1])) for b in boxes]) for _, boxes in found])
    places = np.array([np.median([np.log(max(b[0] + b[2], 1.0) / max(b[1] + b[3], 1.0)) for b in boxes]) for _, boxes in found])
    by_sides, by_places = _is_exchanged(shape, sides, relative), not relative and _is_exchanged(shape, places, False)
    if not (by_sides or by_places):
        return ()
    what = "x and y" if by_places else "width and height, or x and y," if relative else "width and height"
    how = "lie further down" if by_places and not by_sides else "are taller" if not relative else "are wider than that explains"
    return (
        f"WARNING: in images that are wider the boxes {how} ({len(found)} images), as if {what} were exchanged; "
        "look at them before you train",
    )


def _has_inside(box: Box) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def _is_exchanged(shape: np.ndarray, values: np.ndarray, relative: bool) -> bool:
    """(N,) logarithms of width over height of images, and of the same of their boxes or of the places of these.

    The slope of right labels lies between 0 (objects have a shape of their own) and 1 (they are stretched with the image);
    exchanged in pixels between -1 and 0, exchanged in shares between 1 and 2.
    """
    line = stats.linregress(shape, values)
    beyond = line.slope - 1 if relative else -line.slope
    return bool(beyond > STEEP and beyond > SURE * line.stderr)
