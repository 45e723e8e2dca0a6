"""Undo what a gantry tilt or missing slices did to a stack, and say exactly what was invented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from overread.core.grid import Grid
from overread.imaging.dicom.stack import Stack, tolerance_mm, too_few


@dataclass(frozen=True)
class Repaired:
    """A regular volume and the record of its repair.

    array         (C, Z, Y, X), the type of the input
    repairs       one plain sentence per repair
    interpolated  indices of slices that no scanner acquired
    """

    array: np.ndarray
    grid: Grid
    repairs: tuple[str, ...] = ()
    interpolated: tuple[int, ...] = ()


def repair(array: np.ndarray, stack: Stack, *, fix_gaps: bool, fix_tilt: bool, name: str) -> Repaired:
    """Straighten a tilted stack, then fill its gaps.

    array  (C, N, Y, X), slices in the order of `stack`, which `find_fault` let pass
    """
    grid = stack.grid()
    repairs: list[str] = []
    if fix_tilt and stack.is_tilted:
        array, origin = _straighten(array, stack)
        affine = np.array(grid.affine)
        affine[:3, 0] = stack.axes[0] * stack.spacing
        affine[:3, 3] = origin
        grid = Grid(array.shape[1:], affine)
        repairs.append(
            f"gantry tilt of {stack.tilt_degrees:.1f} degrees undone: each slice moved in its plane, by up to "
            f"{np.linalg.norm(stack.shift, axis=1).max():.1f} mm, all pixels interpolated linearly"
        )
    invented: tuple[int, ...] = ()
    if fix_gaps:
        array, spacing, invented = _fill(array, stack, name)
        affine = np.array(grid.affine)
        across = affine[:3, 0] / (affine[:3, 0] @ stack.axes[0])  # one mm along the normal
        affine[:3, 0] = across * spacing
        grid = Grid(array.shape[1:], affine)
        if invented:
            repairs.append(
                f"{len(invented)} of {array.shape[1]} slices interpolated linearly between their neighbours: "
                f"{_listed(invented, spacing)} from the first slice"
            )
    return Repaired(array, grid, tuple(repairs), invented)


def _straighten(array: np.ndarray, stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Move each slice back to where it lies; the plane grows so that nothing is cut off.

    returns  the array, its new corners filled with its lowest value, and the (3,) LPS mm origin
    """
    pixels = stack.shift / np.array(stack.pixel)
    low = pixels.min(axis=0)
    grow = np.ceil(pixels.max(axis=0) - low).astype(int)
    channels, count, height, width = array.shape
    result = np.full((channels, count, height + grow[0], width + grow[1]), array.min(), array.dtype)
    for k in range(count):
        move = pixels[k] - low
        whole = np.floor(move + 1e-6).astype(int)
        for channel in range(channels):
            frame = result[channel, k]
            frame[whole[0] : whole[0] + height, whole[1] : whole[1] + width] = array[channel, k]
            rest = np.clip(move - whole, 0, 1)
            if rest.max() > 1e-3:
                moved = ndimage.shift(frame.astype(np.float32), rest, order=1, mode="nearest")
                frame[...] = _as_type(moved, array.dtype)
    return result, stack.origin + (low * np.array(stack.pixel)) @ stack.axes[1:]


def _fill(array: np.ndarray, stack: Stack, name: str) -> tuple[np.ndarray, float, tuple[int, ...]]:
    """Regular slices by linear interpolation along the normal; a slice that lies on its place is copied."""
    steps = max(round(float(stack.depth[-1]) / stack.spacing), 1)
    spacing = float(stack.depth[-1] / steps)
    places = np.arange(steps + 1) * spacing
    nearest = np.abs(places[:, None] - stack.depth).argmin(axis=1)
    is_acquired = np.abs(places - stack.depth[nearest]) <= tolerance_mm(spacing)
    invented = tuple(int(k) for k in np.flatnonzero(~is_acquired))
    if len(invented) > len(stack.depth):
        raise too_few(len(invented), stack, name)
    result = np.empty((array.shape[0], steps + 1, *array.shape[2:]), array.dtype)
    for k, place in enumerate(places):
        if is_acquired[k]:
            result[:, k] = array[:, nearest[k]]
            continue
        above = int(np.searchsorted(stack.depth, place))
        share = (place - stack.depth[above - 1]) / (stack.depth[above] - stack.depth[above - 1])
        mixed = array[:, above - 1].astype(np.float32) * (1 - share) + array[:, above].astype(np.float32) * share
        result[:, k] = _as_type(mixed, array.dtype)
    return result, spacing, invented


def _listed(slices: tuple[int, ...], spacing: float, most: int = 12) -> str:
    """Positions of slices in mm along the normal."""
    listed = ", ".join(f"{k * spacing:.2f}" for k in slices[:most])
    return f"{listed} mm" + (f" and {len(slices) - most} more" if len(slices) > most else "")


def _as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)
