"""How large an object is, and in which band of sizes it falls.

In millimetres, where the spacing is known: the longest edge of the box, in bands below 5, 5 to 10, 10 to 20, and 20 mm and
more. In pixels, as soon as one image does not know its spacing: the area, in COCO's bands (below 32 x 32, up to 96 x 96,
and more); of a volume, the area of its box within the slice. A truth falls in the band of its own size, an answer in that
of its own. A band holds its lower edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import Instances
from overread.metrics.metric import ratio
from overread.metrics.objects.matching import Matched
from overread.metrics.objects.overlap import Objects, box_size, mask_size

EDGES = {"mm": (5.0, 10.0, 20.0), "px": (32.0**2, 96.0**2)}
NAMES = {
    "mm": ("below 5 mm", "5 to 10 mm", "10 to 20 mm", "20 mm and more"),
    "px": ("small, below 32 x 32 pixels", "medium, up to 96 x 96 pixels", "large, 96 x 96 pixels and more"),
}
TRUTHS, FOUND, OVERLAP, ANSWERS, TRUE_ANSWERS = range(5)  # columns; the first three by the truth's band, the others the answer's


def longest_edge(corners: np.ndarray, grid: Grid) -> np.ndarray:
    """(N, 2, 3) corners -> (N,) longest edge in mm, or in pixels where the spacing is not known; the one slice of a 2D image
    has no thickness that counts."""
    corners = np.asarray(corners, dtype=float).reshape(-1, 2, 3)
    edges = (corners[:, 1] - corners[:, 0]) * np.asarray(grid.spacing if grid.spacing_known else (1.0, 1.0, 1.0))
    return edges[:, 1:].max(-1) if grid.is_planar else edges.max(-1)


def unit_of(grids: Iterable[Grid]) -> str:
    """ "mm" where every image knows its spacing, else "px"."""
    return "mm" if all(grid.spacing_known for grid in grids) else "px"


def measured(objects: Objects, unit: str) -> np.ndarray:
    """(N,) the longest edge in mm, or the area in pixels: what the bands are of."""
    if unit == "mm":
        return longest_edge(objects.corners, objects.grid)
    if isinstance(objects, Instances) and objects.grid.is_planar:
        return mask_size(objects.pieces)
    flat = np.array(objects.corners, dtype=float).reshape(-1, 2, 3)
    flat[:, :, 0] = (-0.5, 0.5)
    return box_size(flat)


def band_of(objects: Objects, unit: str) -> np.ndarray:
    """(N,) number of the band of each object."""
    return np.digitize(measured(objects, unit), EDGES[unit])


def band_counts(
    matches: Sequence[Matched], truths: Sequence[Objects], answers: Sequence[Objects], unit: str, class_name: str | None = None
) -> np.ndarray:
    """(N, bands, 5) sums per case and band, of one class or of all objects; matchings and answers are of called objects.

    Sensitivity is FOUND / TRUTHS, positive predictive value TRUE_ANSWERS / ANSWERS, overlap OVERLAP / FOUND.
    """
    table = np.zeros((len(matches), len(NAMES[unit]), 5))
    for row, (matched, truth, answer) in enumerate(zip(matches, truths, answers, strict=True)):
        true = np.array([class_name in (None, name) for name in truth.classes], dtype=bool)
        mine = np.array([class_name in (None, name) for name in answer.classes], dtype=bool)
        found, hit = matched.finder >= 0, matched.partner >= 0
        overlap = np.zeros(len(found))
        overlap[found] = matched.overlap[matched.finder[found]]
        true_band, answer_band = band_of(truth, unit), band_of(answer, unit)
        np.add.at(table[row, :, TRUTHS], true_band[true], 1)
        np.add.at(table[row, :, FOUND], true_band[true & found], 1)
        np.add.at(table[row, :, OVERLAP], true_band[true & found], overlap[true & found])
        np.add.at(table[row, :, ANSWERS], answer_band[mine], 1)
        np.add.at(table[row, :, TRUE_ANSWERS], answer_band[mine & hit], 1)
    return table


def band_scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """(..., bands, 5) sums -> "sensitivity", "ppv" and "overlap", (..., bands) each; NaN where a band is empty."""
    return {
        "sensitivity": ratio(sums[..., FOUND], sums[..., TRUTHS]),
        "ppv": ratio(sums[..., TRUE_ANSWERS], sums[..., ANSWERS]),
        "overlap": ratio(sums[..., OVERLAP], sums[..., FOUND]),
    }
