"""Faint lesions at known places of a CT, so that it can be measured whether they are still seen when an image was restored.

No benchmark itself. Each is a ball, darker than the liver by a few HU, with a soft edge, planted into the image as it came;
then the dose is lowered and the image restored, once with all of them and once with none, each time with noise of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from overread.core.grid import Grid

EDGE_MM = 1.0
APART_MM = 24.0
MARGIN_MM = 9.0  # from the capsule, and from every other structure


@dataclass(frozen=True)
class Signal:
    """A ball of this diameter (mm) and contrast (HU)."""

    diameter_mm: float
    contrast_hu: float


def places(liver: np.ndarray, grid: Grid, most: int) -> np.ndarray:
    """(N, 3) voxels in the parenchyma, away from its border and from each other, deepest first; liver (Z, Y, X) bool."""
    depth = ndimage.distance_transform_edt(liver, sampling=grid.spacing)
    found: list[np.ndarray] = []
    at = np.argwhere(depth > MARGIN_MM)
    order = np.argsort(-depth[tuple(at.T)], kind="stable")
    spacing = np.array(grid.spacing)
    for voxel in at[order]:
        if all(np.linalg.norm((voxel - other) * spacing) >= APART_MM for other in found):
            found.append(voxel)
        if len(found) == most:
            break
    return np.array(found, dtype=int).reshape(-1, 3)


def planted(array: np.ndarray, grid: Grid, at: np.ndarray, signal: Signal) -> np.ndarray:
    """A volume (Z, Y, X) with the signal at each place, in the type of the volume."""
    changed = array.astype(np.float32)
    reach = [int(np.ceil((signal.diameter_mm / 2 + 3 * EDGE_MM) / s)) for s in grid.spacing]
    for voxel in at:
        box = tuple(slice(max(0, v - r), v + r + 1) for v, r in zip(voxel, reach, strict=True))
        offset = np.meshgrid(*(np.arange(n)[s] for n, s in zip(array.shape, box, strict=True)), indexing="ij")
        away = np.sqrt(sum(((o - v) * s) ** 2 for o, v, s in zip(offset, voxel, grid.spacing, strict=True)))
        changed[box] += signal.contrast_hu / (1 + np.exp((away - signal.diameter_mm / 2) / (EDGE_MM / 2)))
    if array.dtype.kind in "iu":
        changed = np.rint(changed)
    return changed.astype(array.dtype)


def patches(array: np.ndarray, at: np.ndarray, edge: int) -> np.ndarray:
    """(N, edge, edge) of the slice through each place, with the place in the middle; the border of the image is repeated."""
    half = edge // 2
    wide = np.pad(array, ((0, 0), (half, half), (half, half)), mode="edge")
    return np.stack([wide[z, y : y + edge, x : x + edge] for z, y, x in at]) if len(at) else np.zeros((0, edge, edge))


def edge_of(spacing: Sequence[float], signal: Signal) -> int:
    """Odd number of pixels that show a signal and three times as much around it."""
    return 2 * round(2 * signal.diameter_mm / spacing[-1]) + 1
