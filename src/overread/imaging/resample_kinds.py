"""Every kind of truth or answer from one grid to another.

    Findings, Measurements   say nothing of a grid; unchanged
    Points                   lie in LPS mm; unchanged
    LabelMap, Instances      structure by structure, linearly, then the strongest wins; no new value, overlaps kept
    Boxes                    corners move in mm; on a rotated grid the smallest box around the turned one
    Picture, Map             linear; what had no voxel repeats the border (Picture) or is 0 (Map)

A structure thinner than the target's voxels may lose voxels, or vanish: its class and score stay, its mask is empty.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

import numpy as np

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Findings, Instances, Kind, LabelMap, Map, Measurements, Picture, Points
from overread.imaging.resample import index_map, resample_image, resample_labels, resample_piece


def resample_kind(kind: Kind, target: Grid) -> Kind:
    """The same truth or answer on another grid."""
    return _moved(kind, target)


@singledispatch
def _moved(kind: object, target: Grid) -> Kind:
    raise OverreadError(f"{type(kind).__name__} is no kind of truth or answer, so it cannot be moved to another grid.")


@_moved.register(Findings)
@_moved.register(Measurements)
@_moved.register(Points)
def _nowhere(kind: Findings | Measurements | Points, target: Grid) -> Kind:
    return kind


@_moved.register
def _label_map(kind: LabelMap, target: Grid) -> LabelMap:
    return replace(kind, layers=resample_labels(kind.layers, kind.grid, target), grid=target)


@_moved.register
def _instances(kind: Instances, target: Grid) -> Instances:
    return replace(kind, pieces=tuple(resample_piece(piece, kind.grid, target) for piece in kind.pieces), grid=target)


@_moved.register
def _boxes(kind: Boxes, target: Grid) -> Boxes:
    """All eight corners move, since on a turned grid any of them may become the outermost."""
    back = index_map(target, kind.grid)
    picks = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(8, 3)
    corners = np.asarray(kind.corners, dtype=float).reshape(-1, 2, 3)
    eight = corners[:, picks, np.arange(3)] @ back[:3, :3].T + back[:3, 3]
    return replace(kind, corners=np.stack([eight.min(axis=1), eight.max(axis=1)], axis=1), grid=target)


@_moved.register
def _picture(kind: Picture, target: Grid) -> Picture:
    return replace(kind, array=resample_image(kind.array, kind.grid, target), grid=target)


@_moved.register
def _map(kind: Map, target: Grid) -> Map:
    return replace(kind, array=resample_image(kind.array[None], kind.grid, target, fill=0.0)[0], grid=target)
