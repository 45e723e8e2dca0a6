"""Integrated gradients: the gradient along the way from a baseline to the image, which adds up to the change of the score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.batching import in_batches
from overread.explanation.methods.gradients import weighted_gradient

BASELINES = {
    "mean": "0 of the preparation: the mean of a normalised image",
    "lowest": "the lowest value of each channel in the window: air, or black",
}


@dataclass(frozen=True)
class Completeness:
    """What the map adds up to, and what it should: the score of the image less that of the baseline.

    The two part where steps are too few for a bent way, or where the score jumps on it: a detector's object that is not
    listed near the baseline any more.
    """

    total: float
    difference: float

    @property
    def error(self) -> float:
        return abs(self.total - self.difference)

    @property
    def relative_error(self) -> float | None:
        """As a share of the difference; None where there is no difference."""
        return self.error / abs(self.difference) if self.difference else None


@dataclass(frozen=True)
class IntegratedGradients:
    """The mean gradient on the straight way from a baseline to the image, times how far each value went; channels added.

    steps     places on the way, those of Gauss and Legendre
    baseline  "mean": 0 of the preparation, the mean of a normalised image; "lowest": the lowest value of each channel
    A voxel that looks like the baseline gets 0 whatever the network makes of it.
    """

    steps: int = 48
    baseline: str = "mean"

    name: ClassVar[str] = "integrated_gradients"
    title: ClassVar[str] = "Integrated gradients"
    source: ClassVar[str] = "Sundararajan, ICML 2017, arXiv:1703.01365"
    is_signed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise OverreadError(f"Integrated gradients cannot go {self.steps} steps.", "set steps to 1 or more; 48 is usual here")
        if self.baseline not in BASELINES:
            raise OverreadError(
                f"Integrated gradients know no baseline '{self.baseline}'.",
                "choose " + " or ".join(f"{name} ({words})" for name, words in BASELINES.items()),
            )

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        return asked.volume(self.attributions(asked).sum(0))

    def with_completeness(self, asked: Asked) -> tuple[np.ndarray, Completeness]:
        """The map, and how well it adds up; the cost is that of the map."""
        shares = self.attributions(asked)
        image, baseline = in_batches(asked.score, [asked.images[0], self.start(asked.images)[0]], 1)
        return asked.volume(shares.sum(0)), Completeness(float(shares.sum()), float(image - baseline))

    def attributions(self, asked: Asked) -> Tensor:
        """(C, [Z,] Y, X) float64: the part of every value in the change of the score."""
        start = self.start(asked.images)
        gradient = weighted_gradient(asked, self._way(asked.images[0], start[0]))
        return gradient * (asked.images - start)[0].double()

    def start(self, images: Tensor) -> Tensor:
        """(1, C, [Z,] Y, X): the baseline."""
        if self.baseline == "mean":
            return torch.zeros_like(images)
        lowest = images.flatten(2).amin(2).reshape(*images.shape[:2], *[1] * (images.ndim - 2))
        return lowest.expand_as(images)

    def _way(self, window: Tensor, start: Tensor) -> Iterator[tuple[Tensor, float]]:
        places, weights = np.polynomial.legendre.leggauss(self.steps)
        for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
            yield start + float(place) * (window - start), float(weight)
