"""The first model of a cascade: it looks at the whole image and says which part of it the second one is to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import LabelMap
from overread.core.region import Region, RegionBox
from overread.reading.answering import Answering


@dataclass(frozen=True)
class Finder:
    """A trained model of outlines, with its frozen decisions."""

    reader: Answering

    def find(self, image: Image, of: Region) -> RegionBox:
        """The box around the structure on the grid of the image; the whole image where nothing of it is found."""
        answer = self.reader.answer(self.reader.prepare(image))
        assert isinstance(answer, LabelMap)
        return box_around(answer.mask(of.structure), image.grid, of)


def box_around(mask: np.ndarray, grid: Grid, of: Region) -> RegionBox:
    """mask  (Z, Y, X) bool on the grid. The margin is rounded up to whole voxels, and the box cut to the image."""
    z, y, x = grid.shape
    if not mask.any():
        return RegionBox(of, (0, 0, 0), (z, y, x), is_found=False)
    spacing = grid.spacing if grid.spacing_known else (1.0, 1.0, 1.0)
    starts, stops = [], []
    for axis, (size, step) in enumerate(zip(grid.shape, spacing, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        margin = 0 if grid.is_planar and axis == 0 else int(np.ceil(of.margin_mm / step - 1e-6))
        starts.append(max(0, int(inside[0]) - margin))
        stops.append(min(size, int(inside[-1]) + 1 + margin))
    return RegionBox(of, (starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2]))
