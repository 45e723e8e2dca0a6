"""How far a vector lies from a cloud of vectors: Mahalanobis distance with a shrunk covariance, in few directions and the rest.

The covariance is that of the standardised vectors in its strongest directions, and one variance for all others (probabilistic
principal components: Tipping and Bishop, J R Stat Soc B 61:611, 1999), so that what no training case ever varied in counts most.
As a score of out-of-distribution images: Lee et al., NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DIRECTIONS = 32
EXPLAINED = 0.9
SHRINKAGE = 0.1  # towards a variance of 1 in every direction, which is what standardised vectors have on average
NAMES = ("centre", "scale", "axes", "variances")


@dataclass(frozen=True)
class Cloud:
    """A normal distribution of vectors.

    centre, scale  (D,) mean and standard deviation of each number
    axes           (K, D) orthonormal directions of the standardised vectors
    variances      (K + 1,) along them, and along every other direction
    """

    centre: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, floor: float) -> Cloud:
        """vectors (N, D); floor: the smallest standard deviation that a number is believed to have"""
        centre = vectors.mean(axis=0)
        scale = np.sqrt(vectors.var(axis=0) + floor**2)
        standard = (vectors - centre) / scale
        _, singular, axes = np.linalg.svd(standard, full_matrices=False)
        variances = singular**2 / max(len(vectors) - 1, 1)
        total = float(variances.sum())
        enough = int(np.searchsorted(np.cumsum(variances), EXPLAINED * total)) + 1
        kept = min(enough, DIRECTIONS, max(1, len(vectors) // 4), len(variances))
        others = max(vectors.shape[1] - kept, 1)
        rest = float(variances[kept:].sum()) / others
        shrunk = (1 - SHRINKAGE) * np.append(variances[:kept], rest) + SHRINKAGE
        return cls(*(part.astype(np.float32) for part in (centre, scale, axes[:kept], shrunk)))

    def distance(self, vector: np.ndarray) -> float:
        """Root of the mean squared Mahalanobis distance per number: about 1 for a vector like those of the cloud."""
        return float(np.sqrt(max(self._squares(vector).sum(), 0.0) / len(self.centre)))

    def shares(self, vector: np.ndarray) -> np.ndarray:
        """(D,) of the squared distance that each number carries; 0 where one number makes up for another."""
        return np.maximum(self._squares(vector), 0.0)

    def _squares(self, vector: np.ndarray) -> np.ndarray:
        standard = (np.asarray(vector, dtype=np.float64) - self.centre) / self.scale
        along = self.axes @ standard
        weighed = (along / self.variances[:-1]) @ self.axes + (standard - along @ self.axes) / self.variances[-1]
        return np.asarray(standard * weighed)

    def tensors(self, name: str) -> dict[str, np.ndarray]:
        return {f"{name}.{part}": getattr(self, part) for part in NAMES}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], name: str) -> Cloud:
        return cls(*(np.asarray(tensors[f"{name}.{part}"]) for part in NAMES))
