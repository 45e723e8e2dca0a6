"""A truth of objects as the array that is kept beside the image."""

from __future__ import annotations

import numpy as np

from overread.batches.prepare import PreparedObjects
from overread.core.errors import OverreadError


def numbers(objects: PreparedObjects, shape: tuple[int, int, int]) -> np.ndarray:
    """(L, Z, Y, X) object numbers, k + 1 for row k of the table; L = 0 where the truth has boxes alone."""
    return np.zeros((0, *shape), np.uint8) if objects.layers is None else objects.layers


def label_map(objects: PreparedObjects, shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) uint8, 0 background, k + 1 class k; where objects overlap, the one of the later layer."""
    if objects.layers is None:
        raise OverreadError(
            "The truth has boxes without outlines, and this network is taught from voxels.",
            'choose a network of boxes, such as network = "centre_detector" in [training]',
        )
    classes = np.concatenate([[0], objects.table.classes + 1]).astype(np.uint8)
    encoded = np.zeros(shape, np.uint8)
    for layer in objects.layers:
        encoded[layer > 0] = classes[layer[layer > 0]]
    return encoded
