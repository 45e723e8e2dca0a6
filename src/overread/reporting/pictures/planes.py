"""Which slices to show, and how a slice of a volume faces the reader.

Everything is drawn in radiological convention: the patient's right on the left of an axial or
coronal picture, anterior on the left of a sagittal one, head up. Letters at the edges say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.grid import Grid

_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))  # per world axis x, y, z of LPS: towards minus, towards plus
_OBLIQUE = 0.35  # a second letter is given from about 20 degrees of obliquity on, as DICOM viewers do


@dataclass(frozen=True)
class Plane:
    """One way to cut a volume whose array axes run near to S, P, L.

    normal   the array axis (0 Z, 1 Y, 2 X) across which the plane lies
    letters  orientation at the (left, right, top, bottom) edge; empty where the format knows none
    size     (height, width) of the whole slice in mm, or in pixels where the spacing is unknown
    """

    name: str
    normal: int
    letters: tuple[str, str, str, str]
    size: tuple[float, float]

    def cut(self, array: np.ndarray, index: int) -> np.ndarray:
        """(Z, Y, X) or (Z, Y, X, 3) -> the slice as shown, first row on top."""
        shown = np.take(array, index, axis=self.normal)
        return shown if self.normal == 0 else shown[::-1]  # head up


def planes(grid: Grid) -> tuple[Plane, Plane, Plane]:
    """The axial, coronal and sagittal plane of a grid in canonical orientation."""
    height, width, depth = 1, 2, 0
    size = [n * s for n, s in zip(grid.shape, grid.spacing, strict=True)]
    if grid.is_planar or not grid.spacing_known:
        letters = [("", "")] * 3
    else:
        direction = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
        letters = [(orientation_letters(-direction[:, axis]), orientation_letters(direction[:, axis])) for axis in range(3)]
    (foot, head), (front, back), (right, left) = letters
    return (
        Plane("axial", 0, (right, left, front, back), (size[height], size[width])),
        Plane("coronal", 1, (right, left, head, foot), (size[depth], size[width])),
        Plane("sagittal", 2, (front, back, head, foot), (size[depth], size[height])),
    )


def orientation_letters(direction: np.ndarray) -> str:
    """The anatomical letters of a unit vector in LPS, clearest first: ``L``, or ``LA`` where it is oblique.

    Source: DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation), letters A P R L H F.
    """
    letters = ""
    for axis in np.argsort(-np.abs(direction)):
        if not letters or abs(direction[axis]) > _OBLIQUE:
            letters += _LETTERS[axis][int(direction[axis] > 0)]
    return letters


def largest_slice(mask: np.ndarray, normal: int) -> int:
    """The slice across `normal` in which a (Z, Y, X) mask is largest; the middle one where it is empty."""
    across = tuple(axis for axis in range(3) if axis != normal)
    area = mask.sum(axis=across)
    return int(area.argmax()) if area.any() else mask.shape[normal] // 2


def canonical_index(index: int, grid: Grid) -> int:
    """Where slice `index` of a source grid, along its first array axis, lies once the grid is in canonical orientation."""
    order, flips = grid.canonical_axes()
    return grid.shape[0] - 1 - index if flips[order.index(0)] else index


def spread_slices(count: int, wanted: int) -> list[int]:
    """Up to `wanted` slice numbers, evenly through the middle four fifths of a volume with `count` slices."""
    if count <= wanted:
        return list(range(count))
    return [round(n) for n in np.linspace(0.1 * (count - 1), 0.9 * (count - 1), wanted)]


def region_of_interest(mask: np.ndarray, smallest: float = 0.3) -> tuple[slice, slice] | None:
    """A window around a (height, width) mask with the proportions of the whole slice.

    smallest  its least share of each side
    returns   None where the mask is empty or the window would show nearly the whole slice
    """
    if not mask.any():
        return None
    spans = [np.flatnonzero(mask.any(axis=1 - axis))[[0, -1]] for axis in range(2)]
    share = max(smallest, *(1.6 * (last - first + 1) / length for (first, last), length in zip(spans, mask.shape, strict=True)))
    if share > 0.75:
        return None
    sides = []
    for (first, last), length in zip(spans, mask.shape, strict=True):
        wanted = max(round(share * length), 1)
        start = int(np.clip((first + last + 1 - wanted) // 2, 0, length - wanted))
        sides.append(slice(start, start + wanted))
    return sides[0], sides[1]
