"""How alike two maps are: as pictures (SSIM) and in the order of their voxels (Spearman), whatever their sign and scale.

Source: Adebayo et al., NeurIPS 2018 (both measures, of absolute maps); SSIM: Wang et al., IEEE TIP 2004;13:600.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

SHOWN = 99.0  # percentile at which a map is as bright as it gets: what a few voxels do beyond is not seen
WINDOW = 7  # voxels that SSIM compares around each voxel, where the map is wide enough
MOST_RANKED = 2**19  # voxels whose order is compared; of larger maps every n-th


@dataclass(frozen=True)
class Likeness:
    """1 for maps that are alike, about 0 for maps that have nothing in common."""

    ssim: float
    spearman: float

    @property
    def mean(self) -> float:
        return (self.ssim + self.spearman) / 2


def likeness(one: np.ndarray, other: np.ndarray) -> Likeness:
    """Two maps (Z, Y, X) of one window.

    Two constant maps are alike. A constant map is like no other: whatever was seen has vanished.
    """
    first, second = np.abs(one.astype(np.float64)), np.abs(other.astype(np.float64))
    constant = [is_constant(first), is_constant(second)]
    if any(constant):
        return Likeness(1.0, 1.0) if all(constant) else Likeness(0.0, 0.0)
    return Likeness(_ssim(as_shown(first), as_shown(second)), _spearman(first, second))


def is_constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def as_shown(values: np.ndarray) -> np.ndarray:
    """A map of values from 0 up, scaled to 0..1 as a reader sees it."""
    bright = float(np.percentile(values, SHOWN))
    return np.clip(values / (bright if bright > 0 else float(values.max()) or 1.0), 0.0, 1.0)


def _ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Of a volume with few slices the mean over its slices."""
    if one.shape[0] >= WINDOW:
        return _structural(one, other)
    return float(np.mean([_structural(a, b) for a, b in zip(one, other, strict=True)]))


def _structural(one: np.ndarray, other: np.ndarray) -> float:
    narrowest = min(one.shape)
    if narrowest < 3:
        raise ValueError(f"maps of {one.shape} voxels are too narrow to compare")
    return float(structural_similarity(one, other, data_range=1.0, win_size=min(WINDOW, narrowest - 1 + narrowest % 2)))


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    step = -(-one.size // MOST_RANKED)
    ranks = [rankdata(values.ravel()[::step]) for values in (one, other)]
    if any(np.ptp(each) == 0 for each in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def mean_likeness(several: Sequence[Likeness | None]) -> Likeness | None:
    """Of those that there are; None where there is none."""
    known = [each for each in several if each is not None]
    if not known:
        return None
    return Likeness(float(np.mean([k.ssim for k in known])), float(np.mean([k.spearman for k in known])))


def numbers_of(several: Sequence[Likeness | None], name: str) -> list[float | None]:
    """One of the numbers of every case: "mean", "ssim" or "spearman"."""
    return [None if each is None else float(getattr(each, name)) for each in several]
