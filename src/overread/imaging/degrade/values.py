"""Intensities: how far they spread, and how changed ones go back into the type that they were stored in."""

from __future__ import annotations

import numpy as np

from overread.core.image import Image

ENOUGH = 2_000_000  # voxels from which percentiles are taken
TAILS = (0.5, 99.5)


def span(values: np.ndarray) -> tuple[float, float]:
    """The 0.5 and the 99.5 percentile: where nearly all values lie."""
    flat = values.reshape(-1)
    low, high = np.percentile(flat[:: max(1, flat.size // ENOUGH)], TAILS)
    return float(low), float(high)


def spread(values: np.ndarray) -> float:
    """Standard deviation of the values, those beyond the 0.5 and 99.5 percentiles drawn in to them."""
    return float(np.clip(values.astype(np.float32), *span(values)).std())


def as_stored(values: np.ndarray, image: Image) -> np.ndarray:
    """Changed values in the type of the image: where it holds integers, rounded and kept within what the type can hold."""
    kind = image.array.dtype
    if kind.kind not in "iu":
        return values.astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.rint(values), limits.min, limits.max).astype(kind)
