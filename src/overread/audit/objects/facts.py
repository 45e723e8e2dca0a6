"""What can be measured of the objects of one case, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.kinds import Boxes
from overread.metrics.objects.overlap import box_iou

EDGE = 0.5  # voxels from the border of the image within which a box is cut by it
TWICE = 0.8  # overlap (intersection over union) beyond which two boxes are around one thing


@dataclass(frozen=True)
class ObjectFact:
    """One object of a case.

    longest  edge of its box, mm; pixels where the spacing is not known
    is_cut   its box reaches the border of the image, so that its size is not known
    """

    case_id: str
    name: str
    longest: float
    is_cut: bool


@dataclass(frozen=True)
class CaseObjects:
    """The objects of one case, and pairs of their positions whose boxes overlap so much that they are around one thing."""

    case_id: str
    objects: tuple[ObjectFact, ...]
    same: tuple[tuple[int, int], ...] = ()

    @property
    def twice(self) -> tuple[tuple[int, int], ...]:
        """Pairs of one class."""
        return tuple((a, b) for a, b in self.same if self.objects[a].name == self.objects[b].name)

    @property
    def of_two_classes(self) -> tuple[tuple[int, int], ...]:
        return tuple((a, b) for a, b in self.same if self.objects[a].name != self.objects[b].name)


def case_objects(case_id: str, boxes: Boxes) -> CaseObjects:
    grid, corners = boxes.grid, boxes.corners
    axes = slice(1 if grid.is_planar else 0, 3)
    edges = np.abs(corners[:, 1] - corners[:, 0])[:, axes] * np.array(grid.spacing)[axes]
    last = np.array(grid.shape) - 0.5
    reached = ((corners[:, 0] <= -0.5 + EDGE) | (corners[:, 1] >= last - EDGE))[:, axes]
    cut = np.asarray(reached.any(axis=1))
    objects = tuple(
        ObjectFact(case_id, name, float(edge.max()), bool(is_cut))
        for name, edge, is_cut in zip(boxes.classes, edges, cut, strict=True)
    )
    above = np.triu(box_iou(corners, corners) > TWICE, 1)
    return CaseObjects(case_id, objects, tuple((int(a), int(b)) for a, b in np.argwhere(above)))
