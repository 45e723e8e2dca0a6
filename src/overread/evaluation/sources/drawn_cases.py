"""Cases of drawn labels: a picture each, or the slices of a volume; and their marks as objects on one grid.

Marks of a volume are drawn slice by slice. Those of a truth are one object where they carry one number (`instance`, `track_id`)
or, being of one class, overlap on neighbouring slices. Answers are many and overlap, so that this rule would run them all into
one: without numbers, the surest mark takes the marks of its class that overlap it, seen from above, by more than 0.1
(intersection over union) on slices that follow one another without a gap, and so on with what is left. Its box in the plane and
its score stand for the object (Jaeger, PMLR ML4H 2019, "Retina U-Net").
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from overread.cohort.labels.convert import HALF_PIXEL
from overread.cohort.labels.linked_marks import OnSlice, linked, outlined
from overread.cohort.labels.marks import Mark, MarkedImage, fit, in_pixels
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances, Piece
from overread.evaluation.sources.objects_file import Objects
from overread.metrics.objects.overlap import box_iou

PICTURE = 0  # the one slice of a picture
SAME = 0.1  # intersection over union, seen from above, beyond which answers on following slices are one object
CROWDS = "crowds in the truth are no single object and were left out."
EMPTY = "empty masks of {} are no object and were left out."
JOINED = "marks of {} were joined to others of the same object, as they were drawn slice by slice."

DrawnCase = Mapping[int, MarkedImage]  # slice -> what is drawn on it; a picture has slice 0


def by_case(images: Sequence[MarkedImage], place: str) -> dict[str, dict[int, MarkedImage]]:
    """Case, the file's name without its suffix -> its picture, or its slices; place is how messages call the file."""
    found: dict[str, dict[int, MarkedImage]] = {}
    for image in images:
        case = case_of(image.name)
        own = found.setdefault(case, {})
        if own and is_deep(own) != (image.slice is not None):
            raise OverreadError(f"{place} has '{case}' as a picture and as a slice of a volume.", "name every case once")
        number = PICTURE if image.slice is None else image.slice
        if number in own:
            again = f"two pictures '{case}'" if image.slice is None else f"slice {number} of '{case}' twice"
            raise OverreadError(f"{place} names {again}.", "name every picture once")
        if number < 0:
            raise OverreadError(f"{place}: '{case}' has the slice {number}.", "count slices from 0")
        own[number] = image
    return found


def case_of(name: str) -> str:
    plain = PurePosixPath(name.replace("\\", "/"))
    return plain.name[: -len(".nii.gz")] if plain.name.lower().endswith(".nii.gz") else plain.stem


def is_deep(case: DrawnCase) -> bool:
    return any(image.slice is not None for image in case.values())


def true_objects(
    what: str, case: DrawnCase, classes: Sequence[str], task: str, grid: Grid, notes: Counter[str]
) -> tuple[Objects, Objects]:
    """notes  is told of crowds and joined marks

    returns  the objects, and the crowds among the marks, which are no objects
    """
    marks = [(k, mark) for k, image in sorted(case.items()) for mark in fit(image, _plane(grid), what)]
    asked = _with_extent(marks, classes, "the truth", notes)
    own = [(k, mark) for k, mark in asked if not mark.is_crowd]
    if len(own) < len(asked):
        notes[CROWDS] += len(asked) - len(own)
    groups = linked(own, _numbers(classes), _plane(grid))
    if len(groups) < len(own):
        notes[JOINED.format("the truth")] += len(own) - len(groups)
    crowds = [[(k, mark)] for k, mark in asked if mark.is_crowd and (task == "detection" or mark.has_area)]
    return (
        _objects(what, groups, [_around(group) for group in groups], task, grid),
        _objects(what, crowds, [_around(group) for group in crowds], task, grid),
    )


def answered_objects(what: str, case: DrawnCase, classes: Sequence[str], task: str, grid: Grid, notes: Counter[str]) -> Objects:
    """The same of an answer, which may reach beyond the image."""
    marks = [(k, mark) for k, image in sorted(case.items()) for mark in _loosely(image, _plane(grid), what)]
    own = _with_extent(marks, classes, "the answers", notes)
    numbered = [item for item in own if item[1].number]
    groups = linked(numbered, _numbers(classes), _plane(grid))
    rest = [item for item in own if not item[1].number]
    groups += in_clusters(rest) if is_deep(case) else [[item] for item in rest]
    if len(groups) < len(own):
        notes[JOINED.format("the answers")] += len(own) - len(groups)
    groups = [sorted(group, key=lambda item: -item[1].score) for group in groups]
    return _objects(what, groups, [_around(group, group[:1]) for group in groups], task, grid)


def in_clusters(marks: Sequence[OnSlice]) -> list[list[OnSlice]]:
    """Marks of answers that are one object, the surest first in each."""
    left: dict[str, list[OnSlice]] = defaultdict(list)
    for item in sorted(marks, key=lambda item: -item[1].score):
        left[item[1].class_name].append(item)
    groups = []
    for queue in left.values():
        slices, boxes = np.array([k for k, _ in queue]), np.array([_flat(mark) for _, mark in queue]).reshape(-1, 2, 3)
        free = np.ones(len(queue), bool)
        for core in range(len(queue)):
            if not free[core]:
                continue
            close = free & (box_iou(boxes[core : core + 1], boxes)[0] > SAME)
            close[core] = True
            taken = close & np.isin(slices, _run(int(slices[core]), {int(k) for k in slices[close]}))
            free &= ~taken
            groups.append([queue[core], *(queue[k] for k in np.flatnonzero(taken) if k != core)])
    return groups


def _run(core: int, there: set[int]) -> list[int]:
    """The slices around one, without a gap."""
    first = last = core
    while first - 1 in there:
        first -= 1
    while last + 1 in there:
        last += 1
    return list(range(first, last + 1))


def _with_extent(marks: Sequence[OnSlice], classes: Sequence[str], whose: str, notes: Counter[str]) -> list[OnSlice]:
    asked = [(k, mark) for k, mark in marks if mark.class_name in classes]
    there = [(k, mark) for k, mark in asked if mark.extent is not None]
    if len(there) < len(asked):
        notes[EMPTY.format(whose)] += len(asked) - len(there)
    return there


def _objects(what: str, groups: Sequence[Sequence[OnSlice]], corners: Sequence[np.ndarray], task: str, grid: Grid) -> Objects:
    """corners  of each group, (2, 3)"""
    classes = tuple(group[0][1].class_name for group in groups)
    scores = np.array([max(mark.score for _, mark in group) for group in groups], dtype=float)
    if task == "detection":
        return Boxes(np.array(corners, dtype=float).reshape(-1, 2, 3), classes, scores, grid)
    bare = next((mark for group in groups for _, mark in group if not mark.has_area), None)
    if bare is not None:
        raise OverreadError(
            f"{what}: a '{bare.class_name}' is a box without an outline.",
            "give outlines or masks of every object, or say --task detection",
        )
    pieces = [outlined(group, grid, Counter()) for group in groups]
    return Instances(tuple(p or Piece((0, 0, 0), np.zeros((0, 0, 0), bool)) for p in pieces), classes, scores, grid)


def _around(group: Sequence[OnSlice], in_plane: Sequence[OnSlice] = ()) -> np.ndarray:
    """(2, 3) through all slices of the group; in the plane around the marks `in_plane`, or all of them."""
    slices = [k for k, _ in group]
    extents = np.array([mark.extent for _, mark in in_plane or group], dtype=float)
    first = (min(slices), extents[:, 1].min(), extents[:, 0].min())
    last = (max(slices) + 1, extents[:, 3].max(), extents[:, 2].max())
    return np.array([first, last], dtype=float) - HALF_PIXEL


def _loosely(image: MarkedImage, size: tuple[int, int], what: str) -> tuple[Mark, ...]:
    """The marks in pixels, wherever they reach; a mask must have the picture's size."""
    bare = replace(image, marks=tuple(replace(mark, box=None, outlines=()) for mark in image.marks))
    fit(bare, size, what)
    return tuple(in_pixels(mark, size) if image.relative else mark for mark in image.marks)


def _flat(mark: Mark) -> tuple[float, ...]:
    assert mark.extent is not None
    x0, y0, x1, y1 = mark.extent
    return -0.5, y0, x0, 0.5, y1, x1


def _numbers(classes: Sequence[str]) -> dict[str, int]:
    return {name: k for k, name in enumerate(classes, 1)}


def _plane(grid: Grid) -> tuple[int, int]:
    return grid.shape[1], grid.shape[2]
