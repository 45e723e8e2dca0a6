"""The Frechet distance between two clouds of features, each taken for a normal distribution.

With the features of Inception this is the FID (Heusel et al., NeurIPS 2017, arXiv:1706.08500); with those of another network it
is another number, and says so. It is biased upwards, the more the fewer the images (Binkowski et al., ICLR 2018): values are only
to be compared between sets of one size.
"""

from __future__ import annotations

import numpy as np

from overread.metrics.generation.features import checked


def frechet_distance(real: np.ndarray, made: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of means and covariances. Definition fid/1.

    real, made  (N, F), (M, F) features

    No root of a matrix is taken: with S = R^T R the trace of (S1 S2)^(1/2) is the sum of the singular values of R1 R2^T, which
    exists also where there are fewer images than features and the covariances have no inverse.
    """
    real, made = checked(real, made)
    apart = float(np.square(real.mean(0) - made.mean(0)).sum())
    first, second = _root(real), _root(made)
    overlap = float(np.linalg.svd(first @ second.T, compute_uv=False).sum())
    return max(apart + float(np.square(first).sum()) + float(np.square(second).sum()) - 2 * overlap, 0.0)


def _root(features: np.ndarray) -> np.ndarray:
    """(K, F) with K at most F, so that R^T R is the covariance of the features."""
    root = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return root if len(root) <= root.shape[1] else np.asarray(np.linalg.qr(root, mode="r"))
