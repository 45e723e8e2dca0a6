"""What a network lists in a window, as objects on the whole grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from overread.batches.windows import Shape
from overread.core.kinds import Piece
from overread.tasks.found import Found

MASK_FROM = 0.5  # probability of a voxel from which it belongs to the object


def listed(answer: Mapping[str, Tensor], axes: Sequence[int], start: Shape, patch: Shape, shape: Shape) -> Found:
    """One window's list on the whole grid; what lies outside of the image is cut off, what lies wholly outside left out.

    answer  `boxes` (N, 6), `scores` (N,), `classes` (N,) and, from networks with masks, `masks` (N, [Z,] Y, X) probabilities,
            all in the window
    axes    array axes over which the window was mirrored before it was read; they are mirrored back
    start   (Z, Y, X) of the window on the grid; negative where the image is smaller than the window
    shape   (Z, Y, X) of the grid
    """
    boxes = mirrored(answer["boxes"].float().cpu().numpy().reshape(-1, 6), axes, patch)
    offset = np.array(start, dtype=np.float32)
    first = np.maximum(boxes[:, :3], -0.5) + offset  # a network may answer beyond its window, where it saw nothing
    last = np.minimum(boxes[:, 3:], np.array(patch) - 0.5) + offset
    first, last = np.maximum(first, -0.5), np.minimum(last, np.array(shape) - 0.5)
    pieces = None
    kept = (last - first > 0).all(axis=1)
    if "masks" in answer:
        voxels = (answer["masks"] > MASK_FROM).cpu().numpy().reshape(-1, *patch)
        every = [_piece(mask, axes, start, patch, shape) for mask in voxels]
        kept &= np.array([piece.mask.size > 0 for piece in every], dtype=bool)
        pieces = tuple(piece for piece, is_kept in zip(every, kept, strict=True) if is_kept)
    boxes = np.concatenate([first, last], axis=1)[kept].astype(np.float32)
    scores, classes = (answer[name].cpu().numpy()[kept] for name in ("scores", "classes"))
    return Found(boxes, scores.astype(np.float32), classes.astype(np.int64), pieces)


def mirrored(boxes: np.ndarray, axes: Sequence[int], patch: Shape) -> np.ndarray:
    """(N, 6) boxes of a window, mirrored over some array axes."""
    turned = boxes.copy()
    for axis in axes:
        turned[:, axis] = patch[axis] - 1 - boxes[:, axis + 3]
        turned[:, axis + 3] = patch[axis] - 1 - boxes[:, axis]
    return turned


def _piece(mask: np.ndarray, axes: Sequence[int], start: Shape, patch: Shape, shape: Shape) -> Piece:
    """The voxels of one object, (Z, Y, X) bool in the window, on the whole grid, in the smallest box that holds them."""
    low = [max(0, -s) for s in start]
    high = [max(0, min(p, n - s)) for s, p, n in zip(start, patch, shape, strict=True)]
    seen = np.flip(mask, tuple(axes))[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    piece = Piece.of(seen)
    if not piece.mask.size:
        return piece
    z, y, x = (int(p + a + s) for p, a, s in zip(piece.start, low, start, strict=True))
    return Piece((z, y, x), piece.mask)
