"""Marks that were drawn slice by slice on a volume: which of them are one object, and its voxels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from overread.cohort.labels.convert import HALF_PIXEL, mask_of
from overread.cohort.labels.marks import Mark
from overread.core.grid import Grid
from overread.core.kinds import Piece

OnSlice = tuple[int, Mark]  # slice of the volume, and a mark in its pixels


def linked(marks: Sequence[OnSlice], values: Mapping[str, int], size: Sequence[int]) -> list[list[OnSlice]]:
    """Marks of one object together, in the order of their first mark.

    One class and one number are one object. Marks without a number are one where those of one class overlap on
    neighbouring slices: their voxels, or their boxes where one of them is a box alone.

    values  class as written -> label value
    size    (Y, X) of a slice
    """
    parent = list(range(len(marks)))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    numbered: dict[tuple[int, str], int] = {}
    open_marks: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))  # value -> slice -> marks
    for n, (k, mark) in enumerate(marks):
        value = values[mark.class_name]
        if mark.number:
            parent[root(n)] = root(numbered.setdefault((value, mark.number), n))
        else:
            open_marks[value][k].append(n)
    for by_slice in open_marks.values():
        for k in sorted(by_slice):
            for one in by_slice[k]:
                for other in by_slice.get(k + 1, ()):
                    if root(one) != root(other) and _overlap(marks[one][1], marks[other][1], size):
                        parent[max(root(one), root(other))] = min(root(one), root(other))
    groups: dict[int, list[OnSlice]] = defaultdict(list)
    for n, item in enumerate(marks):
        groups[root(n)].append(item)
    return list(groups.values())


def _overlap(one: Mark, other: Mark, size: Sequence[int]) -> bool:
    a, b = one.extent, other.extent
    if a is None or b is None or min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1]):
        return False
    if not (one.has_area and other.has_area):
        return True
    return bool((mask_of(one, size) & mask_of(other, size)).any())


def outlined(group: Sequence[OnSlice], grid: Grid, done: Counter[str]) -> Piece | None:
    """The voxels of an object; None where one of its marks is a box without an outline.

    done  is told of outlines in which no pixel centre lies
    """
    if not all(mark.has_area for _, mark in group):
        return None
    size = grid.shape[1:]
    first = min(k for k, _ in group)
    slices = np.zeros((max(k for k, _ in group) - first + 1, *size), bool)
    for k, mark in group:
        slices[k - first] |= mask_of(mark, size)
    if not slices.any():
        done["outlines are so small that no pixel centre lies inside; the nearest pixel was taken"] += 1
        k, mark = group[0]
        slices[k - first][_nearest(mark, size)] = True
    piece = Piece.of(slices)
    return Piece((piece.start[0] + first, *piece.start[1:]), piece.mask)


def _nearest(mark: Mark, size: Sequence[int]) -> tuple[int, int]:
    """(y, x) of the pixel nearest to the middle of a mark."""
    assert mark.extent is not None
    x0, y0, x1, y1 = mark.extent
    y, x = (y0 + y1) / 2 - HALF_PIXEL, (x0 + x1) / 2 - HALF_PIXEL
    return int(np.clip(round(y), 0, size[0] - 1)), int(np.clip(round(x), 0, size[1] - 1))
