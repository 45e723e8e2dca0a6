"""Where pixels lie: a shape and the map from index to the patient.

Array axes are always (Z, Y, X). World coordinates are always LPS millimetres, as in
DICOM: x grows to the patient's Left, y to Posterior, z to Superior. Formats that differ
(NIfTI is X, Y, Z and RAS) are converted at the door, in `overread.imaging`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from overread.core.errors import OverreadError

CANONICAL_WORLD_AXIS = (2, 1, 0)  # array axes Z, Y, X run along world z, y, x


@dataclass(frozen=True)
class Grid:
    """A sampling grid.

    shape          (Z, Y, X) voxels; a 2D image has Z = 1
    affine         (4, 4) float64, homogeneous index (z, y, x, 1) -> LPS mm (x, y, z, 1)
    spacing_known  False where a format carries no spacing (PNG): then the affine counts
                   pixels, and asking for millimetres is refused
    is_planar      True for a 2D image, a volume with one slice and no third direction
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    spacing_known: bool = True
    is_planar: bool = False

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def from_spacing(
        cls,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        spacing_known: bool = True,
        is_planar: bool = False,
    ) -> Grid:
        """An axis-aligned grid whose first voxel lies at the world origin; spacing (Z, Y, X) mm."""
        affine = np.eye(4)
        affine[:3, :3] = 0
        for axis in range(3):
            affine[CANONICAL_WORLD_AXIS[axis], axis] = spacing[axis]
        return cls(shape, affine, spacing_known, is_planar)

    @cached_property
    def spacing(self) -> tuple[float, float, float]:
        """(Z, Y, X) distance between voxel centres; mm where `spacing_known`, else pixels."""
        return tuple(float(n) for n in np.linalg.norm(self.affine[:3, :3], axis=0))  # type: ignore[return-value]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(Z, Y, X) spacing in mm; refused where the format carried none."""
        if not self.spacing_known:
            raise OverreadError(
                "This image has no pixel spacing, so millimetres cannot be given.",
                "use pixel units, or a format that carries the spacing (DICOM, NIfTI)",
            )
        return self.spacing

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        _ = self.spacing_mm
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    @property
    def is_invertible(self) -> bool:
        return bool(np.isfinite(self.affine).all() and abs(np.linalg.det(self.affine[:3, :3])) > 1e-9)

    def to_world(self, index: np.ndarray) -> np.ndarray:
        """(..., 3) indices (z, y, x) -> (..., 3) LPS mm (x, y, z)."""
        return np.asarray(index) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, world: np.ndarray) -> np.ndarray:
        """(..., 3) LPS mm (x, y, z) -> (..., 3) fractional indices (z, y, x)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(world) @ inverse[:3, :3].T + inverse[:3, 3]

    def corners(self) -> np.ndarray:
        """(8, 3) LPS mm: the centres of the eight corner voxels."""
        z, y, x = (np.array([0, n - 1]) for n in self.shape)
        return self.to_world(np.stack(np.meshgrid(z, y, x, indexing="ij"), -1).reshape(8, 3))

    def distance_mm(self, other: Grid) -> float:
        """Largest distance between matching corners of two grids of one shape; inf where shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners() - other.corners(), axis=1).max())

    def is_same(self, other: Grid, tolerance: float = 0.01) -> bool:
        """Same voxels: no corner further apart than `tolerance` of the smallest spacing."""
        return self.distance_mm(other) <= tolerance * min(self.spacing) + 1e-9

    def with_spacing(self, spacing: tuple[float, float, float]) -> Grid:
        """The same field of view sampled at another (Z, Y, X) spacing.

        The outer faces of the field of view stay where they are, as far as whole voxels allow;
        centres stay centred. A planar grid keeps its one slice.
        """
        old = np.array(self.spacing)
        new = np.array(spacing, dtype=float)
        if self.is_planar:
            new[0] = old[0]
        shape = np.maximum(np.rint(np.array(self.shape) * old / new), 1)
        return self._resampled(shape.astype(int), new / old)

    def with_shape(self, shape: tuple[int, int, int]) -> Grid:
        """The same field of view sampled with another number of voxels (aspect may change)."""
        return self._resampled(np.array(shape), np.array(self.shape) / np.array(shape))

    def _resampled(self, shape: np.ndarray, step: np.ndarray) -> Grid:
        affine = np.array(self.affine)
        affine[:3, :3] = self.affine[:3, :3] * step
        centre = self.to_world((np.array(self.shape) - 1) / 2)
        affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
        return replace(self, shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)

    def canonical_axes(self) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
        """How to permute and then flip array axes so that Z, Y, X run nearest to S, P, L.

        returns  (order, flips): array.transpose(order), then reverse the axes where flips is True
        """
        if self.is_planar:
            return (0, 1, 2), (False, False, False)
        direction = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        strength = np.abs(direction)
        order = [-1, -1, -1]
        for _ in range(3):  # greedy: the clearest pair first, which is exact unless two axes tie at 45 degrees
            world, axis = np.unravel_index(int(np.argmax(strength)), (3, 3))
            order[CANONICAL_WORLD_AXIS.index(int(world))] = int(axis)
            strength[world, :] = -1
            strength[:, axis] = -1
        flips = tuple(bool(direction[CANONICAL_WORLD_AXIS[k], order[k]] < 0) for k in range(3))
        return tuple(order), flips  # type: ignore[return-value]

    def reoriented(self, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Grid:
        """The grid after `array.transpose(order)` and reversing the axes in `flips`; same voxels."""
        affine = np.array(self.affine)
        affine[:3, :3] = self.affine[:3, list(order)]
        shape = (self.shape[order[0]], self.shape[order[1]], self.shape[order[2]])
        for axis, flip in enumerate(flips):
            if flip:
                affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
                affine[:3, axis] *= -1
        return replace(self, shape=shape, affine=affine)

    def as_dict(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "affine": [[float(v) for v in row] for row in self.affine],
            "spacing_known": self.spacing_known,
            "is_planar": self.is_planar,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Grid:
        return cls(tuple(values["shape"]), np.array(values["affine"]), values["spacing_known"], values["is_planar"])
