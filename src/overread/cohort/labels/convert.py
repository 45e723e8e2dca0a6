"""From one kind of label to another, each step written down: marks to boxes, instances, label maps and findings.

    marks -> boxes          the box that was drawn, else the smallest around the outline or mask
    marks -> instances      voxels whose centre lies inside the outline (even-odd); boxes alone have no outline
    marks -> label map      the same, united by class
    label map -> instances  connected components, with the connectivity that is stated
    instances -> boxes      the smallest box around the voxels
    anything -> findings    a class is present where at least one object of it is

Index coordinates (z, y, x) count voxel centres, so a pixel edge x lies at index x - 0.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy import ndimage

from overread.cohort.labels.marks import Mark
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Findings, Instances, LabelMap, Piece
from overread.imaging.layering import in_layers
from overread.imaging.outlines import fill

HALF_PIXEL = 0.5
CONNECTIVITY = {6: 1, 18: 2, 26: 3}  # neighbours of a voxel -> how many indices may differ

KindT = TypeVar("KindT")


@dataclass(frozen=True)
class Converted(Generic[KindT]):
    """What came out, and what was done, in plain words for the record."""

    kind: KindT
    steps: tuple[str, ...] = ()


# ---- marks, slice by slice --------------------------------------------------------------------------

Slices = Mapping[int, Sequence[Mark]]  # slice of the grid -> marks in its pixels; a picture has slice 0


def boxes_of_marks(slices: Slices, grid: Grid) -> Converted[Boxes]:
    """One box for each object; crowds are no single object and are left out."""
    corners, classes, scores = [], [], []
    done: Counter[str] = Counter()
    for k, mark in _all(slices, grid):
        extent = mark.extent
        if mark.is_crowd or extent is None:
            done["crowds are no single object and have no box" if mark.is_crowd else "empty masks have no box"] += 1
            continue
        if mark.box is None:
            done["boxes were drawn around outlines or masks"] += 1
        x0, y0, x1, y1 = extent
        first, last = (k - HALF_PIXEL, y0 - HALF_PIXEL, x0 - HALF_PIXEL), (k + HALF_PIXEL, y1 - HALF_PIXEL, x1 - HALF_PIXEL)
        corners.append((first, last))
        classes.append(mark.class_name)
        scores.append(mark.score)
    boxes = Boxes(np.array(corners, dtype=np.float64).reshape(-1, 2, 3), tuple(classes), np.array(scores, dtype=np.float64), grid)
    return Converted(boxes, _told(done))


def instances_of_marks(slices: Slices, grid: Grid) -> Converted[Instances]:
    """The voxels of each object that has an outline or a mask; crowds are left out."""
    chosen = [(k, mark) for k, mark in _all(slices, grid) if mark.has_area and not mark.is_crowd]
    pieces = tuple(_on_slice(k, mask_of(mark, grid.shape[1:])) for k, mark in chosen)
    done: Counter[str] = Counter()
    for _, mark in _all(slices, grid):
        if mark.is_crowd:
            done["crowds are no single object and were left out"] += 1
        elif not mark.has_area:
            done["boxes have no outline and were left out"] += 1
    kind = Instances(pieces, tuple(m.class_name for _, m in chosen), np.array([m.score for _, m in chosen], float), grid)
    return Converted(kind, _told(done))


def label_map_of_marks(slices: Slices, grid: Grid, values: Mapping[str, int], what: str) -> Converted[LabelMap]:
    """Objects united by class, crowds too; a class that overlaps another lies in a layer of its own.

    values  class -> label value, for every class that is to be drawn; classes of one value become one structure
    """
    names = {value: name for name, value in reversed(list(values.items()))}
    planes: dict[int, dict[int, np.ndarray]] = {value: {} for value in dict.fromkeys(values.values())}
    size = grid.shape[1] * grid.shape[2]
    done: Counter[str] = Counter()
    for k, mark in _all(slices, grid):
        if mark.class_name not in values:
            continue
        if not mark.has_area:
            raise Refused(
                "boxes-only",
                f"{what}: a '{mark.class_name}' is a box without an outline; a segmentation needs outlines or masks.",
                "label outlines, or ask for one answer per image: --task classification",
            )
        mask = mask_of(mark, grid.shape[1:])
        if not mask.any():
            done["outlines are so small that no pixel centre lies inside"] += 1
        of_class = planes[values[mark.class_name]]
        of_class[k] = of_class[k] | mask if k in of_class else mask
    empty = np.empty(0, np.int64)
    united = (
        (names[value], value, np.concatenate([empty, *(np.flatnonzero(own[k]) + k * size for k in sorted(own))]))
        for value, own in planes.items()
    )
    return Converted(in_layers(united, grid), _told(done))


def mask_of(mark: Mark, shape: Sequence[int]) -> np.ndarray:
    """(Y, X) bool: the pixels whose centres lie in any part of the object."""
    size = (int(shape[0]), int(shape[1]))
    if mark.pixels is not None:
        return mark.pixels.mask()
    united = np.zeros(size, bool)
    for outline in mark.outlines:
        united |= fill([outline - HALF_PIXEL], size)
    return united


def _on_slice(k: int, mask: np.ndarray) -> Piece:
    """(Y, X) bool on slice k as a piece of the volume."""
    piece = Piece.of(mask[None])
    return Piece((k, *piece.start[1:]), piece.mask)


def _all(slices: Slices, grid: Grid) -> Iterable[tuple[int, Mark]]:
    for k, marks in slices.items():
        if not 0 <= k < grid.shape[0]:
            raise Refused(
                "outside-image",
                f"Labels are for slice {k}; the image has the slices 0 to {grid.shape[0] - 1}.",
                "give its own image",
            )
        for mark in marks:
            yield k, mark


def _told(done: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{n} {text}" for text, n in done.items())


# ---- kinds ------------------------------------------------------------------------------------------


def components(label_map: LabelMap, connectivity: int = 26) -> Converted[Instances]:
    """Every connected component of every structure as an object of that class.

    connectivity  6, 18 or 26 neighbours touch; on a planar grid 4 (as 6) or 8 (as 18 and 26)
    """
    numbered = [(name, *_numbered(label_map.mask(name), connectivity)) for name in label_map.names]
    pieces = tuple(piece for _, labels, _ in numbered for piece in pieces_of(labels).values())
    classes = tuple(name for name, _, count in numbered for _ in range(count))
    kind = Instances(pieces, classes, np.ones(len(pieces)), label_map.grid)
    return Converted(kind, (_split(numbered, connectivity),))


def pieces_of(numbers: np.ndarray) -> dict[int, Piece]:
    """(Z, Y, X) integers -> the voxels of each value above 0, in the order of the values."""
    values = np.unique(numbers[numbers > 0])
    ranks = (
        numbers if values.size and values[-1] == values.size else np.where(numbers > 0, np.searchsorted(values, numbers) + 1, 0)
    )
    found = {}
    for rank, (value, place) in enumerate(zip(values.tolist(), ndimage.find_objects(ranks), strict=True), start=1):
        z, y, x = (s.start for s in place)
        found[int(value)] = Piece((z, y, x), ranks[place] == rank)
    return found


def boxes_of_components(label_map: LabelMap, connectivity: int = 26) -> Converted[Boxes]:
    """The boxes of the components, without a mask for each: for scans with hundreds of them."""
    numbered = [(name, *_numbered(label_map.mask(name), connectivity)) for name in label_map.names]
    corners: list[np.ndarray] = []
    classes: list[str] = []
    for name, labels, _ in numbered:
        for place in ndimage.find_objects(labels):
            corners.append(np.array([[s.start - HALF_PIXEL for s in place], [s.stop - HALF_PIXEL for s in place]]))
            classes.append(name)
    array = np.array(corners, dtype=np.float64).reshape(-1, 2, 3)
    return Converted(Boxes(array, tuple(classes), np.ones(len(classes)), label_map.grid), (_split(numbered, connectivity),))


def boxes_of_instances(instances: Instances) -> Converted[Boxes]:
    """The smallest box around each object; an object without a voxel has none and is left out."""
    kept = [k for k, piece in enumerate(instances.pieces) if piece.mask.any()]
    array = instances.corners[kept]
    classes = tuple(instances.classes[k] for k in kept)
    lost = len(instances.classes) - len(kept)
    steps = (f"{len(kept)} boxes around objects", *((f"{lost} objects without a voxel have no box",) if lost else ()))
    return Converted(Boxes(array, classes, instances.scores[kept], instances.grid), steps)


def label_map_of_instances(instances: Instances, values: Mapping[str, int]) -> Converted[LabelMap]:
    """Objects united by class."""
    united = []
    for name, value in values.items():
        whole = np.zeros(instances.grid.shape, bool)
        for piece, own in zip(instances.pieces, instances.classes, strict=True):
            if own == name:
                whole[piece.place] |= piece.mask
        united.append((name, value, np.flatnonzero(whole)))
    return Converted(in_layers(united, instances.grid), ("objects of one class were united",))


def findings_of_objects(present: Iterable[str], classes: Sequence[str]) -> Converted[Findings]:
    """1 for every class of which there is at least one object, 0 for the others."""
    seen = set(present)
    return Converted(
        Findings({name: float(name in seen) for name in classes}), ("a finding is present where any object of its class is",)
    )


def findings_of_boxes(boxes: Boxes, classes: Sequence[str]) -> Converted[Findings]:
    return findings_of_objects(boxes.classes, classes)


def findings_of_label_map(label_map: LabelMap) -> Converted[Findings]:
    return findings_of_objects([name for name in label_map.names if label_map.mask(name).any()], label_map.names)


def _numbered(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    if connectivity not in CONNECTIVITY:
        raise OverreadError(f"The connectivity is {connectivity}; expected 6, 18 or 26 neighbours.")
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(3, CONNECTIVITY[connectivity]))
    return labels, int(count)


def _split(numbered: Sequence[tuple[str, np.ndarray, int]], connectivity: int) -> str:
    counts = ", ".join(f"{name} {count}" for name, _, count in numbered)
    return f"masks were split into connected components ({connectivity} neighbours): {counts}"
