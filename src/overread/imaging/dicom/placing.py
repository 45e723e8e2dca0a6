"""Which voxels of a grid a DICOM frame covers: by geometry, never by file order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.dicom.planes import Plane

TOLERANCE_VOXELS = 0.1  # a frame may lie this far off the voxel centres; more is another grid


@dataclass(frozen=True)
class FramePlace:
    """Voxel (z, y, x) of a frame's first pixel, and the step per row and per column; integers."""

    start: np.ndarray
    down: np.ndarray
    across: np.ndarray

    def voxels(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices (z, y, x) of pixels (row, column); rows and columns broadcast."""
        z, y, x = (self.start[k] + self.down[k] * rows + self.across[k] * columns for k in range(3))
        return z, y, x


def place_frame(plane: Plane, shape: tuple[int, int], grid: Grid, name: str) -> FramePlace:
    """Lay a frame onto a grid; refused where its pixels are not voxels of the grid."""
    along_row, along_column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    to_index = np.linalg.inv(grid.affine)
    start = grid.to_index(np.array(plane.position))
    down = to_index[:3, :3] @ (along_column * plane.spacing[0])
    across = to_index[:3, :3] @ (along_row * plane.spacing[1])
    place = FramePlace(*(np.rint(v).astype(int) for v in (start, down, across)))
    corners = np.array([(0, 0), (0, shape[1] - 1), (shape[0] - 1, 0), (shape[0] - 1, shape[1] - 1)])
    exact = start + corners[:, :1] * down + corners[:, 1:] * across
    whole = np.stack(place.voxels(corners[:, 0], corners[:, 1]), axis=1)
    if np.abs(exact - whole).max() > TOLERANCE_VOXELS:
        off = np.linalg.norm(grid.to_world(exact) - grid.to_world(np.rint(exact)), axis=1).max()
        raise Refused(
            "other-grid",
            f"{name}: its pixels lie up to {off:.2f} mm off the voxels of the image, or have another size.",
            "give the image it was drawn on, or resample the mask in the program that made it",
        )
    outside = np.maximum(np.maximum(-whole, whole - (np.array(grid.shape) - 1)), 0).max(axis=0)
    if outside.any():
        off = float((outside * np.array(grid.spacing)).max())
        raise Refused(
            "other-grid",
            f"{name}: it reaches {off:.1f} mm outside the image ({tuple(int(n) for n in outside)} voxels in z, y, x).",
            "give the image it was drawn on",
        )
    return place


def place_film(shape: tuple[int, int], grid: Grid, name: str) -> FramePlace:
    """A frame without geometry on a planar image of its size."""
    if grid.shape != (1, *shape):
        raise Refused(
            "other-grid",
            f"{name} has {shape[0]} x {shape[1]} pixels and no position; the image has the shape {grid.shape}.",
            "give the image it was drawn on",
        )
    return FramePlace(np.zeros(3, int), np.array([0, 1, 0]), np.array([0, 0, 1]))
