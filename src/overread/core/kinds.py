"""The closed list of what a truth or an answer can physically be.

Moving from grid to grid, drawing, and writing to DICOM are written once per kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.grid import Grid


@dataclass(frozen=True)
class Findings:
    """Named probabilities, 0 to 1; a truth holds 0.0 or 1.0; None where it is not known."""

    probabilities: dict[str, float | None]


@dataclass(frozen=True)
class Measurements:
    """Named numbers with units; None where it is not known."""

    values: dict[str, float | None]
    units: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Structure:
    """One named structure of a label map: the voxels of `layer` that hold `value`."""

    name: str
    value: int
    layer: int = 0


@dataclass(frozen=True)
class LabelMap:
    """Structures drawn on a grid; they may overlap by lying in different layers.

    layers      (L, Z, Y, X) integers, 0 is background
    structures  what each value of each layer means
    """

    layers: np.ndarray
    structures: tuple[Structure, ...]
    grid: Grid

    def __post_init__(self) -> None:
        if self.layers.ndim != 4 or self.layers.shape[1:] != self.grid.shape:
            raise OverreadError(f"Label layers must be (L, Z, Y, X) on their grid {self.grid.shape}; got {self.layers.shape}.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.structures)

    def mask(self, name: str) -> np.ndarray:
        """(Z, Y, X) bool: where the structure is."""
        for structure in self.structures:
            if structure.name == name:
                return self.layers[structure.layer] == structure.value
        raise OverreadError(f"No structure '{name}' in this label map; it has {', '.join(self.names)}.")


@dataclass(frozen=True)
class Boxes:
    """Axis-aligned boxes on a grid.

    corners  (N, 2, 3) float, first and last corner as fractional indices (z, y, x); a box covers
             the voxels whose centres it contains, so voxel (0, 0, 0) alone is (-0.5..0.5) each way
    classes  (N,) class names
    scores   (N,) 0 to 1; 1.0 for a truth
    """

    corners: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray
    grid: Grid


@dataclass(frozen=True)
class Points:
    """Named points, (N, 3) LPS mm, with classes and scores as in `Boxes`."""

    positions: np.ndarray
    classes: tuple[str, ...]
    scores: np.ndarray


@dataclass(frozen=True)
class Piece:
    """The voxels of one object, in the smallest box that holds them.

    start  (z, y, x) first voxel of that box on the grid
    mask   (z, y, x) bool
    """

    start: tuple[int, int, int]
    mask: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> Piece:
        """Cut a mask (Z, Y, X) down to what it holds; a mask without a voxel becomes a piece of size 0."""
        spans = []
        for axis in range(3):
            hits = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
            spans.append((int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, 0))
        cut = mask[tuple(slice(first, last) for first, last in spans)]
        return cls((spans[0][0], spans[1][0], spans[2][0]), np.ascontiguousarray(cut, dtype=bool))

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Where the piece lies on its grid."""
        z, y, x = (slice(first, first + size) for first, size in zip(self.start, self.mask.shape, strict=True))
        return z, y, x

    @property
    def voxels(self) -> int:
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True)
class Instances:
    """Separate objects on a grid, each with its voxels, class and score; they may overlap.

    pieces   (N,) the voxels of each object
    classes  (N,) class names
    scores   (N,) 0 to 1; 1.0 for a truth
    """

    pieces: tuple[Piece, ...]
    classes: tuple[str, ...]
    scores: np.ndarray
    grid: Grid

    @classmethod
    def of_masks(cls, masks: np.ndarray, classes: tuple[str, ...], scores: np.ndarray, grid: Grid) -> Instances:
        """masks (N, Z, Y, X) bool"""
        return cls(tuple(Piece.of(mask) for mask in masks), classes, scores, grid)

    def mask(self, number: int) -> np.ndarray:
        """(Z, Y, X) bool: the voxels of one object."""
        whole = np.zeros(self.grid.shape, bool)
        piece = self.pieces[number]
        whole[piece.place] = piece.mask
        return whole

    @property
    def corners(self) -> np.ndarray:
        """(N, 2, 3) the smallest box around each object, as in `Boxes`."""
        first = np.array([piece.start for piece in self.pieces], dtype=np.float64).reshape(-1, 3) - 0.5
        size = np.array([piece.mask.shape for piece in self.pieces], dtype=np.float64).reshape(-1, 3)
        return np.stack([first, first + size], axis=1)


@dataclass(frozen=True)
class Picture:
    """An image as an answer (translation, restoration, synthesis)."""

    array: np.ndarray  # (C, Z, Y, X) float32
    grid: Grid
    units: str = "a.u."


@dataclass(frozen=True)
class Map:
    """Values on a grid (a heat map, a probability map) with method, target and trial verdicts."""

    array: np.ndarray  # (Z, Y, X) float32
    grid: Grid
    method: str
    target: str
    verdicts: dict[str, Any] = field(default_factory=dict)


Kind = Findings | Measurements | LabelMap | Boxes | Points | Instances | Picture | Map
