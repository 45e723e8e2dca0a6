"""How much of an image is left, and how much noise there is, at each time of a diffusion.

Sources: Ho et al., NeurIPS 2020, arXiv:2006.11239 (linear); Nichol and Dhariwal, ICML 2021, arXiv:2102.09672 (cosine); Salimans
and Ho, ICLR 2022, arXiv:2202.00512, appendix D (velocity).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from overread.core.errors import OverreadError

TIMES = 1000
FIRST, LAST = 1e-4, 2e-2  # variance of the noise that is added at the first and the last of 1000 times
OFFSET, MOST = 8e-3, 0.999  # of the cosine: at the first time there is a little noise; at the last a little image


def _linear(times: int) -> Tensor:
    return torch.linspace(FIRST, LAST, times, dtype=torch.float64) * (TIMES / times)


def _cosine(times: int) -> Tensor:
    places = torch.arange(times + 1, dtype=torch.float64) / times
    left = torch.cos((places + OFFSET) / (1 + OFFSET) * math.pi / 2) ** 2
    return (1 - left[1:] / left[:-1]).clamp(0.0, MOST)


SCHEDULES: Mapping[str, Callable[[int], Tensor]] = {"cosine": _cosine, "linear": _linear}
VELOCITY, NOISE = "velocity", "noise"  # what a denoiser says


@dataclass(frozen=True)
class Schedule:
    """The noise of each time, 0 (nearly none) to times - 1 (nearly all); -1 is the image itself.

    An image x under noise n at time t is signal(t) x + noise(t) n, where the squares of the two add up to 1.
    """

    name: str = "cosine"
    times: int = TIMES

    @cached_property
    def added(self) -> Tensor:
        """(times,) float64 variance of what is added at each time (beta)."""
        if self.name not in SCHEDULES:
            raise OverreadError(f"'{self.name}' is no schedule of noise.", f"choose one of {', '.join(SCHEDULES)}")
        return SCHEDULES[self.name](self.times)

    @cached_property
    def left(self) -> Tensor:
        """(times + 1,) float64 share of the image's variance that is left after each time, that of -1 first."""
        return torch.cat([torch.ones(1, dtype=torch.float64), (1 - self.added).cumprod(0)])

    def shares(self, times: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise at times (B,), each (B, 1, ...), to be multiplied with images."""
        left = self.left[times.cpu() + 1].reshape(-1, *[1] * (like.ndim - 1))
        return left.sqrt().to(like.device, torch.float32), (1 - left).sqrt().to(like.device, torch.float32)

    def noisy(self, images: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Images (B, C, [Z,] Y, X) under noise of the same shape, at times (B,)."""
        signal, spread = self.shares(times, images)
        return signal * images + spread * noise

    def wanted(self, prediction: str, images: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What a denoiser should say: the noise, or the velocity."""
        signal, spread = self.shares(times, images)
        return signal * noise - spread * images if prediction == VELOCITY else noise

    def clean(self, prediction: str, said: Tensor, noisy: Tensor, times: Tensor) -> Tensor:
        """The image, as a denoiser has it that said this of a noisy image."""
        signal, spread = self.shares(times, noisy)
        return signal * noisy - spread * said if prediction == VELOCITY else (noisy - spread * said) / signal

    def noise_in(self, noisy: Tensor, clean: Tensor, times: Tensor) -> Tensor:
        """The noise that would make a noisy image of a clean one."""
        signal, spread = self.shares(times, noisy)
        return (noisy - signal * clean) / spread
