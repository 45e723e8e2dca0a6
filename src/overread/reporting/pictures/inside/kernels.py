"""The kernels of a first layer, drawn side by side on one scale."""

from __future__ import annotations

import numpy as np

from overread.reporting.pictures import canvas
from overread.reporting.pictures.planes import Plane

MOST = 64
_COLUMNS, _GAP, _TILE = 16, 0.25, 24  # gap as a share of a kernel; pixels of a tile at least
_PLANES = (("axial", 0), ("coronal", 1), ("sagittal", 2))


def kernel_picture(weights: np.ndarray, channel: int, limit: float, title: str) -> bytes:
    """One channel of the image: every kernel as a tile, black to white from -limit to limit, 0 in mid-grey.

    weights  (K, C, [kz,] ky, kx); of a volume the three planes through the middle of each kernel, one grid per plane
    """
    kernels = weights[:MOST, channel]
    if kernels.ndim == 3:
        grids = [("", kernels)]
    else:
        grids = [(name, np.take(kernels, kernels.shape[1 + k] // 2, axis=1 + k)) for name, k in _PLANES]
    drawn = [(name, _mosaic((tiles / max(limit, 1e-12) + 1) / 2)) for name, tiles in grids]
    width = 880
    rows = [[mosaic.shape[0] / mosaic.shape[1]] for _, mosaic in drawn]
    made = canvas.sheet(rows, title=title, is_phantom=False, width=width)
    for axes, (name, mosaic) in zip(made.cells, drawn, strict=True):
        size = (float(mosaic.shape[0]), float(mosaic.shape[1]))
        caption = f"{name} plane through the middle of each kernel" if name else ""
        plane = Plane(name, 0, ("", "", "", ""), size)
        canvas.show(axes, mosaic, plane, caption, is_phantom=False, extent=(0.0, size[1], 0.0, size[0]))
    scale = f"one scale for all: black -{limit:.3g}, mid-grey 0, white +{limit:.3g}"
    left_out = f"; the first {MOST} of {len(weights)}" if len(weights) > MOST else ""
    canvas.write(made, 8, made.height - 24, scale + left_out, size=9)
    return canvas.png(made)


def _mosaic(tiles: np.ndarray) -> np.ndarray:
    """(K, height, width) -> one picture with gaps; each weight a block of pixels."""
    count, height, width = tiles.shape
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    times = max(1, -(-_TILE * 2 // max(height, width)))
    gap = max(2, round(_GAP * times * max(height, width) / 2))
    tall, wide = height * times + gap, width * times + gap
    picture = np.full((rows * tall + gap, columns * wide + gap), 0.06)
    for k, tile in enumerate(tiles):
        top, left = gap + k // columns * tall, gap + k % columns * wide
        picture[top : top + height * times, left : left + width * times] = np.kron(tile, np.ones((times, times)))
    return picture
