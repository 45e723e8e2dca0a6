"""Outlines to masks: a voxel belongs where its centre lies inside.

Coordinates are fractional indices, (x, y), with the centre of the first pixel at (0, 0). The rule is even-odd
along rows, half-open: a centre exactly on a left or upper border is inside, on a right or lower one outside.
So neighbours that share a border never share a pixel and leave none between them, and a keyhole (a channel
that an outline walks in and out along one line) opens a hole without a trace of the channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

CURVE_POINTS = 720  # a circle of radius r becomes a polygon that is smaller by r * 1e-5


def fill(outlines: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Which pixel centres lie inside an odd number of the outlines.

    outlines  each (N, 2) float (x, y), closed by itself; what lies off the picture is cut off
    returns   (Y, X) bool
    """
    height, width = shape
    odd = np.zeros((height, width + 1), bool)
    for outline in outlines:
        rows, columns = _crossings(np.asarray(outline, dtype=np.float64), height, width)
        np.logical_xor.at(odd, (rows, columns), True)
    inside: np.ndarray = np.logical_xor.accumulate(odd, axis=1)[:, :width]
    return inside


def _crossings(points: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row, and first column whose centre is not left of it, for every place where a border crosses a row of centres."""
    start, end = points, np.roll(points, -1, axis=0)
    upward = start[:, 1] <= end[:, 1]
    low, high = np.where(upward[:, None], start, end), np.where(upward[:, None], end, start)  # one formula both ways
    first = np.clip(np.ceil(low[:, 1]), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high[:, 1]), 0, height).astype(np.int64)
    counts = last - first
    edge = np.repeat(np.arange(len(points)), counts)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    share = (rows - low[edge, 1]) / (high[edge, 1] - low[edge, 1])
    x = low[edge, 0] + share * (high[edge, 0] - low[edge, 0])
    return rows, np.clip(np.ceil(x), 0, width).astype(np.int64)


def area(outline: np.ndarray) -> float:
    """Signed area inside one outline, (N, 2); the sign says which way round it runs."""
    x, y = outline[:, 0], outline[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def ellipse(centre: Sequence[float], along: Sequence[float], across: Sequence[float]) -> np.ndarray:
    """(N, 2) or (N, 3) outline of an ellipse with half axes `along` and `across` (vectors from the centre)."""
    turn = np.linspace(0, 2 * np.pi, CURVE_POINTS, endpoint=False)[:, None]
    outline: np.ndarray = np.asarray(centre) + np.cos(turn) * np.asarray(along) + np.sin(turn) * np.asarray(across)
    return outline


def circle(centre: Sequence[float], radius: float) -> np.ndarray:
    """(N, 2) outline of a circle."""
    return ellipse(centre, (radius, 0.0), (0.0, radius))
