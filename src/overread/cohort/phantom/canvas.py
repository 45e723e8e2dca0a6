"""A canvas of Hounsfield units on which tissues are painted, each only inside its own bounding box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from overread.cohort.phantom.fields import Warp, apply_separable, linear_operator, smooth_field
from overread.cohort.phantom.shapes import Coordinates, Point, round_cone

Box = tuple[slice, slice, slice]
MARGIN_MM = 14.0  # more than the warp ever moves a surface
SLAB_VOXELS = 400_000
FAT = -104.0  # HU of what fills the cavity between organs


@dataclass(frozen=True)
class Pose:
    """How the standard patient lies in the scanner.

    matrix  (3, 3) standard mm -> world LPS mm: body size and rotation
    shift   (3,) LPS mm
    breath_mm  how far the diaphragm stands below its standard height (inspiration is positive)
    """

    matrix: np.ndarray
    shift: np.ndarray
    breath_mm: float

    def to_world(self, standard: np.ndarray) -> np.ndarray:
        return standard @ self.matrix.T + self.shift


@dataclass
class Layer:
    """Where one labelled structure was painted: coverage 0 to 1 inside a box of the canvas."""

    value: int
    box: Box
    coverage: np.ndarray
    instance: int = 0


class Canvas:
    """The scene at working resolution.

    hu        (Z, Y, X) float32
    free      (Z, Y, X) float32: 1 where nothing solid was painted yet, so that organs mould to each other
    at        x, y, z of each voxel in the standard patient, mm
    coarse, fine  texture fields, mean 0, standard deviation 1, knots about 9 and 3.5 mm apart
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        origin: Point,
        pose: Pose,
        warp: Warp,
        random: np.random.Generator,
    ) -> None:
        self.shape, self.spacing, self.origin, self.pose = shape, spacing, origin, pose
        self.soft_mm = float(max(spacing[1], 0.6 * spacing[0]))
        self.at = self._coordinates(warp)
        self.hu = np.full(shape, -1000, np.float32)
        self.free = np.ones(shape, np.float32)
        self.coarse = smooth_field(random, shape, spacing, max(9.0, 2 * spacing[0]))
        self.fine = smooth_field(random, shape, spacing, max(3.5, 1.5 * spacing[0]))
        self.layers: list[Layer] = []

    def _coordinates(self, warp: Warp) -> Coordinates:
        """Undo pose, breathing and warp; done on a coarse lattice, since all of them are smooth."""
        counts = [max(4, int(n * s / 12.0) + 2) for n, s in zip(self.shape, self.spacing, strict=True)]
        ends = [(n - 1) * s for n, s in zip(self.shape, self.spacing, strict=True)]
        z, y, x = np.meshgrid(*(np.linspace(0, e, c) for e, c in zip(ends, counts, strict=True)), indexing="ij")
        world = np.stack([x, y, z], -1) + np.array(self.origin)
        standard = (world - self.pose.shift) @ np.linalg.inv(self.pose.matrix).T
        at = [standard[..., k].astype(np.float32) for k in range(3)]
        mobile = np.clip((at[2] + 210) / 150, 0, 1) * np.clip((85 - at[1]) / 40, 0, 1)  # the spine does not breathe
        at[2] = at[2] + np.float32(self.pose.breath_mm) * mobile * mobile * (3 - 2 * mobile)
        moved = [a + d for a, d in zip(at, warp.displacement((at[0], at[1], at[2])), strict=True)]
        operators = tuple(linear_operator(n, c) for n, c in zip(self.shape, counts, strict=True))
        fine = [apply_separable(np.ascontiguousarray(m), operators) for m in moved]  # type: ignore[arg-type]
        return fine[0], fine[1], fine[2]

    def box(self, low: ArrayLike, high: ArrayLike) -> Box:
        """The voxels that may hold a shape lying between two corners of the standard patient."""
        low_mm, high_mm = np.asarray(low) - MARGIN_MM, np.asarray(high) + MARGIN_MM
        high_mm[2] += max(0.0, -self.pose.breath_mm)
        low_mm[2] -= max(0.0, self.pose.breath_mm)
        middle = self.pose.to_world((low_mm + high_mm) / 2)
        reach = np.abs(self.pose.matrix) @ ((high_mm - low_mm) / 2)
        low_index = (middle - reach - self.origin)[::-1] / self.spacing
        high_index = (middle + reach - self.origin)[::-1] / self.spacing
        first = np.clip(np.floor(low_index).astype(int), 0, self.shape)
        last = np.clip(np.ceil(high_index).astype(int) + 1, 0, self.shape)
        return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))  # type: ignore[return-value]

    def slabs(self) -> Iterator[Box]:
        """The whole canvas in pieces small enough for the processor's cache: twice as fast as in one."""
        step = max(1, SLAB_VOXELS // (self.shape[1] * self.shape[2]))
        for first in range(0, self.shape[0], step):
            yield slice(first, min(first + step, self.shape[0])), slice(0, self.shape[1]), slice(0, self.shape[2])

    def coordinates(self, box: Box) -> Coordinates:
        return self.at[0][box], self.at[1][box], self.at[2][box]

    def cover(self, distance: np.ndarray, soft_mm: float | None = None) -> np.ndarray:
        """Signed distance -> share of the voxel that is covered, 0 to 1."""
        return np.clip(np.float32(0.5) - distance * np.float32(1 / (soft_mm or self.soft_mm)), 0, 1)

    def paint(self, box: Box, coverage: np.ndarray, hu: float | np.ndarray, value: int = 0, instance: int = 0) -> None:
        """Lay a tissue over whatever is there."""
        region = self.hu[box]
        region += coverage * (hu - region)
        self.free[box] *= 1 - coverage
        self._note(box, coverage, value, instance)

    def fill(self, box: Box, coverage: np.ndarray, hu: float | np.ndarray, value: int = 0) -> np.ndarray:
        """Lay a tissue in place of fat, only where nothing solid is yet; returns the coverage that was left for it.

        Shares of a voxel add up, so that two organs that touch leave no dark line between them.
        """
        free = self.free[box]
        left = np.minimum(coverage, free)
        self.hu[box] += left * (hu - np.float32(FAT))
        free -= left
        self._note(box, left, value, 0)
        return left

    def _note(self, box: Box, coverage: np.ndarray, value: int, instance: int) -> None:
        if value or instance:
            self.layers.append(Layer(value, box, coverage.astype(np.float16), instance))

    def tube(self, points: np.ndarray, radii: np.ndarray) -> tuple[Box, np.ndarray]:
        """Signed distance of a bent tube through points (N, 3) with radii (N,), and the box it lies in."""
        reach = radii[:, None]
        box = self.box((points - reach).min(0), (points + reach).max(0))
        if len(points) == 2:
            return box, round_cone(self.coordinates(box), tuple(points[0]), tuple(points[1]), radii[0], radii[1])
        distance = np.full(tuple(s.stop - s.start for s in box), 1e3, np.float32)
        for k in range(len(points) - 1):
            ends = slice(k, k + 2)
            piece = self.box((points[ends] - reach[ends]).min(0), (points[ends] + reach[ends]).max(0))
            if any(s.stop <= s.start for s in piece):
                continue
            inner = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(piece, box, strict=True))
            near = round_cone(self.coordinates(piece), tuple(points[k]), tuple(points[k + 1]), radii[k], radii[k + 1])
            np.minimum(distance[inner], near, out=distance[inner])
        return box, distance

    def texture(self, box: Box, coarse_hu: float, fine_hu: float) -> np.ndarray:
        return self.coarse[box] * np.float32(coarse_hu) + self.fine[box] * np.float32(fine_hu)
