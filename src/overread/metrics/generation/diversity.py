"""Do made images differ from each other as much as real ones do? A network that has collapsed makes one image again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.core.score import Score
from overread.metrics.generation.features import centred, checked, every_distance
from overread.metrics.generation.kernels import mean_of_pairs
from overread.metrics.pictures.structure import ms_ssim_scores

PAIRS = 200


@dataclass(frozen=True)
class Spreads:
    """Distances between every pair of real images (N, N), and of made ones (M, M); whose (N,) patient a real image is of."""

    real: np.ndarray
    made: np.ndarray
    whose: np.ndarray | None = None

    @classmethod
    def of(cls, real: np.ndarray, made: np.ndarray, whose: np.ndarray | None = None) -> Spreads:
        real, made = centred(*checked(real, made))
        return cls(every_distance(real, real), every_distance(made, made), whose)

    def diversity(self, real: np.ndarray | None = None, made: np.ndarray | None = None) -> float:
        """Mean distance between two made images over that between two real ones; rows to take, all where none are named."""
        wide = mean_of_pairs(self.real, np.arange(len(self.real)) if real is None else real, self.whose)
        own = mean_of_pairs(self.made, np.arange(len(self.made)) if made is None else made)
        return own / wide if wide > 0 else float("nan")


def diversity(real: np.ndarray, made: np.ndarray) -> float:
    """1 is as it should be, 0 a single image. Definition diversity/1. (N, F), (M, F) features."""
    return Spreads.of(real, made).diversity()


def likeness(images: np.ndarray, length: float, random: np.random.Generator, pairs: int = PAIRS) -> Score:
    """Mean MS-SSIM of pairs of images, the lower the more they differ. Definition pair_ms_ssim/1.

    images  (N, Z, Y, X) one channel
    length  of the range of intensities of real images, so that real and made ones are judged alike
    pairs   drawn by chance, fewer where there are fewer

    Source: Odena, Olah and Shlens, ICML 2017, arXiv:1610.09585.
    """
    count = len(images)
    every = count * (count - 1) // 2
    if not every:
        return Score(None, "a pair needs two images")
    chosen = random.choice(every, min(pairs, every), replace=False)
    first, second = (one[chosen] for one in np.triu_indices(count, 1))
    values = []
    for a, b in zip(first, second, strict=True):
        score = ms_ssim_scores(images[a], [images[b]], length)[0]
        if score.value is None:
            return score
        values.append(score.value)
    return Score(float(np.mean(values)))
