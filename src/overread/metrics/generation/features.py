"""Features of real and made images: (N, F) numbers, one row per image, from one network for both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from overread.core.errors import OverreadError

FEWEST = 2
CHUNK = 1 << 24  # distances held at once


def checked(*sets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each (N, F) as float64; refused where they are of different networks, too few or no numbers."""
    found = tuple(np.asarray(features, np.float64) for features in sets)
    for features in found:
        if features.ndim != 2 or len(features) < FEWEST:
            raise OverreadError(
                f"Features of images must be a table of at least {FEWEST} images; got the shape {features.shape}.",
                "make more images, or compute their features again",
            )
        if not np.isfinite(features).all():
            raise OverreadError(
                f"{int((~np.isfinite(features)).any(1).sum())} of {len(features)} images have features that are no numbers.",
                "look at these images: a network that has diverged makes such",
            )
    widths = {features.shape[1] for features in found}
    if len(widths) > 1:
        raise OverreadError(
            f"Real and made images have features of different length ({', '.join(map(str, sorted(widths)))}).",
            "compute both with one network",
        )
    return found


def distances(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """(N, F), (M, F) -> pieces of the (N, M) Euclidean distances, with the rows each piece is of."""
    squares = np.einsum("ij,ij->i", second, second)
    step = max(1, CHUNK // max(len(second), 1))
    for start in range(0, len(first), step):
        rows = slice(start, min(start + step, len(first)))
        own = first[rows]
        apart = np.einsum("ij,ij->i", own, own)[:, None] + squares[None] - 2 * own @ second.T
        yield rows, np.sqrt(np.maximum(apart, 0.0))


def every_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, F), (M, F) -> (N, M) Euclidean distances."""
    return np.concatenate([piece for _, piece in distances(first, second)])


def centred(*sets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every set less the mean of the first: distances stay, and digits are not lost to features far from 0."""
    middle = sets[0].mean(0)
    return tuple(features - middle for features in sets)
