"""Lesions erased and invented by a network that makes or changes images, counted on masks that one program drew on both images.

A lesion is a connected component of its structure (26 neighbours). One of the true image is erased where less than a tenth of
its voxels is drawn on the made image; one of the made image is invented where less than a tenth of its voxels was drawn on the
true one. Shares of voxels, not pairs: a lesion that falls into two pieces, or two that grow together, are neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.metrics.components import components
from overread.metrics.metric import Metric, mean_from_sums, proportion, ratio

LEAST_SHARE = 0.1
RULE = (
    "One program segmented the true and the made image. A lesion is a connected component (26 neighbours); erased: less than "
    "10 % of its voxels are drawn on the made image; invented: less than 10 % of its voxels were drawn on the true image. What "
    "the program itself misses or draws by chance counts as well: run it on two images of one patient to see how much that is."
)


@dataclass(frozen=True)
class Lesions:
    """The components of one structure in one case.

    of_truth, of_made  (T,), (M,) voxels of each lesion
    kept               (T,) share of its voxels drawn on the made image
    backed             (M,) share of its voxels drawn on the true image
    """

    of_truth: np.ndarray
    of_made: np.ndarray
    kept: np.ndarray
    backed: np.ndarray

    @property
    def erased(self) -> np.ndarray:
        """(T,) bool"""
        return np.asarray(self.kept < LEAST_SHARE)

    @property
    def invented(self) -> np.ndarray:
        """(M,) bool"""
        return np.asarray(self.backed < LEAST_SHARE)


def lesions(truth: np.ndarray, made: np.ndarray) -> Lesions:
    """truth, made  (Z, Y, X) bool: one structure as drawn on the true and on the made image."""
    of_truth, kept = _covered(truth, made)
    of_made, backed = _covered(made, truth)
    return Lesions(of_truth, of_made, kept, backed)


def _covered(mask: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of each component of a mask, and the share of them that lies in the other."""
    found = components(mask)
    if found.box is None:
        return np.zeros(0), np.zeros(0)
    both = np.bincount(found.labels[other[found.box]], minlength=len(found.voxels) + 1)[1:]
    return found.voxels.astype(float), both / found.voxels


def volume_terms(found: Lesions) -> np.ndarray:
    """(4,) voxels: in erased lesions, in all lesions of the truth, in invented lesions, in all lesions of the made image."""
    erased, invented = found.of_truth[found.erased].sum(), found.of_made[found.invented].sum()
    return np.array([erased, found.of_truth.sum(), invented, found.of_made.sum()], dtype=float)


def _erased_volume(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _invented_volume(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 2], sums[..., 3])


_NONE_TRUE, _NONE_MADE = "no lesion was drawn on a true image", "no lesion was drawn on a made image"
ERASED = proportion(
    "erased", "Lesions erased", "of the lesions on true images, those of which less than 10 % is drawn on the made image",
    (0,), (0, 1), _NONE_TRUE,
)  # fmt: skip
INVENTED = proportion(
    "invented", "Lesions invented (hallucination score, by number)",
    "of the lesions on made images, those of which less than 10 % was drawn on the true image", (0,), (0, 1), _NONE_MADE,
)  # fmt: skip
INVENTED_PER_CASE = Metric(
    "invented_per_case", "Invented lesions per case", "number of invented lesions, mean over cases", "lower",
    from_sums=mean_from_sums,
)  # fmt: skip
ERASED_VOLUME = Metric(
    "erased_volume", "Volume erased", "voxels of erased lesions over voxels of all lesions on true images", "lower",
    undefined=_NONE_TRUE, from_sums=_erased_volume,
)  # fmt: skip
INVENTED_VOLUME = Metric(
    "invented_volume", "Volume invented (hallucination score, by volume)",
    "voxels of invented lesions over voxels of all lesions on made images", "lower",
    undefined=_NONE_MADE, from_sums=_invented_volume,
)  # fmt: skip
