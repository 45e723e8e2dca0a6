"""Prepared cases with blocks as objects: with and without voxels, 2D and 3D."""

from __future__ import annotations

import numpy as np

from overread.batches.cache import PreparedCase
from overread.batches.objects import ObjectTable, boxes_of_numbers

SHAPES = {2: (1, 40, 48), 3: (16, 24, 28)}


def object_cases(dimensions: int = 2, *, voxels: bool = True, count: int = 8, clean: int = 0) -> list[PreparedCase]:
    """Cases of one to three blocks that do not touch; the last `clean` have none; class 1 is in every fourth case only."""
    random = np.random.default_rng(0)
    made = []
    for k in range(count):
        shape = SHAPES[dimensions]
        numbers = np.zeros((1, *shape), np.uint8)
        for row in range(0 if k >= count - clean else 1 + k % 3):
            place = [slice(None)]
            for n in shape:
                size = 1 if n == 1 else int(random.integers(4, 8))
                first = 0 if n == 1 else int(random.integers(0, n - size))
                place.append(slice(first, first + size))
            if not numbers[tuple(place)].any():
                numbers[tuple(place)] = int(numbers.max()) + 1
                del row
        number = int(numbers.max())
        boxes = boxes_of_numbers(numbers, number)
        classes = np.full(number, 1 if k % 4 == 0 else 0, dtype=np.int32)
        image = (random.normal(size=shape) * 0.1 + 3.0 * (numbers[0] > 0))[None].astype(np.float16)
        target = numbers if voxels else np.zeros((0, *shape), np.uint8)
        made.append(PreparedCase(f"C-{k}", image, target, {}, ObjectTable(boxes, classes)))
    return made
