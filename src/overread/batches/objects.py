"""Objects of a truth on the prepared grid: a table of boxes, and where their voxels are known the voxels by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import Piece
from overread.imaging.resample import resample_labels


@dataclass(frozen=True)
class ObjectTable:
    """One row per object.

    boxes    (N, 6) float32 z0, y0, x0, z1, y1, x1: index coordinates of the prepared grid, voxel centres are whole numbers
    classes  (N,) int32 place of the class in the question
    """

    boxes: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class PreparedObjects:
    """A truth of objects on the prepared grid.

    layers  (L, Z, Y, X) uint8 or uint16, value k + 1 where object k (row k of the table) is; objects that overlap lie in
            different layers; None where the truth has boxes alone
    """

    table: ObjectTable
    layers: np.ndarray | None


def boxes_between(corners: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """(N, 2, 3) boxes in index coordinates of one grid -> (N, 2, 3) in those of another, cut to its field of view.

    Exact where the axes of the grids run along each other (whatever their order and direction); a box outside the field of
    view becomes one without extent on its rim.
    """
    corners = np.asarray(corners, dtype=np.float64).reshape(-1, 2, 3)
    choice = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(8, 3)
    all_corners = corners[:, choice, np.arange(3)]  # (N, 8, 3)
    moved = target.to_index(source.to_world(all_corners))
    cut = np.stack([moved.min(axis=1), moved.max(axis=1)], axis=1)
    return np.clip(cut, -0.5, np.array(target.shape) - 0.5)


def number_layers(pieces: Sequence[Piece], shape: tuple[int, int, int]) -> np.ndarray:
    """(L, Z, Y, X) uint8 or uint16: object k as value k + 1, in the first layer where nothing lies under it."""
    layers: list[np.ndarray] = []
    dtype = np.uint8 if len(pieces) < 256 else np.uint16
    for number, piece in enumerate(pieces, start=1):
        free = next((layer for layer in layers if not layer[piece.place][piece.mask].any()), None)
        if free is None:
            free = np.zeros(shape, dtype)
            layers.append(free)
        free[piece.place][piece.mask] = number
    return np.stack(layers) if layers else np.zeros((1, *shape), dtype)


def resample_numbers(layers: np.ndarray, source: Grid, target: Grid, centres: np.ndarray) -> np.ndarray:
    """Object numbers on another grid; an object too small to be hit keeps the voxel nearest to its centre.

    layers   (L, Z, Y, X)
    centres  (N, 3) centre of object k (value k + 1) in index coordinates of `target`
    """
    moved = resample_labels(layers, source, target)
    seen = np.unique(moved)
    for number in sorted(set(range(1, len(centres) + 1)) - {int(v) for v in seen}):
        place = tuple(np.clip(np.rint(centres[number - 1]).astype(int), 0, np.array(target.shape) - 1))
        free = next((layer for layer in moved if layer[place] == 0), None)
        if free is None:
            moved = np.concatenate([moved, np.zeros((1, *target.shape), moved.dtype)])
            free = moved[-1]
        free[place] = number
    return moved


def boxes_of_numbers(layers: np.ndarray, count: int) -> np.ndarray:
    """(count, 6) float32 smallest box around each number 1 ... count of (L, Z, Y, X) layers; NaN where there is no voxel."""
    boxes = np.full((count, 6), np.nan, dtype=np.float32)
    for layer in layers:
        hit = np.nonzero(layer)
        numbers = layer[hit].astype(np.int64) - 1
        order = np.argsort(numbers, kind="stable")
        present, first = np.unique(numbers[order], return_index=True)
        if not present.size:
            continue
        for axis in range(3):
            places = hit[axis][order]
            boxes[present, axis] = np.fmin(boxes[present, axis], np.minimum.reduceat(places, first) - 0.5)
            boxes[present, axis + 3] = np.fmax(boxes[present, axis + 3], np.maximum.reduceat(places, first) + 0.5)
    return boxes
