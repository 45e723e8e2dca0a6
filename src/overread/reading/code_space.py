"""What can be said of many codes, and ways among them: arithmetic on arrays, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

MOVES = 0.01  # variance from which a number of a variational code is active. Source: Burda et al., arXiv:1509.00519, 5.2
IN_LINE = 1e-6  # sine of the angle below which two codes lie on one line through the origin


def variances(mean: np.ndarray) -> np.ndarray:
    """(L,) how much each number of the codes (N, L) differs from image to image."""
    return np.asarray(mean.var(0, ddof=1) if len(mean) > 1 else np.zeros(mean.shape[1]))


def is_active(mean: np.ndarray) -> np.ndarray:
    """(L,) bool: the numbers of a variational code (N, L) that say something of the image.

    Source: Burda, Grosse and Salakhutdinov, ICLR 2016, arXiv:1509.00519, section 5.2: the variance of the mean over images
    exceeds 0.01.
    """
    return variances(mean) > MOVES


def nats(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """(L,) what each number says of an image, in nats beyond the standard normal distribution, a mean over images.

    mean, sd  (N, L). Source: Kingma and Welling, ICLR 2014, arXiv:1312.6114, appendix B.
    """
    sd = np.maximum(sd, 1e-12)
    return np.asarray((0.5 * (mean**2 + sd**2 - 1) - np.log(sd)).mean(0))


def directions(mean: np.ndarray) -> float:
    """How many directions the codes (N, L) use, between 1 and L; 0 where all are the same.

    The participation ratio of the principal variances, (sum v)^2 / sum v^2: as many as there are where all weigh the same.
    """
    spread = np.linalg.svd(mean - mean.mean(0), compute_uv=False) ** 2
    total = float((spread**2).sum())
    return float(spread.sum() ** 2 / total) if total > 0 else 0.0


def straight(first: np.ndarray, last: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """(S, L) codes on the straight line from one (L,) to another."""
    way = np.asarray(shares)[:, None]
    return np.asarray((1 - way) * first + way * last)


def on_a_sphere(first: np.ndarray, last: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """(S, L) codes on the arc from one (L,) to another; codes on one line through the origin are joined straight.

    The middle of a straight line between two draws of a normal distribution in many dimensions lies nearer to the origin than
    draws ever do, so its image is not one of those that were learned; the arc stays among them.
    Sources: Shoemake, SIGGRAPH 1985, doi:10.1145/325165.325242; White 2016, arXiv:1609.04468, section 2.
    """
    lengths = float(np.linalg.norm(first) * np.linalg.norm(last))
    cosine = float(first @ last) / lengths if lengths else 1.0
    angle = float(np.arccos(np.clip(cosine, -1, 1)))
    if np.sin(angle) < IN_LINE:
        return straight(first, last, shares)
    way = np.asarray(shares)[:, None]
    return np.asarray((np.sin((1 - way) * angle) * first + np.sin(way * angle) * last) / np.sin(angle))


def distances(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) Euclidean distances between codes (N, L) and (M, L)."""
    squares = (codes**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * codes @ others.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def most_unlike(mean: np.ndarray, patients: Sequence[str]) -> tuple[int, int] | None:
    """Rows of the two codes (N, L) of different patients that lie farthest apart; None where there is one patient alone."""
    apart = distances(mean, mean)
    pairs = [(i, j) for i, j in combinations(range(len(mean)), 2) if patients[i] != patients[j]]
    return max(pairs, key=lambda pair: float(apart[pair])) if pairs else None


def nearest(
    mean: np.ndarray, patients: Sequence[str], among: np.ndarray, holders: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """For each code (N, L) the row of the nearest one of `among` (M, L) of another patient, and its distance; -1 where none.

    patients, holders  of the codes, and of those among which is sought
    """
    apart = distances(mean, among)
    apart[np.asarray(patients)[:, None] == np.asarray(holders)[None]] = np.inf
    rows = apart.argmin(1)
    least = apart[np.arange(len(mean)), rows]
    return np.where(np.isfinite(least), rows, -1), least
