"""Objects that the inner edge of a window cuts: told apart from whole ones, explained by them, or put together.

A window sees only the part of an object that lies in it. Neighbouring windows overlap, so an object is mostly whole in
another one, and the part says nothing new; an object larger than the overlap is cut in both, and its parts are put together.
Without this a large object would be counted once for every window that it reaches into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.batches.windows import Shape
from overread.core.kinds import Piece
from overread.tasks.found import Found

NEAR = 1.0  # voxels from the edge of a window within which an object counts as cut by it
NEAR_SHARE = 0.05  # and the same as a share of the object's own length: a network's edges are not exact
AGREE = 0.5  # intersection over union, in the region that two windows share, from which two boxes are of one object
INSIDE = 0.7  # share of a cut box that lies in another from which it is a part of it
AS_SURE = 0.5  # a box explains a part of it only where it has at least this share of its score


@dataclass(frozen=True)
class View:
    """What was found in one window.

    found   objects in coordinates of the whole grid, cut to the window
    window  (6,) z0, y0, x0, z1, y1, x1: the outer faces of the window's voxels, as corners of a box
    """

    found: Found
    window: np.ndarray


def view_of(found: Found, start: Shape, patch: Shape) -> View:
    """A view of the window at `start`, whose objects are already in coordinates of the whole grid."""
    first = np.array(start, dtype=np.float64) - 0.5
    return View(found, np.concatenate([first, first + np.array(patch)]))


def settled(views: Sequence[View], shape: Shape) -> list[Found]:
    """The objects of each view without parts that another view explains; parts of one object put together.

    shape    (Z, Y, X) of the whole grid: its own faces cut nothing that a window could see
    returns  one list per view; an object that was put together stands in the view of its surest part
    """
    table = _Table(views, shape)
    keep = np.ones(len(table.scores), bool)
    for part in table.parts():
        if keep[part] and table.explained(part).any():
            keep[part] = False
    joined: dict[int, list[int]] = {}
    for part in table.parts():
        if keep[part]:
            members = table.grown(part, keep)
            if len(members) > 1:
                joined[part] = members
                keep[members] = False
                keep[part] = True
    return [_kept(view.found, table, number, keep, joined, views) for number, view in enumerate(views)]


class _Table:
    """The objects of all views in one table."""

    def __init__(self, views: Sequence[View], shape: Shape) -> None:
        self.boxes = np.concatenate([v.found.boxes.astype(np.float64).reshape(-1, 6) for v in views])
        self.scores = np.concatenate([v.found.scores for v in views])
        self.classes = np.concatenate([v.found.classes for v in views])
        self.view = np.concatenate([np.full(len(v.found.scores), k) for k, v in enumerate(views)]).astype(int)
        self.place = np.concatenate([np.arange(len(v.found.scores)) for v in views]).astype(int)
        self.windows = np.stack([v.window for v in views])
        self.cut = self._cut(shape)

    def _cut(self, shape: Shape) -> np.ndarray:
        """(N,) bool: the box ends at a face of its window that lies within the grid."""
        window = self.windows[self.view]
        length = self.boxes[:, 3:] - self.boxes[:, :3]
        near = np.maximum(NEAR, NEAR_SHARE * length)
        low = (self.boxes[:, :3] - window[:, :3] < near) & (window[:, :3] > 0)
        high = (window[:, 3:] - self.boxes[:, 3:] < near) & (window[:, 3:] < np.array(shape) - 1)
        return np.asarray((low | high).any(axis=1))

    def parts(self) -> list[int]:
        """Cut boxes, the surest first."""
        found = np.flatnonzero(self.cut)
        return [int(k) for k in found[np.argsort(-self.scores[found], kind="stable")]]

    def explained(self, part: int) -> np.ndarray:
        """(N,) bool: whole boxes of other windows that `part` is a part of."""
        return self._same_object(part) & ~self.cut & (self.scores >= AS_SURE * self.scores[part])

    def grown(self, seed: int, free: np.ndarray) -> list[int]:
        """`seed` and the cut boxes, one per window at most, that continue it from window to window."""
        members, waiting = [seed], [seed]
        while waiting:
            other = self._same_object(waiting.pop()) & self.cut & free & (self.scores >= AS_SURE * self.scores[seed])
            other[np.isin(self.view, self.view[members])] = False
            for k in np.flatnonzero(other)[np.argsort(-self.scores[other], kind="stable")]:
                if self.view[k] not in self.view[members]:
                    members.append(int(k))
                    waiting.append(int(k))
        return members

    def _same_object(self, one: int) -> np.ndarray:
        """(N,) bool: boxes of the same class in other windows that show what box `one` shows.

        They agree on the region that both windows see, or a cut one lies in the other.
        """
        box, windows = self.boxes[one], self.windows[self.view]
        low, high = np.maximum(windows[:, :3], windows[one, :3]), np.minimum(windows[:, 3:], windows[one, 3:])
        mine = np.maximum(box[:3], low), np.minimum(box[3:], high)
        theirs = np.maximum(self.boxes[:, :3], low), np.minimum(self.boxes[:, 3:], high)
        common = _volume(np.maximum(mine[0], theirs[0]), np.minimum(mine[1], theirs[1]))
        union = _volume(*mine) + _volume(*theirs) - common
        agree = common > AGREE * np.maximum(union, 1e-9)
        whole = _volume(np.maximum(box[:3], self.boxes[:, :3]), np.minimum(box[3:], self.boxes[:, 3:]))
        inside = (whole > INSIDE * _volume(box[:3], box[3:])) if self.cut[one] else np.zeros(len(whole), bool)
        holds = self.cut & (whole > INSIDE * _volume(self.boxes[:, :3], self.boxes[:, 3:]))
        other = (self.view != self.view[one]) & (self.classes == self.classes[one])
        return np.asarray((agree | inside | holds) & other)


def _volume(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray(np.prod(np.maximum(high - low, 0.0), axis=-1))


def _kept(found: Found, table: _Table, view: int, keep: np.ndarray, joined: dict[int, list[int]], views: Sequence[View]) -> Found:
    rows = [int(k) for k in np.flatnonzero((table.view == view) & keep)]
    boxes = np.array([_union(table.boxes[joined.get(k, [k])]) for k in rows], dtype=np.float32).reshape(-1, 6)
    pieces = None
    if found.pieces is not None:
        pieces = tuple(_together([_piece(views, table, m) for m in joined.get(k, [k])]) for k in rows)
    return Found(boxes, table.scores[rows], table.classes[rows], pieces)


def _piece(views: Sequence[View], table: _Table, row: int) -> Piece:
    pieces = views[table.view[row]].found.pieces
    assert pieces is not None
    return pieces[table.place[row]]


def _union(boxes: np.ndarray) -> np.ndarray:
    """(6,) the smallest box around some."""
    return np.concatenate([boxes[:, :3].min(axis=0), boxes[:, 3:].max(axis=0)])


def _together(pieces: Sequence[Piece]) -> Piece:
    """All voxels of the parts of one object."""
    if len(pieces) == 1:
        return pieces[0]
    filled = [piece for piece in pieces if piece.mask.size] or list(pieces[:1])
    first = np.min([piece.start for piece in filled], axis=0)
    last = np.max([np.add(piece.start, piece.mask.shape) for piece in filled], axis=0)
    mask = np.zeros(tuple(last - first), bool)
    for piece in filled:
        place = tuple(slice(s - f, s - f + n) for s, f, n in zip(piece.start, first, piece.mask.shape, strict=True))
        mask[place] |= piece.mask
    return Piece((int(first[0]), int(first[1]), int(first[2])), mask)
