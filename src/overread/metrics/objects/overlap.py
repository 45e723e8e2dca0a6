"""How far objects overlap, and how far apart they lie; boxes and masks, 2D and 3D.

A box of a 2D image is one pixel thick, so that its volume is its area and one formula serves both. Masks are cut pieces:
no dense volume is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.kinds import Boxes, Instances, Piece

Objects = Boxes | Instances


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 2, 3) and (M, 2, 3) first and last corners -> (N, M) intersection over union, 0 to 1."""
    return _over_union(box_intersection(a, b), box_size(a), box_size(b))


def box_ios(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over the smaller of the two, 0 to 1: 1 where one box lies in the other."""
    return _over_smaller(box_intersection(a, b), box_size(a), box_size(b))


def box_size(corners: np.ndarray) -> np.ndarray:
    """(N, 2, 3) -> (N,) voxels (pixels in 2D) that the box holds; 0 where the last corner lies before the first."""
    corners = _corners(corners)
    return np.clip(corners[:, 1] - corners[:, 0], 0, None).prod(-1)


def box_intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 2, 3), (M, 2, 3) -> (N, M) voxels in both."""
    a, b = _corners(a), _corners(b)
    both = np.ones((len(a), len(b)))
    for axis in range(3):  # axis by axis: no (N, M, 3) in memory
        last = np.minimum(a[:, None, 1, axis], b[None, :, 1, axis])
        both *= np.clip(last - np.maximum(a[:, None, 0, axis], b[None, :, 0, axis]), 0, None)
    return both


def mask_iou(a: Sequence[Piece], b: Sequence[Piece]) -> np.ndarray:
    """N and M pieces of one grid -> (N, M) intersection over union of their voxels, 0 to 1."""
    return _over_union(mask_intersection(a, b), mask_size(a), mask_size(b))


def mask_ios(a: Sequence[Piece], b: Sequence[Piece]) -> np.ndarray:
    """(N, M) intersection over the smaller of the two, 0 to 1."""
    return _over_smaller(mask_intersection(a, b), mask_size(a), mask_size(b))


def mask_size(pieces: Sequence[Piece]) -> np.ndarray:
    """(N,) voxels of each piece."""
    return np.array([piece.voxels for piece in pieces], dtype=float)


def mask_intersection(a: Sequence[Piece], b: Sequence[Piece]) -> np.ndarray:
    """(N, M) voxels in both; only pairs whose boxes meet are looked at."""
    both = np.zeros((len(a), len(b)))
    (first_a, stop_a), (first_b, stop_b) = _spans(a), _spans(b)
    first = np.maximum(first_a[:, None], first_b[None])
    stop = np.minimum(stop_a[:, None], stop_b[None])
    for i, j in np.argwhere((stop > first).all(-1)):
        in_a, in_b = (
            piece.mask[tuple(slice(*span) for span in zip(first[i, j] - piece.start, stop[i, j] - piece.start, strict=True))]
            for piece in (a[i], b[j])
        )
        both[i, j] = np.count_nonzero(in_a & in_b)
    return both


def centres(objects: Objects, of: str = "box") -> np.ndarray:
    """(N, 3) fractional indices (z, y, x): the middle of the box, or ("mask") the centre of gravity of the voxels."""
    if of == "box" or isinstance(objects, Boxes):
        return _corners(objects.corners).mean(1)
    places = [np.argwhere(piece.mask).mean(0) + piece.start if piece.voxels else piece.start for piece in objects.pieces]
    return np.array(places, dtype=float).reshape(-1, 3)


def centre_distance(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """(N, 3) and (M, 3) centres as indices (or (N, 2, 3) corners) -> (N, M) distances.

    spacing  (Z, Y, X) mm, for distances in mm; left out, distances are in pixels
    """
    here, there = (_middle(points) * np.asarray(spacing, dtype=float) for points in (a, b))
    return np.sqrt(((here[:, None] - there[None]) ** 2).sum(-1))


def centre_hit(points: np.ndarray, truth: Objects, of: str = "box") -> np.ndarray:
    """(N, 3) centres of answers, M truths -> (N, M) bool: the centre lies in the truth's box, or ("mask") in its voxels."""
    points = np.asarray(points, dtype=float).reshape(-1, 3)
    if of == "box" or isinstance(truth, Boxes):
        corners = _corners(truth.corners)
        inside: np.ndarray = np.all((points[:, None] >= corners[None, :, 0]) & (points[:, None] <= corners[None, :, 1]), axis=-1)
        return inside
    voxel = np.floor(points + 0.5).astype(int)  # the voxel that holds the centre
    first, stop = _spans(truth.pieces)
    hit: np.ndarray = np.all((voxel[:, None] >= first[None]) & (voxel[:, None] < stop[None]), axis=-1)
    for i, j in np.argwhere(hit):
        hit[i, j] = truth.pieces[j].mask[tuple(voxel[i] - first[j])]
    return hit


def overlaps(a: Objects, b: Objects, of: str = "box") -> np.ndarray:
    """(N, M) intersection over union of boxes, or ("mask") of voxels."""
    if of == "box":
        return box_iou(a.corners, b.corners)
    return mask_iou(pieces_of(a), pieces_of(b))


def pieces_of(objects: Objects) -> tuple[Piece, ...]:
    if isinstance(objects, Instances):
        return objects.pieces
    raise TypeError("boxes have no voxels: masks are compared between Instances")


def _corners(corners: np.ndarray) -> np.ndarray:
    return np.asarray(corners, dtype=float).reshape(-1, 2, 3)


def _middle(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=float)
    return points.mean(1) if points.ndim == 3 else points.reshape(-1, 3)


def _spans(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) first voxel of each piece, and (N, 3) the first beyond it."""
    first = np.array([piece.start for piece in pieces], dtype=int).reshape(-1, 3)
    return first, first + np.array([piece.mask.shape for piece in pieces], dtype=int).reshape(-1, 3)


def _over_union(both: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    union = a[:, None] + b[None] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _over_smaller(both: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    smaller = np.minimum(a[:, None], b[None])
    return np.divide(both, smaller, out=np.zeros_like(both), where=smaller > 0)
