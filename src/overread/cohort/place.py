"""Putting a mask on its image's grid: exactly, voxel for voxel, or not at all."""

from __future__ import annotations

import numpy as np

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.image import reorient

TOLERANCE = 0.05  # voxel: the rounding of NIfTI quaternions stays below it over 500 slices


def place_layers(layers: np.ndarray, source: Grid, target: Grid, *, what: str) -> np.ndarray:
    """Bring label layers onto the image's grid where the voxels are the same; refuse where they are not.

    layers   (L, Z, Y, X) integers on `source`
    target   the image's grid
    returns  (L, Z, Y, X) on `target`; a view where only axes are permuted or flipped

    A format without spacing (PNG) is matched by its shape alone.
    """
    if not (source.spacing_known and target.spacing_known):
        if source.shape != target.shape:
            raise _other_grid(what, source, target)
        return layers
    steps = np.linalg.inv(target.affine)[:3, :3] @ source.affine[:3, :3]  # column k: image steps per step on mask axis k
    rounded = np.rint(steps)
    if not _is_signed_permutation(rounded):
        raise _other_grid(what, source, target)
    order = tuple(int(np.argmax(np.abs(rounded[k]))) for k in range(3))
    flips = tuple(bool(rounded[k, order[k]] < 0) for k in range(3))
    moved, grid = reorient(layers, order, flips), source.reoriented(order, flips)  # type: ignore[arg-type]
    corners = target.to_index(grid.corners())
    start = np.rint(corners[0]).astype(int)
    unit = Grid.from_spacing(grid.shape)
    ideal = start + unit.to_index(unit.corners())
    if np.abs(corners - ideal).max() > TOLERANCE:
        raise _other_grid(what, source, target)
    if grid.shape == target.shape and not start.any():
        return moved
    raise _other_grid(what, source, target)


def _is_signed_permutation(matrix: np.ndarray) -> bool:
    size = np.abs(matrix)
    return bool((size.sum(0) == 1).all() and (size.sum(1) == 1).all())


def _other_grid(what: str, source: Grid, target: Grid) -> Refused:
    if source.shape != target.shape:
        how = f"the mask has {_shape(source)} voxels, the image {_shape(target)}"
    else:
        how = f"both have {_shape(source)} voxels"
    if source.spacing_known and target.spacing_known:
        gap = float(np.linalg.norm(_centre(source) - _centre(target)))
        corner = source.distance_mm(target)
        how += f"; their centres are {gap:.2f} mm apart"
        if np.isfinite(corner):
            how += f", their corners up to {corner:.2f} mm"
        how += f"; voxels are {_spacing(source)} against {_spacing(target)} mm (Z, Y, X)"
    return Refused(
        "mask-on-another-grid",
        f"{what}: the mask lies on another grid than its image: {how}.",
        "resample the mask onto its image with the program that drew it, or correct the header that is wrong",
    )


def _centre(grid: Grid) -> np.ndarray:
    return grid.to_world((np.array(grid.shape) - 1) / 2)


def _shape(grid: Grid) -> str:
    return " x ".join(str(n) for n in grid.shape)


def _spacing(grid: Grid) -> str:
    return " x ".join(f"{n:.3g}" for n in grid.spacing)
