"""Where the body lies in a true image: around it lies air, which is easy to copy and would fill every mean."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

AIR_EDGE_HU = -400.0  # halfway between air and fat
LENIENT = 0.5  # of the way from the darkest value to Otsu's threshold: dim tissue is tissue
RULE = (
    "The body is everything in the truth but the dark that reaches the sides of a slice: below -400 HU; in other units below "
    "half of Otsu's threshold (IEEE Trans SMC 1979;9:62), counted from the 0.5th percentile."
)


def body_of(truth: np.ndarray, units: str) -> np.ndarray:
    """(Z, Y, X) one channel of the true image -> (Z, Y, X) bool: the body, with the dark inside it, lungs for example."""
    values = np.asarray(truth, np.float32)
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        return np.ones(values.shape, bool)
    cut = AIR_EDGE_HU if units == "HU" else low + LENIENT * (threshold_otsu(np.clip(values, low, high)) - low)
    return ~np.stack([_reaching_a_side(one) for one in values <= cut])


def _reaching_a_side(dark: np.ndarray) -> np.ndarray:
    """(Y, X) bool -> the part of it that is connected with a side of the slice."""
    labels, count = ndimage.label(dark)
    at_side = np.zeros(count + 1, bool)
    at_side[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True
    at_side[0] = False
    return np.asarray(at_side[labels])
