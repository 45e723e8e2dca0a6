"""Axes that are not at right angles: refused by name, or straightened by one rule for every format.

A scanner samples along right angles. A file whose axes do not stand so was resampled by an affine registration,
or stacks the slices of a tilted gantry; spacing, patches and spheres then mean something else along each axis.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.resample import resample_image, resample_labels

SHEAR_VOXELS = 0.1  # how far the far corner may lie off the place that right angles give it, in smallest voxels
MOST_GROWTH = 8  # a straight grid with more voxels than this for each that was there is no repair
WAYS = ("refuse", "resample")


def straight(image: Image, name: str, tilt: str = "refuse") -> Image:
    """The image on axes at right angles; linear, and what it had no voxel for gets its lowest value."""
    if tilt not in WAYS:
        raise OverreadError(f"tilt = '{tilt}' is not known; expected {' or '.join(WAYS)}.")
    if not is_sheared(image.grid):
        return image
    if tilt == "refuse":
        raise refusal(image.grid, name)
    target = straight_grid(image.grid, name)
    array = resample_image(image.array, image.grid, target, fill=float(image.array.min()))
    if image.array.dtype.kind in "iu":
        array = np.rint(array).astype(image.array.dtype)
    notes = [*image.source.get("notes", []), f"axes {worst_angle(image.grid):.1f} degrees apart straightened, linearly"]
    return replace(image, array=array, grid=target, source={**image.source, "notes": notes})


def straight_labels(layers: np.ndarray, grid: Grid, name: str, tilt: str = "refuse") -> tuple[np.ndarray, Grid]:
    """Label layers (L, Z, Y, X) on the grid that `straight` gives an image of the same grid."""
    if not is_sheared(grid):
        return layers, grid
    if tilt == "refuse":
        raise refusal(grid, name)
    target = straight_grid(grid, name)
    return resample_labels(layers, grid, target), target


def is_sheared(grid: Grid) -> bool:
    """Planar images have no third direction of their own, but their two may be skewed too."""
    return shear_mm(grid) > SHEAR_VOXELS * min(grid.spacing)


def shear_mm(grid: Grid) -> float:
    """How far the far corner lies off the place that the nearest right-angled axes give it."""
    steps = np.array(grid.affine[:3, :3])
    left, _, right = np.linalg.svd(steps / np.linalg.norm(steps, axis=0))
    off = (steps - (left @ right) * np.linalg.norm(steps, axis=0)) * (np.array(grid.shape) - 1)
    return float(np.linalg.norm(off, axis=0).max())


def worst_angle(grid: Grid) -> float:
    """The angle, in degrees, between two axes that is furthest from 90."""
    unit = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    cosines = np.abs(unit.T @ unit - np.eye(3))
    return float(np.degrees(np.arccos(np.clip(cosines.max(), 0, 1))))


def shear_fault(grid: Grid) -> str:
    """What a refusal says of a sheared grid; "" of any other."""
    if not is_sheared(grid):
        return ""
    return (
        f"two of its axes stand at {worst_angle(grid):.1f} degrees instead of 90; "
        f"over the whole image that moves voxels by up to {shear_mm(grid):.1f} mm."
    )


def refusal(grid: Grid, name: str) -> Refused:
    step = 'set tilt = "resample" to straighten it, or write it on a grid with right angles'
    return Refused("sheared", f"{name}: {shear_fault(grid)}", step)


def straight_grid(grid: Grid, name: str) -> Grid:
    """Right-angled axes around the whole sheared image.

    X keeps its direction, Y turns within the plane of X and Y, Z becomes their normal. Voxels keep their length
    along X and Y; along Z it is the distance between planes.
    """
    steps = grid.affine[:3, :3]
    x = steps[:, 2] / np.linalg.norm(steps[:, 2])
    normal = np.cross(x, steps[:, 1])
    normal *= np.sign(normal @ steps[:, 0]) / np.linalg.norm(normal)
    y = np.cross(normal, x)
    y *= np.sign(y @ steps[:, 1])
    axes = np.stack([normal, y, x], axis=1)
    spacing = np.array([abs(normal @ steps[:, 0]), np.linalg.norm(steps[:, 1]), np.linalg.norm(steps[:, 2])])
    places = (grid.corners() - grid.affine[:3, 3]) @ axes / spacing
    low, high = np.floor(places.min(axis=0) + 1e-3), np.ceil(places.max(axis=0) - 1e-3)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = grid.affine[:3, 3] + (axes * spacing) @ low
    shape = high - low + 1
    if not np.isfinite(shape).all() or math.prod(shape.tolist()) > MOST_GROWTH * math.prod(grid.shape):
        raise refusal(grid, name)
    return replace(grid, shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
