"""Maximum mean discrepancy between real and made images: KID with a cubic kernel, MMD with a Gaussian one. Both unbiased.

Sources: Gretton et al., JMLR 2012;13:723, lemma 6; KID: Binkowski et al., ICLR 2018, arXiv:1801.01401.
Unlike FID they do not drift with the number of images; where the clouds are the same they scatter around 0, also below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from overread.metrics.generation.features import centred, checked, every_distance

SUBSETS, LARGEST_SUBSET = 100, 1000
PAIRED_AT_MOST = 1000  # images whose distances give the width of the Gaussian kernel

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (N, F), (M, F) -> (N, M)


def cubic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(x . y / F + 1)^3"""
    return np.asarray((first @ second.T / first.shape[1] + 1) ** 3)


@dataclass(frozen=True)
class Kernels:
    """Kernel of every pair of images, computed once.

    real, made, across  (N, N), (M, M), (N, M)
    whose               (N,) number of the patient of each real image; each its own where none are known. Two images of one
                        patient are more alike than two of a kind, so such pairs are left out: else no set of made images, however
                        good, would come near 0
    """

    real: np.ndarray
    made: np.ndarray
    across: np.ndarray
    whose: np.ndarray | None = None

    @classmethod
    def of(cls, real: np.ndarray, made: np.ndarray, kernel: Kernel, whose: np.ndarray | None = None) -> Kernels:
        return cls(kernel(real, real), kernel(made, made), kernel(real, made), whose)

    def discrepancy(self, real: np.ndarray | None = None, made: np.ndarray | None = None) -> float:
        """Mean of pairs of real images, plus that of pairs of made ones, less twice that across; no image with itself.

        real, made  rows to take, each once; all where none are named
        """
        real = np.arange(len(self.real)) if real is None else real
        made = np.arange(len(self.made)) if made is None else made
        within = mean_of_pairs(self.real, real, self.whose) + mean_of_pairs(self.made, made)
        return float(within - 2 * self.across[np.ix_(real, made)].mean())


def mean_of_pairs(matrix: np.ndarray, rows: np.ndarray, whose: np.ndarray | None = None) -> float:
    """(N, N) values of pairs -> their mean over pairs of different rows, of different patients where `whose` (N,) tells them."""
    own = matrix[np.ix_(rows, rows)]
    if whose is None:
        return float((own.sum() - np.trace(own)) / (len(rows) * (len(rows) - 1)))
    apart = whose[rows][:, None] != whose[rows][None]
    return float(own[apart].mean()) if apart.any() else float("nan")


def cubic_kernels(real: np.ndarray, made: np.ndarray, whose: np.ndarray | None = None) -> Kernels:
    """Of KID; (N, F), (M, F)."""
    real, made = checked(real, made)
    return Kernels.of(real, made, cubic, whose)


def gaussian_kernels(real: np.ndarray, made: np.ndarray, whose: np.ndarray | None = None) -> Kernels | None:
    """exp(-d^2 / (2 width^2)), d the Euclidean distance; None where all real images have the same features.

    The width is the median distance between two real images, so that the same one serves every set of made images.
    """
    real, made = centred(*checked(real, made))
    width = median_distance(real)
    return Kernels.of(real, made, _gaussian(width), whose) if width > 0 else None


def kernel_distance(real: np.ndarray, made: np.ndarray) -> float:
    """KID: squared discrepancy with the cubic kernel, over all pairs. Definition kid/1. (N, F), (M, F)."""
    return cubic_kernels(real, made).discrepancy()


def kernel_distance_of_subsets(kernels: Kernels, random: np.random.Generator) -> tuple[float, float, int]:
    """KID as it is usually printed: mean and standard deviation over 100 subsets, and the number of images in each.

    A subset is half of the smaller side, 1000 at most: subsets of all images would all be the same.
    """
    counts = kernels.across.shape
    size = min(LARGEST_SUBSET, max(2, min(counts) // 2))
    values = [kernels.discrepancy(*(random.choice(n, size, replace=False) for n in counts)) for _ in range(SUBSETS)]
    return float(np.mean(values)), float(np.std(values, ddof=1)), size


def gaussian_discrepancy(real: np.ndarray, made: np.ndarray) -> float:
    """MMD^2 with the Gaussian kernel. Definition mmd/1; NaN where all real images have the same features."""
    kernels = gaussian_kernels(real, made)
    return float("nan") if kernels is None else kernels.discrepancy()


def median_distance(features: np.ndarray) -> float:
    """Of every pair among the first 1000 images."""
    some = features[:PAIRED_AT_MOST]
    apart = every_distance(some, some)
    return float(np.median(apart[np.triu_indices(len(some), 1)]))


def _gaussian(width: float) -> Kernel:
    def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-np.square(every_distance(first, second)) / (2 * width * width)))

    return kernel
