"""What the objects of the training cases are like: how many, how large, in how many cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.grid import Grid

PERCENTILES = (0.0, 10.0, 50.0, 90.0, 100.0)
Size = tuple[float, float, float]


@dataclass(frozen=True)
class ObjectFacts:
    """Objects of one class. Percentiles are 0, 10, 50, 90, 100.

    count       objects
    cases       cases with at least one
    sizes       per percentile the extent (Z, Y, X) in voxels of the canonical grid
    longest_mm  percentiles of the longest edge; in pixels where the spacing is unknown
    per_case    percentiles of the number in cases that have one
    """

    count: int
    cases: int
    sizes: tuple[Size, ...]
    longest_mm: tuple[float, ...]
    per_case: tuple[float, ...]


@dataclass(frozen=True)
class SeenObject:
    """Class, canonical extent (Z, Y, X) in voxels, and longest edge in mm (pixels) of one object."""

    name: str
    size: Size
    longest: float


def seen_object(name: str, corners: np.ndarray, grid: Grid, order: Sequence[int]) -> SeenObject:
    """corners (2, 3) on `grid`; order  axes of the grid in the canonical order."""
    extent = np.abs(corners[1] - corners[0])
    edges = (extent * np.array(grid.spacing))[1 if grid.is_planar else 0 :]
    z, y, x = extent[list(order)]
    return SeenObject(name, (float(z), float(y), float(x)), float(edges.max()))


def object_facts(cases: Sequence[Sequence[SeenObject]], names: Sequence[str]) -> dict[str, ObjectFacts]:
    """By class, in the order of `names`; a class without an object is left out."""
    facts = {}
    for name in names:
        own = [[o for o in case if o.name == name] for case in cases]
        every = [o for case in own for o in case]
        if every:
            sizes = np.percentile(np.array([o.size for o in every]), PERCENTILES, axis=0)
            facts[name] = ObjectFacts(
                len(every),
                sum(bool(case) for case in own),
                tuple((float(z), float(y), float(x)) for z, y, x in sizes),
                _spread([o.longest for o in every]),
                _spread([len(case) for case in own if case]),
            )
    return facts


def _spread(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.percentile(np.array(values, dtype=float), PERCENTILES))
