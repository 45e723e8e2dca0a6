"""From one grid to another: images in float32, label layers without a single new value.

Where the axes of two grids run along each other (the usual case: another spacing, a crop, a flip, another
order of axes) the work splits into one small matrix per axis, and three sparse products do it. Rotated
grids go through `scipy.ndimage.map_coordinates`, slice by slice, with the same voxel-centre geometry.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage, sparse

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import Piece

ANTIALIAS_FACTOR = 1.5  # target voxels this much larger than the source's are smoothed first
ALIGNED_VOXELS = 1e-3  # axes that drift apart by less than this over the whole image count as parallel
EDGE_VOXELS = 0.5 + 1e-6  # a voxel reaches half its size beyond its centre; the rest lies outside
NEGLIGIBLE = 1e-7  # weights below the resolution of float32


def resample_image(array: np.ndarray, source: Grid, target: Grid, *, order: int = 1, fill: float | str = "edge") -> np.ndarray:
    """Sample an image at the voxel centres of another grid.

    array    (C, Z, Y, X) on `source`
    order    1 linear, 3 cubic B-spline; voxels that grow by more than 1.5 are smoothed first
             (Gaussian, sigma = (factor - 1) / 2 source voxels)
    fill     value outside the source's field of view, or "edge" to repeat its border
    returns  (C, Z, Y, X) float32 on `target`
    """
    _check(array, source, order)
    step = index_map(source, target)
    if np.allclose(step, np.eye(4), atol=1e-9) and source.shape == target.shape:
        return array.astype(np.float32)
    axes = _aligned_axes(step, target.shape)
    if axes is not None:
        return np.stack([_separable(channel, step, axes, target.shape, order, fill) for channel in array])
    return np.stack([_general(channel, step, target.shape, order, fill) for channel in array])


def resample_labels(layers: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Move label layers to another grid: each structure linearly, then the strongest wins.

    layers   (L, Z, Y, X) integers on `source`; 0 is background
    returns  (L, Z, Y, X) of the same type on `target`; only values that were there, background outside
             the source's field of view. Layers stay apart, so overlapping structures stay whole
    """
    _check(layers, source, 1)
    if layers.dtype.kind not in "iub":
        raise OverreadError(f"Labels must be integers; got {layers.dtype}.")
    step = index_map(source, target)
    if np.allclose(step, np.eye(4), atol=1e-9) and source.shape == target.shape:
        return layers.copy()
    return np.stack([_layer(layer, step, target.shape) for layer in layers])


def _check(array: np.ndarray, source: Grid, order: int) -> None:
    if array.ndim != 4 or array.shape[1:] != source.shape:
        raise OverreadError(f"The array {array.shape} does not lie on its grid {source.shape}; expected (C, Z, Y, X).")
    if order not in (1, 3):
        raise OverreadError(f"Interpolation order {order} is not offered; expected 1 (linear) or 3 (cubic).")


def index_map(source: Grid, target: Grid) -> np.ndarray:
    """(4, 4): index (z, y, x) on the target -> fractional index on the source."""
    for grid in (source, target):
        if not grid.is_invertible:
            raise Refused(
                "bad-affine", "A grid whose affine is not invertible cannot be resampled.", "repair the file's geometry"
            )
    if source.spacing_known != target.spacing_known:
        raise OverreadError(
            "One grid is in millimetres and the other counts pixels, so they cannot be laid over each other.",
            "give the image a spacing (DICOM, NIfTI), or compare images of one format",
        )
    return np.asarray(np.linalg.inv(source.affine) @ target.affine)


def _aligned_axes(step: np.ndarray, shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """For each target axis the source axis that runs along it; None where the grids are rotated."""
    linear = np.abs(step[:3, :3])
    axes = tuple(int(a) for a in linear.argmax(axis=0))
    if sorted(axes) != [0, 1, 2]:
        return None
    drift = linear.copy()
    drift[axes, (0, 1, 2)] = 0
    return axes if (drift * np.array(shape)).max() < ALIGNED_VOXELS else None  # type: ignore[return-value]


def _separable(
    volume: np.ndarray,
    step: np.ndarray,
    axes: tuple[int, int, int],
    shape: tuple[int, int, int],
    order: int,
    fill: float | str,
    smooth: bool = True,
) -> np.ndarray:
    """One matrix per axis. volume (Z, Y, X) -> `shape` float32."""
    moved = volume.transpose(axes)
    positions = [step[axes[k], k] * np.arange(shape[k]) + step[axes[k], 3] for k in range(3)]
    matrices = [axis_matrix(tuple(positions[k]), moved.shape[k], order, smooth) for k in range(3)]
    result = _multiply(moved, matrices)
    if fill != "edge":
        for k in range(3):
            outside = (positions[k] < -EDGE_VOXELS) | (positions[k] > moved.shape[k] - 1 + EDGE_VOXELS)
            result[(*(slice(None),) * k, outside)] = fill
    return result


def _multiply(volume: np.ndarray, matrices: list[sparse.csr_array | None]) -> np.ndarray:
    """Apply (new, old) matrices along Z, Y and X, in the order that measured fastest; None leaves an axis as it is."""
    along_z, along_y, along_x = matrices
    depth, height, width = volume.shape
    new_height = height if along_y is None else along_y.shape[0]
    new_width = width if along_x is None else along_x.shape[0]
    columns = None if along_x is None else np.ascontiguousarray(along_x.toarray().T)
    partial = np.empty((depth, new_height, new_width), np.float32)
    for z in range(depth):
        plane = np.ascontiguousarray(volume[z], dtype=np.float32)
        if along_y is not None:
            plane = along_y @ plane
        partial[z] = plane if columns is None else plane @ columns
    if along_z is None:
        return partial
    return np.asarray(along_z @ partial.reshape(depth, -1)).reshape(-1, new_height, new_width)


@lru_cache(maxsize=128)
def axis_matrix(positions: tuple[float, ...], count: int, order: int, smooth: bool = True) -> sparse.csr_array | None:
    """The (new, old) float32 matrix that samples `count` values at fractional `positions`; None for the identity.

    Positions beyond the ends take the end's value.
    """
    places = np.array(positions)
    if len(places) == count and np.allclose(places, np.arange(count), atol=1e-9):
        return None
    base = np.eye(count)
    factor = abs(places[1] - places[0]) if len(places) > 1 else 1.0
    if smooth and factor > ANTIALIAS_FACTOR:
        base = ndimage.gaussian_filter1d(base, min((factor - 1) / 2, count), axis=0, mode="nearest")
    if order == 3 and count > 1:
        base = ndimage.spline_filter1d(base, 3, axis=0, mode="mirror")
    places = np.clip(places, 0, count - 1)
    weights = np.zeros((len(places), count))
    low = np.floor(places).astype(int)
    rows = np.arange(len(places))
    for offset, weight in _kernel(places - low, order):
        np.add.at(weights, (rows, _mirrored(low + offset, count)), weight)
    matrix = weights @ base
    matrix[np.abs(matrix) < NEGLIGIBLE] = 0  # the tails of the spline filter; all other rows are short
    return sparse.csr_array(matrix.astype(np.float32))


def _kernel(fraction: np.ndarray, order: int) -> list[tuple[int, np.ndarray]]:
    """Offsets and weights of the neighbours of a point `fraction` beyond a voxel centre."""
    t = fraction
    if order == 1:
        return [(0, 1 - t), (1, t)]
    return [
        (-1, (1 - t) ** 3 / 6),
        (0, (4 - 6 * t**2 + 3 * t**3) / 6),
        (1, (4 - 6 * (1 - t) ** 2 + 3 * (1 - t) ** 3) / 6),
        (2, t**3 / 6),
    ]


def _mirrored(index: np.ndarray, count: int) -> np.ndarray:
    """Reflect about the first and last voxel centre, the border rule of the spline filter."""
    if count == 1:
        return np.zeros_like(index)
    period = 2 * (count - 1)
    index = np.abs(index) % period
    return np.where(index >= count, period - index, index)


def _general(
    volume: np.ndarray, step: np.ndarray, shape: tuple[int, int, int], order: int, fill: float | str, smooth: bool = True
) -> np.ndarray:
    """Any affine. volume (Z, Y, X) -> `shape` float32, one target slice at a time."""
    work = volume.astype(np.float32)
    factors = np.linalg.norm(step[:3, :3], axis=1)
    if smooth and (factors > ANTIALIAS_FACTOR).any():
        sigma = np.where(factors > ANTIALIAS_FACTOR, np.minimum((factors - 1) / 2, volume.shape), 0)  # wider is flat already
        work = ndimage.gaussian_filter(work, sigma, mode="nearest")
    if order == 3:
        work = ndimage.spline_filter(work, 3, output=np.float32, mode="mirror")
    last = np.array(volume.shape)[:, None, None] - 1
    y, x = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    result = np.empty(shape, np.float32)
    for z in range(shape[0]):
        places = np.stack([step[a, 0] * z + step[a, 1] * y + step[a, 2] * x + step[a, 3] for a in range(3)])
        inside = np.clip(places, 0, last)
        ndimage.map_coordinates(work, inside, output=result[z], order=order, mode="mirror", prefilter=False)
        if fill != "edge":
            result[z][((places < -EDGE_VOXELS) | (places > last + EDGE_VOXELS)).any(axis=0)] = fill
    return result


def _layer(layer: np.ndarray, step: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """One layer of labels: where a structure weighs at least as much as every other and the background, it is."""
    axes = _aligned_axes(step, shape)
    result = np.zeros(shape, layer.dtype)
    taken = np.zeros(shape, np.float32)  # summed weight of all structures
    strongest = np.zeros(shape, np.float32)
    for value, box in _structures(layer):
        window = _target_window(box, step, shape)
        if window is None:
            continue
        weight = _weight((layer[box] == value).astype(np.float32), box, window, step, axes)
        taken[window] += weight
        wins = weight > strongest[window]
        strongest[window][wins] = weight[wins]
        result[window][wins] = value
    result[strongest < 1 - taken - 1e-5] = 0
    return result


def resample_piece(piece: Piece, source: Grid, target: Grid) -> Piece:
    """Move the voxels of one object as `resample_labels` moves a layer that holds nothing else, without its empty rest."""
    step = index_map(source, target)
    if piece.mask.size == 0 or (np.allclose(step, np.eye(4), atol=1e-9) and source.shape == target.shape):
        return piece
    box = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(piece.place, source.shape, strict=True))
    around = [(s.start - b.start, b.stop - s.stop) for s, b in zip(piece.place, box, strict=True)]
    window = _target_window(box, step, target.shape)  # type: ignore[arg-type]
    if window is None:
        return Piece((0, 0, 0), np.zeros((0, 0, 0), bool))
    mask = np.pad(piece.mask, around).astype(np.float32)
    weight = _weight(mask, box, window, step, _aligned_axes(step, target.shape))  # type: ignore[arg-type]
    cut = Piece.of(weight >= 0.5 - 5e-6)  # as strong as the background, within rounding
    z, y, x = (first + own.start for first, own in zip(cut.start, window, strict=True))
    return Piece((z, y, x), cut.mask)


def _weight(
    mask: np.ndarray,
    box: tuple[slice, slice, slice],
    window: tuple[slice, slice, slice],
    step: np.ndarray,
    axes: tuple[int, int, int] | None,
) -> np.ndarray:
    """How much of each target voxel of `window` a structure fills; mask float32 on `box` of the source."""
    local = step.copy()
    local[:3, 3] = step[:3, :3] @ np.array([s.start for s in window]) + step[:3, 3] - [s.start for s in box]
    size = (window[0].stop - window[0].start, window[1].stop - window[1].start, window[2].stop - window[2].start)
    if axes is not None:
        return _separable(mask, local, axes, size, 1, 0.0, smooth=False)
    return _general(mask, local, size, 1, 0.0, smooth=False)


def _structures(layer: np.ndarray) -> list[tuple[int, tuple[slice, slice, slice]]]:
    """Each value but 0 with its box, one voxel wider than the structure where the image allows."""
    values = np.unique(layer)
    ranks = layer if _is_compact(values) else np.searchsorted(values, layer) + 1
    boxes = ndimage.find_objects(ranks)
    found = []
    for rank, value in zip(values if ranks is layer else range(1, len(values) + 1), values, strict=True):
        if value == 0:
            continue
        tight = boxes[int(rank) - 1]
        wider = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(tight, layer.shape, strict=True))
        found.append((int(value), wider))
    return found  # type: ignore[return-value]


def _is_compact(values: np.ndarray) -> bool:
    """Label values that can index a short list as they are."""
    return values.dtype.kind in "iu" and int(values.min()) >= 0 and int(values.max()) <= 1024


def _target_window(
    box: tuple[slice, slice, slice], step: np.ndarray, shape: tuple[int, int, int]
) -> tuple[slice, slice, slice] | None:
    """The target voxels that a source box can reach; None where there are none."""
    faces = [np.array([s.start - 0.5, s.stop - 0.5]) for s in box]
    corners = np.stack(np.meshgrid(*faces, indexing="ij"), -1).reshape(8, 3)
    inverse = np.linalg.inv(step)
    reached = corners @ inverse[:3, :3].T + inverse[:3, 3]
    low = np.maximum(np.ceil(reached.min(axis=0) - 1e-6).astype(int), 0)
    high = np.minimum(np.floor(reached.max(axis=0) + 1e-6).astype(int) + 1, shape)
    if (low >= high).any():
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]
