"""Do made images look real, and do they show all that real ones show? Two questions that one distance cannot part.

Around every image lies a ball that reaches to its k-th nearest neighbour of its own kind; the balls together stand for what
images of that kind can be. Sources: improved precision and recall, Kynkaanniemi et al., NeurIPS 2019, arXiv:1904.06991 (k = 3);
density and coverage, Naeem et al., ICML 2020, arXiv:2002.09797 (k = 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.errors import OverreadError
from overread.metrics.generation.features import centred, checked, distances

K_RECALL, K_COVERAGE = 3, 5


@dataclass(frozen=True)
class Manifolds:
    """N real and M made images.

    precision  (M,) bool: the made image lies in the ball of a real one
    recall     (N,) bool: the real image lies in the ball of a made one
    density    (M,) in how many balls of real images the made one lies, over k; means 1 where the clouds are the same, and can
               exceed 1
    coverage   (N,) bool: the ball of the real image holds a made one
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def manifolds(real: np.ndarray, made: np.ndarray, whose: np.ndarray | None = None) -> Manifolds:
    """real, made  (N, F), (M, F) features of at least 6 images each.

    whose  (N,) number of the patient of each real image: neighbours are those of other patients, as two images of one would make
           each other's ball too small; each its own where none are known
    """
    real, made = centred(*checked(real, made))
    least = K_COVERAGE + 1
    if min(len(real), len(made)) < least:
        raise OverreadError(
            f"{len(real)} real and {len(made)} made images: neighbours need at least {least} of each.", "make more images"
        )
    if whose is not None and len(np.unique(whose)) < least:
        raise OverreadError(
            f"The real images are of {len(np.unique(whose))} patients: neighbours need images of at least {least} patients.",
            "take real images of more patients",
        )
    narrow, wide = reach(real, K_RECALL, whose), reach(real, K_COVERAGE, whose)
    of_made = reach(made, K_RECALL)
    precision, density = np.zeros(len(made), bool), np.zeros(len(made))
    recall, coverage = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, apart in distances(made, real):
        precision[rows] = (apart <= narrow).any(1)
        density[rows] = (apart <= wide).sum(1) / K_COVERAGE
        recall |= (apart <= of_made[rows, None]).any(0)
        coverage |= (apart <= wide).any(0)
    return Manifolds(precision, recall, density, coverage)


def reach(features: np.ndarray, k: int, whose: np.ndarray | None = None) -> np.ndarray:
    """(N,) distance from each image to its k-th nearest other one, of another patient where `whose` (N,) tells them."""
    found, number = np.empty(len(features)), np.arange(len(features)) if whose is None else whose
    for rows, apart in distances(features, features):
        apart[number[rows, None] == number[None]] = np.inf
        found[rows] = np.partition(apart, k - 1, axis=1)[:, k - 1]
    return found
