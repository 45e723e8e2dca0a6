"""The objects behind a concern, drawn into their picture, so that the page shows what is meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from overread.audit.concern import Concern
from overread.audit.objects.facts import case_objects
from overread.core.image import Image
from overread.core.kinds import Boxes

LINE = 130  # lines are this part of the picture wide, so that they are still there when it is small


def objects_behind(concern: Concern, case_id: str, boxes: Boxes) -> list[int]:
    """Positions of the objects of a case that a concern of objects is about; none for other concerns."""
    found = case_objects(case_id, boxes)
    if concern.key == "object-labelled-twice":
        return sorted({k for pair in found.twice for k in pair})
    if concern.key == "object-of-two-classes":
        return sorted({k for pair in found.of_two_classes for k in pair})
    if concern.key == "object-at-border":
        return [k for k, one in enumerate(found.objects) if one.is_cut]
    if concern.key == "object-unusual-size":
        worst = {(row["class"], row["longest"]) for row in concern.evidence["worst"] if row["case_id"] == case_id}
        return [k for k, one in enumerate(found.objects) if (one.name, round(one.longest, 3)) in worst]
    return []


def with_boxes(image: Image, corners: np.ndarray) -> Image:
    """A picture with a bright frame, dark inside, around each box; volumes are shown as they are.

    corners  (N, 2, 3) first and last corner, indices (z, y, x)
    """
    if not image.grid.is_planar or not len(corners):
        return image
    array = image.array.copy()
    bright, dark = array.max(), array.min()
    _, height, width = image.grid.shape
    line = max(1, max(height, width) // LINE)
    for (_, y0, x0), (_, y1, x1) in np.round(corners + 0.5).astype(int):
        _frame(array, (y0 - line, x0 - line, y1 + line, x1 + line), line, bright)
        _frame(array, (y0, x0, y1, x1), line, dark)
    return replace(image, array=array)


def _frame(array: np.ndarray, box: tuple[int, int, int, int], line: int, value: float) -> None:
    """Into (C, 1, Y, X) pixels in place; what lies outside is cut off. box  y0, x0, y1, x1 of pixel edges."""
    height, width = array.shape[-2:]
    y0, x0, y1, x1 = np.clip(box, 0, (height, width, height, width))
    array[..., y0 : y0 + line, x0:x1] = value
    array[..., max(y1 - line, 0) : y1, x0:x1] = value
    array[..., y0:y1, x0 : x0 + line] = value
    array[..., y0:y1, max(x1 - line, 0) : x1] = value
