"""How far a unit of a map reaches into the image: for each of its places the first and last voxel that can change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

NOWHERE = 2**60  # first voxel of a unit that reads none, as in padding; its last one is -NOWHERE


@dataclass(frozen=True)
class Along:
    """One axis of the image in a map.

    dim   of the map; None where the map has no such axis any more
    low   (n,) int64 first voxel that unit i depends on, n the size of the map along `dim`, or 1
    high  (n,) int64 last one
    """

    dim: int | None
    low: np.ndarray
    high: np.ndarray

    def joined(self) -> Along:
        """All places as one: what a unit depends on that reads along the whole axis of the map."""
        return Along(None, self.low.min(keepdims=True), self.high.max(keepdims=True))

    def taken(self, places: np.ndarray) -> Along:
        """Places of the map in another order or number."""
        return replace(self, low=self.low[places], high=self.high[places])

    def over(self, first: np.ndarray, last: np.ndarray) -> Along:
        """Each new place reads the old ones from `first` to `last`, those beyond the map left out: (m,) integers each."""
        size = len(self.low)
        low, high = np.full(len(first), NOWHERE), np.full(len(first), -NOWHERE)
        for tap in range(int((last - first).max()) + 1 if len(first) else 0):
            place = first + tap
            there = (place <= last) & (place >= 0) & (place < size)
            low[there] = np.minimum(low[there], self.low[place[there]])
            high[there] = np.maximum(high[there], self.high[place[there]])
        return replace(self, low=low, high=high)

    @property
    def widest(self) -> int:
        """Voxels between the first and the last one, both counted, of the unit that reaches furthest."""
        return int(max(0, (self.high - self.low + 1).max(initial=0)))


@dataclass(frozen=True)
class Reach:
    """axes  one per axis of the image
    why   the operation from which on this is a bound and no longer exact; empty while it is exact
    row   dimension of the map in which places of several axes lie in one row: what reads it whole is exact again
    """

    axes: tuple[Along, ...]
    why: str = ""
    row: int | None = None

    @property
    def widest(self) -> tuple[int, ...]:
        return tuple(axis.widest for axis in self.axes)

    def moved(self, dims: Sequence[int | None]) -> Reach:
        """The same, with old dimension d at dims[d] of the new map."""
        axes = tuple(a if a.dim is None else _placed(a, dims[a.dim]) for a in self.axes)
        return Reach(axes, self.why, None if self.row is None else dims[self.row])

    def joined(self, dims: Sequence[int] | None = None, why: str = "") -> Reach:
        """Read along some dimensions of the map as a whole, or along all."""
        axes = tuple(a.joined() if a.dim is not None and (dims is None or a.dim in dims) else a for a in self.axes)
        is_lost = any(len(axis.low) > 1 for axis in self.axes)
        if dims is not None and self.row in dims:
            return Reach(axes)
        return Reach(axes, self.why or (why if is_lost else ""), self.row if dims is not None else None)


def of_image(shape: Sequence[int]) -> Reach:
    """The image itself, (B, C, [Z,] Y, X): every voxel depends on itself."""
    return Reach(tuple(Along(k + 2, np.arange(n), np.arange(n)) for k, n in enumerate(shape[2:])))


def union(parts: Sequence[tuple[Reach, int]], ndim: int) -> Reach:
    """What is computed place by place from several maps.

    parts  each with the number of its dimensions: the last ones lie over each other, as in broadcasting
    ndim   of the result
    """
    aligned = [reach.moved([d + ndim - own for d in range(own)]) for reach, own in parts]
    why = next((reach.why for reach in aligned if reach.why), "")
    row = next((reach.row for reach in aligned if reach.row is not None), None)
    return Reach(tuple(_both(axes) for axes in zip(*(reach.axes for reach in aligned), strict=True)), why, row)


def _both(axes: Sequence[Along]) -> Along:
    dims = {axis.dim for axis in axes if axis.dim is not None and len(axis.low) > 1}
    if len(dims) > 1:  # one axis of the image along two of the map: a bound
        axes, dims = [axis.joined() for axis in axes], set()
    dim = next(iter(dims)) if dims else axes[0].dim
    low, high = axes[0].low, axes[0].high
    for axis in axes[1:]:
        low, high = np.minimum(low, axis.low), np.maximum(high, axis.high)
    return Along(dim, low, high)


def _placed(axis: Along, dim: int | None) -> Along:
    return axis.joined() if dim is None else replace(axis, dim=dim)
