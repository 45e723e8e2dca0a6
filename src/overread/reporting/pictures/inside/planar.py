"""Slices of a window of the network, as grey or colour pixels ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.grid import Grid
from overread.reporting.pictures import canvas
from overread.reporting.pictures.planes import Plane, planes

Extent = tuple[float, float, float, float]
_NAMELESS = ("", "", "", "")


@dataclass(frozen=True)
class View:
    """One plane through a window.

    extent  left, right, bottom, top in mm, or in voxels where the spacing is unknown
    """

    plane: Plane
    index: int
    extent: Extent

    @property
    def shape(self) -> float:
        """Height divided by width."""
        return self.plane.size[0] / self.plane.size[1]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """(Z, Y, X[, 3]) of the window -> (height, width[, 3]), first row on top."""
        return self.plane.cut(values, self.index)

    def cut_coarse(self, values: np.ndarray, size: int) -> np.ndarray:
        """The same of a coarser map of the same window; size is the window's along the normal."""
        index = min(len_along(values, self.plane) - 1, self.index * len_along(values, self.plane) // size)
        return self.plane.cut(values, index)


def len_along(values: np.ndarray, plane: Plane) -> int:
    return int(values.shape[plane.normal])


def views(grid: Grid, shape: Sequence[int], centre: Sequence[float] | None = None, *, is_lettered: bool = True) -> list[View]:
    """Of a planar window the one plane; of a volume axial, coronal and sagittal through its centre.

    shape  (Z, Y, X) of the window; its orientation and spacing are those of the grid
    """
    middle = [(n - 1) / 2 for n in shape] if centre is None else list(centre)
    made = []
    for plane in planes(grid):
        if shape[0] == 1 and plane.normal != 0:
            continue
        height, width = [axis for axis in range(3) if axis != plane.normal]
        size = (shape[height] * grid.spacing[height], shape[width] * grid.spacing[width])
        letters = plane.letters if is_lettered else _NAMELESS
        index = int(np.clip(round(middle[plane.normal]), 0, shape[plane.normal] - 1))
        made.append(View(Plane(plane.name, plane.normal, letters, size), index, (0.0, size[1], 0.0, size[0])))
    return made


def scaled(array: np.ndarray, channels: Sequence[str], bounds: tuple[float, float] | None = None) -> np.ndarray:
    """(C, Z, Y, X) normalised values -> (Z, Y, X) grey or (Z, Y, X, 3) colour, 0 to 1.

    bounds  lowest and highest value shown; None takes the middle 99 % of the values
    """
    shown = array[:3] if tuple(channels) == ("red", "green", "blue") else array[:1]
    low, high = bounds or tuple(float(v) for v in np.percentile(shown, (0.5, 99.5)))
    grey = np.clip((shown - low) / max(high - low, 1e-6), 0, 1)
    return np.moveaxis(grey, 0, -1) if len(grey) == 3 else grey[0]


def enlarged(pixels: np.ndarray, least: int = 220) -> np.ndarray:
    """Each value as a block of pixels, so that a coarse map is drawn as coarse as it is."""
    times = max(1, -(-least // max(1, max(pixels.shape[:2]))))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def draw(axes: canvas.Axes, view: View, pixels: np.ndarray, caption: str, *, is_phantom: bool) -> None:
    canvas.show(axes, enlarged(pixels), view.plane, caption, is_phantom=is_phantom, extent=view.extent)
