"""Images made of noise by a network that learned to take noise away; of a class or along a mask where it is asked to.

Sources: Ho et al., NeurIPS 2020, arXiv:2006.11239; guidance without a classifier: Ho and Salimans 2022, arXiv:2207.12598.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.tasks.generative.asked import Asked, asked_of
from overread.tasks.generative.draws import normal_like, spread_times
from overread.tasks.generative.making import MADE, MakingTask
from overread.tasks.generative.sampling import from_noise
from overread.tasks.generative.schedule import NOISE, VELOCITY, Schedule
from overread.tasks.generative.turns import LOOKING, WHOLE, Turn

LIMITS = (-6.0, 6.0)  # standard deviations: clipped and normalised images lie within


@dataclass(frozen=True)
class Diffusing(MakingTask):
    """A denoiser of pixels.

    loss       what the denoiser says: "velocity" or "noise"; the mean squared error of it is minimised
    schedule   "cosine" or "linear"
    guidance   how far what is asked pushes: 1 plainly asked, above 1 beyond it, at twice the time; nothing where nothing is asked
    forgotten  share of the images of which the class or mask is hidden while learning, so that guidance is possible
    limits     lowest and highest intensity of a normalised image, to which made ones are clipped
    """

    loss: str = VELOCITY
    schedule: str = "cosine"
    guidance: float = 1.5
    forgotten: float = 0.1
    limits: tuple[float, float] = LIMITS

    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {MADE: (VELOCITY, NOISE)}

    @property
    def term_weights(self) -> Mapping[str, float]:
        return {self.loss: 1.0}

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        return (WHOLE,)

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        return network.parameters()

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        random = turn.random()
        asked = asked_of(targets, network)
        asked = asked if turn.is_look else asked.kept(self.forgotten, random)
        return {self.loss: denoising_error(network, images, asked, self.loss, Schedule(self.schedule), random)}

    @torch.no_grad()
    def make(
        self,
        network: nn.Module,
        count: int,
        random: torch.Generator,
        *,
        condition: Tensor | None = None,
        guide: Tensor | None = None,
        steps: int | None = None,
    ) -> Tensor:
        parts: Any = network
        device = next(network.parameters()).device
        denoise = guided(network, asked_from(network, condition, guide, device), self.guidance)
        shape, schedule = (count, *parts.image_shape), Schedule(self.schedule)
        return from_noise(denoise, shape, schedule, self.loss, random, device, steps=steps, limits=self.limits)


def denoising_error(
    network: nn.Module, images: Tensor, asked: Asked, prediction: str, schedule: Schedule, random: torch.Generator
) -> Tensor:
    """Mean squared error of what the denoiser says of images (B, C, [Z,] Y, X) under noise of random times."""
    parts: Any = network
    times = spread_times(len(images), schedule.times, random, images.device)
    noise = normal_like(images, random)
    said = parts.denoise(schedule.noisy(images, noise, times), times.float(), asked.condition, asked.guide)
    return functional.mse_loss(said.float(), schedule.wanted(prediction, images, noise, times))


def guided(network: nn.Module, asked: Asked, guidance: float) -> Any:
    """A denoiser that is pushed towards what is asked: what it says without, plus `guidance` times the difference."""
    parts: Any = network
    anything = asked.without()

    def denoise(noisy: Tensor, times: Tensor) -> Tensor:
        said: Tensor = parts.denoise(noisy, times.float(), asked.condition, asked.guide)
        if asked.is_anything or guidance == 1.0:
            return said
        plain: Tensor = parts.denoise(noisy, times.float(), anything.condition, anything.guide)
        return plain + guidance * (said - plain)

    return denoise


def asked_from(network: nn.Module, condition: Tensor | None, guide: Tensor | None, device: torch.device) -> Asked:
    """What is asked of made images, on the device."""
    if guide is not None:
        guide = asked_of(guide.to(device), network).guide
    return Asked(None if condition is None else condition.to(device).float(), guide)
