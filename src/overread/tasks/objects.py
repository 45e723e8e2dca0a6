"""What a network found: objects on the prepared grid, how they move, are put together and become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.core.kinds import Piece

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Found:
    """Objects on a grid.

    boxes    (N, 6) float32 z0, y0, x0, z1, y1, x1, index coordinates: voxel 0 alone is -0.5..0.5
    scores   (N,) float32, 0 to 1
    classes  (N,) int, number of the class from 0
    pieces   (N,) the voxels of each; None where the network gives boxes alone
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    pieces: tuple[Piece, ...] | None = None

    @classmethod
    def nothing(cls, *, with_pieces: bool = False) -> Found:
        return cls(np.zeros((0, 6), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), () if with_pieces else None)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def corners(self) -> np.ndarray:
        """(N, 2, 3) first and last corner."""
        return self.boxes.reshape(-1, 2, 3)

    def chosen(self, which: np.ndarray) -> Found:
        """The objects of these numbers (n,) int, or where (N,) bool holds, in that order."""
        numbers = np.flatnonzero(which) if which.dtype == bool else which
        pieces = None if self.pieces is None else tuple(self.pieces[k] for k in numbers)
        return Found(self.boxes[numbers], self.scores[numbers], self.classes[numbers], pieces)

    def sorted(self) -> Found:
        """Highest score first; equal ones in their order."""
        return self.chosen(np.argsort(-self.scores, kind="stable"))


def shifted(found: Found, start: Sequence[int]) -> Found:
    """The objects of a window whose first voxel lies at `start` (z, y, x) of the grid, on that grid."""
    pieces = None if found.pieces is None else tuple(moved(piece, start) for piece in found.pieces)
    return replace(found, boxes=(found.boxes + np.tile(np.asarray(start), 2)).astype(np.float32), pieces=pieces)


def clipped(found: Found, shape: Shape) -> Found:
    """The objects inside a grid: what reaches out of it is cut off, what lies outside is dropped."""
    last = np.tile(np.asarray(shape, dtype=np.float32) - 0.5, 2)
    boxes = np.clip(found.boxes, np.float32(-0.5), last)
    pieces = None if found.pieces is None else tuple(_clipped(piece, shape) for piece in found.pieces)
    stay = (boxes[:, 3:] > boxes[:, :3]).all(1)
    if pieces is not None:
        stay &= np.array([piece.voxels > 0 for piece in pieces], bool)
    return Found(boxes, found.scores, found.classes, pieces).chosen(stay)


def _clipped(piece: Piece, shape: Shape) -> Piece:
    spans = [(max(0, s), min(s + n, size)) for s, n, size in zip(piece.start, piece.mask.shape, shape, strict=True)]
    if all(a == s and b == s + n for (a, b), s, n in zip(spans, piece.start, piece.mask.shape, strict=True)):
        return piece
    mask = piece.mask[tuple(slice(a - s, max(a, b) - s) for (a, b), s in zip(spans, piece.start, strict=True))]
    return moved(Piece.of(mask), [a for a, _ in spans])


def moved(piece: Piece, step: Sequence[int]) -> Piece:
    """The piece `step` (z, y, x) voxels further on."""
    z, y, x = (int(a) + int(b) for a, b in zip(piece.start, step, strict=True))
    return Piece((z, y, x), piece.mask)


def united(founds: Sequence[Found]) -> Found:
    """All objects of several answers in one, highest score first; nothing is merged."""
    if not founds:
        return Found.nothing()
    pieces = None if any(f.pieces is None for f in founds) else tuple(p for f in founds for p in f.pieces or ())
    boxes, scores, classes = (np.concatenate([getattr(f, name) for f in founds]) for name in ("boxes", "scores", "classes"))
    return Found(boxes, scores, classes, pieces).sorted()


def per_class(found: Found, change: Callable[[Found], Found]) -> Found:
    """Each class on its own, sorted by score, changed, and all put together."""
    ordered = found.sorted()
    changed = [change(ordered.chosen(ordered.classes == k)) for k in np.unique(found.classes)]
    return united(changed) if changed else found


def mean_box(boxes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, 6), (N,) -> (6,)"""
    return (boxes * weights[:, None]).sum(0) / max(float(weights.sum()), 1e-9)


def of_clusters(found: Found, clusters: Sequence[np.ndarray], boxes: np.ndarray, scores: np.ndarray, *, share: float) -> Found:
    """One object per cluster; its voxels are those that hold at least `share` of its members' score."""
    pieces = None
    if found.pieces is not None:
        pieces = tuple(_voted([found.pieces[k] for k in m], found.scores[m], share) for m in clusters)
    classes = found.classes[[int(m[0]) for m in clusters]]
    return Found(boxes.astype(np.float32).reshape(-1, 6), scores.astype(np.float32), classes, pieces)


def _voted(pieces: Sequence[Piece], weights: np.ndarray, share: float) -> Piece:
    first = np.min([p.start for p in pieces], axis=0)
    last = np.max([np.add(p.start, p.mask.shape) for p in pieces], axis=0)
    votes = np.zeros(last - first)
    for piece, weight in zip(pieces, weights, strict=True):
        low = np.array(piece.start) - first
        votes[tuple(slice(a, a + n) for a, n in zip(low, piece.mask.shape, strict=True))] += weight * piece.mask
    return moved(Piece.of((votes > 0) & (votes >= share * weights.sum())), first)
