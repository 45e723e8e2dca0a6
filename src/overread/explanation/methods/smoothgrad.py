"""SmoothGrad: the mean gradient over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.gradients import weighted_gradient
from overread.explanation.methods.method import one_channel


@dataclass(frozen=True)
class SmoothGrad:
    """The size of the mean gradient over copies of the window with Gaussian noise; of several channels the largest.

    samples  copies
    noise    standard deviation, as a share of the range of intensities in each channel of the window
    seed     of the noise
    """

    samples: int = 24
    noise: float = 0.1
    seed: int = 0

    name: ClassVar[str] = "smoothgrad"
    title: ClassVar[str] = "SmoothGrad"
    source: ClassVar[str] = "Smilkov, ICML Workshop 2017, arXiv:1706.03825"
    is_signed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise OverreadError(f"SmoothGrad cannot take the mean of {self.samples} copies.", "set samples to 1 or more")
        if self.noise < 0:
            raise OverreadError(f"SmoothGrad cannot add noise of {self.noise}.", "set noise to a share of 0 or more, such as 0.1")

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        share = 1 / self.samples
        gradient = weighted_gradient(asked, ((window, share) for window in self.noisy(asked.images[0])))
        return asked.volume(one_channel(gradient).abs())

    def noisy(self, window: Tensor) -> Iterator[Tensor]:
        """Copies of a window (C, [Z,] Y, X); the same whatever the batch, since each is drawn by itself."""
        generator = torch.Generator().manual_seed(self.seed)
        flat = window.flatten(1)
        spread = self.noise * (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (window.ndim - 1))
        for _ in range(self.samples):
            drawn = torch.randn(window.shape, generator=generator, dtype=window.dtype)
            yield window + spread * drawn.to(window.device)
