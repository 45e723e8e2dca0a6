"""The separate objects of one case, whatever its truth is: marks, masks, maps of numbers, segments, contours, regions.

marks of a picture       one object each; crowds are no single object and are left out
marks of a volume        those that carry one number (`instance`, `track_id`) are one object; without numbers those of one
                         class that overlap on neighbouring slices are
label map, SEG, RTSTRUCT connected voxels (26 neighbours) of one structure, segment or contour are one object
map of numbers           every value is one object, connected or not
report (SR)              the regions of one measurement group are one object
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from overread.cohort.labels.convert import HALF_PIXEL, pieces_of
from overread.cohort.labels.drawn import CONTOURS, NAMED, REPORT, drawn_marks, is_drawn, named_segments, regions_of
from overread.cohort.labels.linked_marks import OnSlice, linked, outlined
from overread.cohort.labels.masks import PLACED
from overread.cohort.place import place_layers
from overread.core.case import TruthReference
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.imaging.dicom.rtstruct_reading import draw_rois, read_rtstruct
from overread.imaging.labels import open_labels

BY_NUMBER = "marks were joined to another mark of the same object, as it was drawn slice by slice; by the number of the object"
BY_OVERLAP = (
    "marks were joined to another mark of the same object, as it was drawn slice by slice; by overlap on neighbouring slices, so "
    "objects that touch become one: to keep them apart give the annotations of one object one `instance` (or `track_id`)"
)
ON_ONE_SLICE = "objects that were joined by overlap have two marks on one slice and may be two objects"
TOUCHING = np.ones((3, 3, 3), bool)  # 26 neighbours; on a planar grid 8


@dataclass(frozen=True)
class TrueObject:
    """One object.

    value   label value of its class, as the reference or the mask has it
    corners (2, 3) first and last corner, fractional indices (z, y, x)
    piece   its voxels; None where it is a box, or where nobody asked for voxels
    """

    value: int
    corners: np.ndarray
    piece: Piece | None = None


@dataclass(frozen=True)
class TrueObjects:
    """All objects of a case, and what was done on the way: a sentence -> how often."""

    objects: tuple[TrueObject, ...]
    grid: Grid
    done: Mapping[str, int]

    def counts(self) -> dict[int, int]:
        """Label value -> number of objects."""
        return dict(Counter(o.value for o in self.objects))

    def parts(self) -> list[bytes]:
        """What a digest of them is made of."""
        found = [f"{o.value} {o.corners.tolist()}".encode() for o in self.objects]
        return found + [np.packbits(o.piece.mask).tobytes() for o in self.objects if o.piece is not None]

    def voxels(self) -> np.ndarray:
        """Flat indices of the voxels inside any object; inside its box, where an object is a box alone."""
        inside = np.zeros(self.grid.shape, bool)
        for o in self.objects:
            if o.piece is not None:
                inside[o.piece.place] |= o.piece.mask
            else:
                first, last = np.maximum(np.ceil(o.corners[0]), 0).astype(int), np.floor(o.corners[1]).astype(int) + 1
                inside[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = True
        return np.flatnonzero(inside)

    def boxes(self, names: Mapping[int, str]) -> Boxes:
        """names  label value -> class"""
        corners = np.array([o.corners for o in self.objects], dtype=np.float64).reshape(-1, 2, 3)
        return Boxes(corners, tuple(names[o.value] for o in self.objects), np.ones(len(self.objects)), self.grid)

    def instances(self, names: Mapping[int, str], what: str) -> Instances:
        pieces = [o.piece for o in self.objects]
        without = sum(piece is None for piece in pieces)
        if without:
            raise boxes_only(f"{what}: {without} of {len(pieces)} objects are boxes without an outline")
        classes = tuple(names[o.value] for o in self.objects)
        return Instances(tuple(p for p in pieces if p is not None), classes, np.ones(len(pieces)), self.grid)


def boxes_only(found: str) -> Refused:
    return Refused(
        "boxes-only",
        f"{found}; instances need outlines or masks.",
        "label outlines, or ask for boxes: --task detection",
    )


def open_objects(
    what: str, truth: TruthReference, folder: Path, grid: Grid, *, by_value: bool = False, voxels: bool = True
) -> TrueObjects:
    """The objects of a case on its image's grid.

    what      how messages call the case
    folder    of labels, or the one label file
    by_value  of a plain mask: every value is one object of class 1, not connected voxels of one value
    voxels    False leaves out the voxels of marks, where boxes are enough
    """
    done: Counter[str] = Counter()
    if not is_drawn(truth):
        target = grid if truth.format in PLACED else None
        layers, source = open_labels([folder / f for f in truth.files], truth.format, grid=target)
        objects = _of_layers(place_layers(layers, source, grid, what=what), by_value)
        return TrueObjects(tuple(objects), grid, done)
    form, _, places = truth.format.partition(" ")
    files = [folder / name for name in truth.files]
    values = {name: int(value) for name, value in truth.values.items() if value is not None}
    if form in NAMED:
        segments = named_segments(what, files[0], values, grid)
        return TrueObjects(tuple(_of_structures((values[name], mask) for name, mask in segments)), grid, done)
    if form == CONTOURS:
        own = {name: k for k, name in enumerate(values, start=1)}  # each contour by itself, also where two share a class
        drawn = draw_rois(read_rtstruct(files[0]), grid, own).label_map
        return TrueObjects(tuple(_of_structures((values[s.name], drawn.mask(s.name)) for s in drawn.structures)), grid, done)
    if form == REPORT:
        marks: Iterable[OnSlice] = regions_of(files, values, grid)
    else:
        slices = drawn_marks(what, truth, form, files, places, grid)
        marks = [(k, mark) for k, found in slices.items() for mark in found]
    return TrueObjects(tuple(_of_marks(list(marks), values, grid, voxels, done)), grid, done)


# ---- voxels -----------------------------------------------------------------------------------------


def _of_layers(layers: np.ndarray, by_value: bool) -> Iterable[TrueObject]:
    """(L, Z, Y, X) integers."""
    for layer in layers:
        for value, piece in pieces_of(layer).items():
            if by_value:
                yield _object(1, piece)
            else:
                yield from (_object(value, part) for part in _connected(piece))


def _of_structures(structures: Iterable[tuple[int, np.ndarray]]) -> Iterable[TrueObject]:
    for value, mask in structures:
        yield from (_object(value, part) for part in _connected(Piece.of(mask)))


def _connected(piece: Piece) -> Iterable[Piece]:
    labels, _ = ndimage.label(piece.mask, TOUCHING)
    for k, place in enumerate(ndimage.find_objects(labels), start=1):
        z, y, x = (first + s.start for first, s in zip(piece.start, place, strict=True))
        yield Piece((z, y, x), labels[place] == k)


def _object(value: int, piece: Piece) -> TrueObject:
    first = np.array(piece.start, dtype=np.float64) - HALF_PIXEL
    return TrueObject(value, np.stack([first, first + piece.mask.shape]), piece)


# ---- marks ------------------------------------------------------------------------------------------


def _of_marks(
    marks: Sequence[OnSlice], values: Mapping[str, int], grid: Grid, voxels: bool, done: Counter[str]
) -> Iterable[TrueObject]:
    kept = []
    for k, mark in marks:
        if not 0 <= k < grid.shape[0]:
            what = f"Labels are for slice {k}; the image has the slices 0 to {grid.shape[0] - 1}."
            raise Refused("outside-image", what, "give its own image")
        if mark.class_name not in values:
            continue
        if mark.is_crowd:
            done["crowds are no single object and were left out"] += 1
        elif mark.extent is None:
            done["empty masks are no object and were left out"] += 1
        else:
            kept.append((k, mark))
    groups = linked(kept, values, grid.shape[1:])
    _tell_joined(groups, done)
    for group in groups:
        yield TrueObject(values[group[0][1].class_name], _around(group), outlined(group, grid, done) if voxels else None)


def _tell_joined(groups: Sequence[Sequence[OnSlice]], done: Counter[str]) -> None:
    """How many marks were joined to another mark of their object, and by what: its number, or overlap."""
    for group in groups:
        if len(group) > 1 and group[0][1].number:
            done[BY_NUMBER] += len(group) - 1
        elif len(group) > 1:
            done[BY_OVERLAP] += len(group) - 1
            if len(group) > len({k for k, _ in group}):
                done[ON_ONE_SLICE] += 1


def _around(group: Sequence[OnSlice]) -> np.ndarray:
    """(2, 3) the smallest box around the extents of marks."""
    extents = np.array([mark.extent for _, mark in group], dtype=np.float64)  # x0, y0, x1, y1 of pixel edges
    slices = [k for k, _ in group]
    first = (min(slices), extents[:, 1].min(), extents[:, 0].min())
    last = (max(slices) + 1, extents[:, 3].max(), extents[:, 2].max())
    return np.array([first, last], dtype=np.float64) - HALF_PIXEL
