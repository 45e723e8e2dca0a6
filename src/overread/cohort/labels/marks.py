"""What label programs draw on pictures: boxes, outlines and run lengths, before they lie on a grid.

Coordinates are pixel edges, (x, y): the first pixel reaches from 0 to 1, so its centre is (0.5, 0.5). Index
coordinates, where the first centre is 0, are half a pixel less; `overread.cohort.labels.convert` changes them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from overread.core.errors import Refused

ROUNDING = 1.0  # pixels: so far beyond the border is rounding and is cut off; further is another image


@dataclass(frozen=True)
class RunLengths:
    """A mask as lengths of runs, column by column, beginning with background; size (Y, X)."""

    size: tuple[int, int]
    counts: np.ndarray

    def mask(self) -> np.ndarray:
        """(Y, X) bool."""
        values = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(values, self.counts).reshape(self.size, order="F")


@dataclass(frozen=True)
class Mark:
    """One object.

    box       (x0, y0, x1, y1); None where only its outline is known
    outlines  parts of the object, each (N, 2)
    pixels    its mask, where that was drawn
    is_crowd  a group of objects that nobody separated
    reader    who drew it; "" where the file does not say
    number    the same for the marks of one object on several slices; "" where the file does not say
    """

    class_name: str
    box: tuple[float, float, float, float] | None = None
    outlines: tuple[np.ndarray, ...] = ()
    pixels: RunLengths | None = None
    is_crowd: bool = False
    score: float = 1.0
    reader: str = ""
    number: str = ""

    @property
    def has_area(self) -> bool:
        return bool(self.outlines) or self.pixels is not None

    @property
    def extent(self) -> tuple[float, float, float, float] | None:
        """The box, or the smallest one around the outline or mask; None around nothing."""
        if self.box is not None:
            return self.box
        if self.outlines:
            points = np.concatenate(self.outlines)
            (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
            return float(x0), float(y0), float(x1), float(y1)
        mask = self.pixels.mask() if self.pixels is not None else np.zeros((0, 0), bool)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return None
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@dataclass(frozen=True)
class MarkedImage:
    """All marks of one picture.

    name      as the label file calls it
    key       how to find it again in the file; "" where the file is about one picture
    size      (Y, X) pixels as the file says; None where it does not
    slice     of a volume, from 0; None for a picture of its own
    relative  coordinates are shares of the width and height (YOLO)
    """

    name: str
    marks: tuple[Mark, ...]
    key: str = ""
    size: tuple[int, int] | None = None
    slice: int | None = None
    relative: bool = False

    @property
    def readers(self) -> tuple[str, ...]:
        return tuple(sorted({mark.reader for mark in self.marks}))


@dataclass(frozen=True)
class MarkFile:
    """One label file.

    classes  every class, in the order of the file; position + 1 is its label value in a mask
    """

    form: str
    images: tuple[MarkedImage, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def fit(image: MarkedImage, size: tuple[int, int], what: str) -> tuple[Mark, ...]:
    """The marks in pixels of a picture of this size (Y, X); refused where they do not belong to it.

    what  how messages call the picture
    """
    if image.size is not None and image.size != size:
        exchanged = " Width and height are exchanged." if image.size == size[::-1] else ""
        raise Refused(
            "label-size",
            f"{what}: the labels were drawn on {image.size[1]} x {image.size[0]} pixels (width x height), the image has "
            f"{size[1]} x {size[0]}.{exchanged}",
            "give the images that were labelled, or scale the labels with the program that drew them",
        )
    return tuple(_within(in_pixels(mark, size) if image.relative else mark, size, what) for mark in image.marks)


def in_pixels(mark: Mark, size: tuple[int, int]) -> Mark:
    """A mark whose coordinates are shares of the picture (Y, X), in its pixels."""
    height, width = size
    box = mark.box
    if box is not None:
        box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    return replace(mark, box=box, outlines=tuple(points * (width, height) for points in mark.outlines))


def _within(mark: Mark, size: tuple[int, int], what: str) -> Mark:
    height, width = size
    if mark.pixels is not None and mark.pixels.size != size:
        raise Refused(
            "label-size",
            f"{what}: the mask of a '{mark.class_name}' has {mark.pixels.size[1]} x {mark.pixels.size[0]} pixels "
            f"(width x height), the image {width} x {height}.",
            "give the images that were labelled",
        )
    extents = (mark.box, replace(mark, box=None).extent if mark.outlines else None)
    for extent in extents:
        if extent is None:
            continue
        x0, y0, x1, y1 = extent
        if x0 < -ROUNDING or y0 < -ROUNDING or x1 > width + ROUNDING or y1 > height + ROUNDING:
            raise Refused(
                "outside-image",
                f"{what}: a '{mark.class_name}' reaches from ({x0:.6g}, {y0:.6g}) to ({x1:.6g}, {y1:.6g}), outside the image of "
                f"{width} x {height} pixels (width x height).",
                "check that the labels belong to this image, and that width and height were not exchanged",
            )
    if mark.box is None:
        return mark
    x0, y0, x1, y1 = mark.box
    return replace(mark, box=(max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))))


def box_of(x0: float, y0: float, x1: float, y1: float, where: str) -> tuple[float, float, float, float]:
    """A box with an inside; one without is refused."""
    if not np.isfinite((x0, y0, x1, y1)).all() or x1 <= x0 or y1 <= y0:
        raise Refused(
            "empty-box",
            f"{where}: a box reaches from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) and encloses nothing.",
            "correct or remove it",
        )
    return float(x0), float(y0), float(x1), float(y1)


def outline_of(values: Sequence[float], where: str) -> np.ndarray:
    """(N, 2) from x, y, x, y ...; three corners at least."""
    if len(values) < 6 or len(values) % 2:
        raise Refused(
            "damaged-outline",
            f"{where}: an outline holds {len(values)} numbers; three corners or more were expected, each of two.",
            "correct or remove it",
        )
    points = np.array(values, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise Refused("damaged-outline", f"{where}: an outline holds a number that is none.", "correct or remove it")
    return points


def rectangle(box: tuple[float, float, float, float]) -> np.ndarray:
    """(4, 2) outline of a box."""
    x0, y0, x1, y1 = box
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
