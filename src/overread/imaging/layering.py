"""Structures one after another into as few layers as hold them without one covering another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure


def in_layers(structures: Iterable[tuple[str, int, np.ndarray]], grid: Grid) -> LabelMap:
    """A label map of named structures, each in the first layer where it meets no other.

    structures  (name, value, flat indices of its voxels); one without voxels is kept by name
    """
    given = list(structures)
    dtype = np.uint8 if max((value for _, value, _ in given), default=0) < 256 else np.uint16
    layers = [np.zeros(grid.shape, dtype)]
    placed = []
    for name, value, voxels in given:
        chosen = next((k for k, layer in enumerate(layers) if not layer.reshape(-1)[voxels].any()), None)
        if chosen is None:
            layers.append(np.zeros(grid.shape, dtype))
            chosen = len(layers) - 1
        layers[chosen].reshape(-1)[voxels] = value
        placed.append(Structure(name, value, chosen))
    return LabelMap(np.stack(layers), tuple(placed), grid)
