"""What can be measured of one drawn structure in one case, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from overread.audit.features import averaged
from overread.audit.shapes import foreground
from overread.core.image import Image, reorient
from overread.core.kinds import LabelMap

LONGEST = 160  # voxels along an axis at which the body is found; larger images are averaged down
ISLAND_SHARE = 0.05  # of the main part: larger parts are parts, not islands
GOES_ON = 0.5  # of the smaller of two outlines that overlap across a gap: the structure went on through it
SMALLEST_OUTLINE = 20  # voxels; smaller outlines are alike by chance


@dataclass(frozen=True)
class MaskFacts:
    """One structure in one case.

    volume        in ml, or in voxels where the spacing is not known; 0 where it is empty
    parts         groups of voxels that lie more than one voxel apart
    islands       of them, smaller than a twentieth of the largest one;  island_voxels  in all of them
    hole_voxels   of nothing that is drawn, enclosed by mostly this structure
    side          centre from the middle of the body to the patient's left (+1 at its edge); NaN where empty
    outside       share of the voxels in the dark around the body; NaN where there is no image
    slices        stored slices that hold it;  gaps  empty ones between two outlines that overlap
    repeated      share of neighbouring outlines that are equal voxel by voxel; NaN with fewer than four pairs
    depth         stored slices of the image
    """

    case_id: str
    structure: str
    voxels: int
    volume: float
    parts: int = 0
    islands: int = 0
    island_voxels: int = 0
    hole_voxels: int = 0
    side: float = float("nan")
    outside: float = float("nan")
    slices: int = 0
    gaps: int = 0
    repeated: float = float("nan")
    depth: int = 1

    @property
    def is_empty(self) -> bool:
        return self.voxels == 0


def mask_facts(case_id: str, label_map: LabelMap, image: Image | None) -> list[MaskFacts]:
    """Measure every structure of a label map; `image` on the same grid, or None where it cannot be opened."""
    body = None if image is None else _body(image)
    order, flips = label_map.grid.canonical_axes()
    drawn = np.asarray(label_map.layers.any(axis=0))
    found = []
    for name in label_map.names:
        mask = label_map.mask(name)
        voxels = int(mask.sum())
        size = label_map.grid.voxel_ml if label_map.grid.spacing_known else 1.0
        if voxels == 0:
            found.append(MaskFacts(case_id, name, 0, 0.0, depth=mask.shape[0]))
            continue
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        inside = mask[box]
        parts, islands, island_voxels = _islands(inside)
        side, outside = _place(reorient(mask, order, flips), body)
        slices, gaps, repeated = _slices(inside)
        found.append(
            MaskFacts(
                case_id,
                name,
                voxels,
                voxels * size,
                parts,
                islands,
                island_voxels,
                _hole_voxels(inside, drawn[box]),
                side,
                outside,
                slices,
                gaps,
                repeated,
                mask.shape[0],
            )
        )
    return found


def _body(image: Image) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The body, canonical and averaged down, and by how many voxels along each axis."""
    canonical = image.reoriented(*image.grid.canonical_axes())
    shape = canonical.grid.shape
    step = (max(1, -(-shape[0] // LONGEST)), max(1, -(-shape[1] // LONGEST)), max(1, -(-shape[2] // LONGEST)))
    return foreground(averaged(np.nan_to_num(canonical.array[0].astype(np.float32)), step), image.units), step


def _place(mask: np.ndarray, body: tuple[np.ndarray, tuple[int, int, int]] | None) -> tuple[float, float]:
    """Side and share outside, see `MaskFacts`; mask canonical (Z, Y, X)."""
    place = np.argwhere(mask)
    if body is None or not body[0].any():
        half = mask.shape[2] / 2
        return float((place[:, 2].mean() + 0.5 - half) / half), float("nan")
    region, step = body
    columns = np.flatnonzero(region.any((0, 1)))
    low, high = columns[0] * step[2], (columns[-1] + 1) * step[2]
    side = (place[:, 2].mean() + 0.5 - (low + high) / 2) / ((high - low) / 2)
    near = np.minimum(place // np.array(step), np.array(region.shape) - 1)
    return float(side), float(1 - region[tuple(near.T)].mean())


def _islands(mask: np.ndarray) -> tuple[int, int, int]:
    """Parts, islands and their voxels. Parts that one voxel of growth would join are one part: pixels drawn by hand have gaps."""
    padded = np.pad(mask, 1)
    labels, count = ndimage.label(ndimage.binary_dilation(padded, np.ones((3, 3, 3))), np.ones((3, 3, 3)))
    voxels = np.bincount(labels[padded], minlength=count + 1)[1:]
    small = voxels < ISLAND_SHARE * voxels.max()
    return count, int(small.sum()), int(voxels[small].sum())


def _hole_voxels(mask: np.ndarray, drawn: np.ndarray) -> int:
    """Voxels of nothing that is drawn, enclosed on all sides (of a single slice within the slice) by mostly this structure.

    mask, drawn  (Z, Y, X) bool: the structure, and all structures, in the box of the structure
    """
    flat = drawn[0] if len(drawn) == 1 else drawn
    holes = (ndimage.binary_fill_holes(flat) & ~flat).reshape(drawn.shape)
    labels, count = ndimage.label(holes)
    total = 0
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        hole = labels[around] == number
        rim = ndimage.binary_dilation(hole) & ~hole
        total += int(hole.sum()) if mask[around][rim].mean() > 0.5 else 0
    return total if count else 0


def _slices(mask: np.ndarray) -> tuple[int, int, float]:
    """Filled slices, empty ones within the structure, and the share of repeated outlines; along the stored slices."""
    filled = np.flatnonzero(mask.any((1, 2)))
    gaps, pairs, equal = 0, 0, 0
    for below, above in pairwise(filled.tolist()):
        one, other = mask[below], mask[above]
        smaller = min(int(one.sum()), int(other.sum()))
        if above - below > 1:
            gaps += int(above - below - 1) if int((one & other).sum()) >= GOES_ON * smaller else 0
        elif smaller >= SMALLEST_OUTLINE:
            pairs += 1
            equal += bool((one == other).all())
    return len(filled), gaps, equal / pairs if pairs >= 4 else float("nan")
