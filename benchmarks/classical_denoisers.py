"""Denoisers that need no training, with their parameters fitted on tuning cases: bilateral and non-local means of scikit-image.

No benchmark itself. Both are given the noise level of each image, measured in it, so that one choice of parameters suits images
of different noise. Every slice is treated by itself: the bilateral filter of scikit-image knows planes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from skimage.restoration import denoise_bilateral, denoise_nl_means

from overread.core.errors import OverreadError
from overread.imaging.degrade.ct_noise import noise_of

Denoise = Callable[[np.ndarray, float, Mapping[str, float]], np.ndarray]
LOWEST, HIGHEST = -1024.0, 3071.0  # HU
SOME = 8  # slices of each tuning case, evenly spread, on which parameters are compared


def bilateral(hu: np.ndarray, noise: float, chosen: Mapping[str, float]) -> np.ndarray:
    """(Z, Y, X) HU; range: spread of grey values over the noise; space: spread of places in pixels (Tomasi, Manduchi 1998)."""
    span = HIGHEST - LOWEST
    scaled = (np.clip(hu, LOWEST, HIGHEST).astype(np.float64) - LOWEST) / span
    colour = chosen["range"] * noise / span
    done = [denoise_bilateral(p, sigma_color=colour, sigma_spatial=chosen["space"], win_size=9, bins=4096) for p in scaled]
    return np.asarray(np.stack(done) * span + LOWEST, np.float32)


def non_local_means(hu: np.ndarray, noise: float, chosen: Mapping[str, float]) -> np.ndarray:
    """(Z, Y, X) HU; strength: cut-off over the noise; patch and reach in pixels (Buades, Coll, Morel 2005)."""
    done = [
        denoise_nl_means(
            plane.astype(np.float32),
            patch_size=int(chosen["patch"]),
            patch_distance=int(chosen["reach"]),
            h=chosen["strength"] * noise,
            sigma=noise,
            fast_mode=True,
        )
        for plane in hu
    ]
    return np.asarray(np.stack(done), np.float32)


@dataclass(frozen=True)
class Classical:
    """A program and the values of each of its parameters that are tried."""

    name: str
    denoise: Denoise
    tried: Mapping[str, tuple[float, ...]]

    @property
    def choices(self) -> list[dict[str, float]]:
        return [dict(zip(self.tried, values, strict=True)) for values in product(*self.tried.values())]

    def __call__(self, hu: np.ndarray, chosen: Mapping[str, float]) -> np.ndarray:
        """Denoise a volume (Z, Y, X) in HU by its own noise."""
        return self.denoise(hu, level_of(hu), chosen)


CLASSICAL = (
    Classical("bilateral", bilateral, {"range": (1.0, 2.0, 3.0, 5.0), "space": (0.7, 1.2, 2.0)}),
    Classical("non-local-means", non_local_means, {"strength": (0.4, 0.6, 0.8, 1.1), "patch": (3, 5), "reach": (5, 9)}),
)


def level_of(hu: np.ndarray) -> float:
    """Noise of a volume (Z, Y, X), HU."""
    found = noise_of(hu)
    if found is None:
        raise OverreadError("There is too little soft tissue in which the noise of a volume could be measured.", "leave it out")
    return max(found.level, 1.0)


def fit(which: Classical, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[dict[str, float], list[dict[str, float]]]:
    """The parameters with the least mean squared error in the body, over pairs of what is read and the truth; and all of them."""
    chosen = [_some(*pair) for pair in pairs]
    rows = []
    for choice in which.choices:
        errors = [_error(which.denoise(read, noise, choice), truth) for read, truth, noise in chosen]
        rows.append({**choice, "rmse_in_body_hu": round(float(np.sqrt(np.mean(errors))), 3)})
    best = min(rows, key=lambda row: row["rmse_in_body_hu"])
    return {name: best[name] for name in which.tried}, rows


def _some(read: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    planes = np.linspace(0, len(read) - 1, min(SOME, len(read))).round().astype(int)
    return read[planes], truth[planes], level_of(read)


def _error(answer: np.ndarray, truth: np.ndarray) -> float:
    body = truth > -500
    return float(np.square(answer[body].astype(np.float64) - truth[body]).mean())
