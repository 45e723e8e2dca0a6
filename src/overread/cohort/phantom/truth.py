"""What is known of a simulated exam: rows of the label sheet, instances with boxes, and outlines in COCO's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

from overread.core.grid import Grid

Row = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """One finding of one exam.

    box  first and last voxel along Z, Y, X
    """

    number: int
    kind: str
    box: tuple[slice, slice, slice]
    voxels: int
    volume_ml: float | None
    centre_lps_mm: tuple[float, float, float] | None

    def as_dict(self) -> Row:
        z, y, x = self.box
        return {
            "instance": self.number,
            "class": self.kind,
            "first_voxel_zyx": [z.start, y.start, x.start],
            "last_voxel_zyx": [z.stop - 1, y.stop - 1, x.stop - 1],
            "voxels": self.voxels,
            "volume_ml": self.volume_ml,
            "centre_lps_mm": None if self.centre_lps_mm is None else [round(v, 2) for v in self.centre_lps_mm],
        }


def instances_of(instances: np.ndarray, kinds: Sequence[str], grid: Grid) -> list[Instance]:
    """The findings that have at least one voxel in the instance map (Z, Y, X); number k has the class kinds[k - 1]."""
    found = []
    for number, box in enumerate(find_objects(instances), 1):
        if box is None:
            continue
        where = np.argwhere(instances[box] == number)
        centre = grid.to_world(where.mean(0) + [s.start for s in box])
        volume = round(len(where) * grid.voxel_ml, 4) if not grid.is_planar else None
        middle = (float(centre[0]), float(centre[1]), float(centre[2]))
        found.append(Instance(number, kinds[number - 1], box, len(where), volume, middle))
    return found


def coco_annotations(
    instances: np.ndarray,
    found: Sequence[Instance],
    image_ids: Sequence[int],
    categories: Sequence[str],
    whole: Mapping[int, np.ndarray] | None = None,
) -> list[Row]:
    """One annotation per finding and slice; boxes are x, y, width, height in pixels, outlines uncompressed run lengths.

    instances  (Z, Y, X);  image_ids  (Z,) one per slice;  annotations are numbered by the caller
    whole      number -> (Y, X) bool: all of a finding on a film, where another covers a part of it in `instances`

    `instance` is the same number in every slice of one finding.
    """
    annotations = []
    for item in found:
        for k in range(item.box[0].start, item.box[0].stop):
            mask = (whole or {}).get(item.number, instances[k] == item.number)
            if not mask.any():
                continue
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
            annotations.append(
                {
                    "image_id": image_ids[k],
                    "category_id": categories.index(item.kind) + 1,
                    "bbox": box,
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "instance": item.number,
                    "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
                }
            )
    return annotations


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths of a (Y, X) bool mask: column by column, beginning with background."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return [int(c) for c in (counts[:-1] if counts[-1] == 0 and len(counts) > 1 else counts)]
