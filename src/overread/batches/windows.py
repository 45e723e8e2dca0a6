"""Windows over a grid: where they start, how their answers are weighted, how they merge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

Shape = tuple[int, int, int]


def window_starts(shape: Shape, patch: Shape, overlap: float = 0.5) -> list[Shape]:
    """Starts of windows of size `patch` that cover `shape`, evenly spread, overlapping by at least `overlap`.

    An axis shorter than the patch has the one start 0; the caller pads.
    """
    per_axis = []
    for size, window in zip(shape, patch, strict=True):
        room = size - window
        if room <= 0:
            per_axis.append([0])
            continue
        steps = int(np.ceil(room / max(1.0, window * (1 - overlap))))
        per_axis.append([round(k * room / steps) for k in range(steps + 1)])
    return list(itertools.product(*per_axis))  # type: ignore[arg-type]


def gaussian_weight(patch: Shape, sigma: float = 0.125) -> np.ndarray:
    """(Z, Y, X) float32 weight of a window's voxels, 1 in the middle, small but never 0 at the rim.

    sigma  standard deviation as a share of the window's edge
    Source: Isensee et al., Nature Methods 18, 203 (2021), sliding window with Gaussian importance.
    """
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / max(n * sigma, 1e-6)) ** 2) for n in patch]
    weight = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
    return np.maximum(weight, weight.max() * 1e-3).astype(np.float32)


def cut(array: np.ndarray, start: Shape, patch: Shape) -> np.ndarray:
    """(C, Z, Y, X) -> the (C, *patch) window at `start`, which may reach outside; 0 is put there.

    0 is the mean of a normalised image; training pads with the same value.
    """
    result = np.zeros((array.shape[0], *patch), dtype=array.dtype)
    source, target = [slice(None)], [slice(None)]
    for axis in range(3):
        low, high = start[axis], start[axis] + patch[axis]
        inner_low, inner_high = max(low, 0), min(high, array.shape[axis + 1])
        if inner_low >= inner_high:
            return result
        source.append(slice(inner_low, inner_high))
        target.append(slice(inner_low - low, inner_high - low))
    result[tuple(target)] = array[tuple(source)]
    return result


def centred_start(shape: Shape, patch: Shape) -> Shape:
    """Start of the window centred on the grid; negative where the grid is smaller than the window."""
    return tuple((n - p) // 2 for n, p in zip(shape, patch, strict=True))  # type: ignore[return-value]


class Merger:
    """Adds weighted windows up to one answer for the whole grid.

    Windows of one pointwise network merge exactly: the weighted mean of equal values is that value.
    """

    def __init__(self, channels: int, shape: Shape, patch: Shape) -> None:
        self.shape, self.patch = shape, patch
        self.padded: Shape = tuple(max(n, p) for n, p in zip(shape, patch, strict=True))  # type: ignore[assignment]
        self.offset = tuple((p - n) // 2 for n, p in zip(shape, self.padded, strict=True))
        self.weight = gaussian_weight(patch)
        self.values = np.zeros((channels, *self.padded), dtype=np.float32)
        self.weights = np.zeros(self.padded, dtype=np.float32)

    def starts(self, overlap: float) -> Iterator[tuple[Shape, Shape]]:
        """Pairs (start in the grid for `cut`, start in the padded grid for `add`)."""
        for start in window_starts(self.padded, self.patch, overlap):
            yield tuple(s - o for s, o in zip(start, self.offset, strict=True)), start  # type: ignore[misc]

    def add(self, values: np.ndarray, start: Shape) -> None:
        """values (K, *patch) float32"""
        place = tuple(slice(s, s + p) for s, p in zip(start, self.patch, strict=True))
        self.values[(slice(None), *place)] += values * self.weight
        self.weights[place] += self.weight

    def result(self) -> np.ndarray:
        """(K, Z, Y, X) float32: the weighted mean of all windows, cut back to the grid."""
        self.values /= self.weights
        place = tuple(slice(o, o + n) for o, n in zip(self.offset, self.shape, strict=True))
        return self.values[(slice(None), *place)]
