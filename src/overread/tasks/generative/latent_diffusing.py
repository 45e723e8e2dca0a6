"""Diffusion of codes: an autoencoder learns first, then a denoiser of its codes.

Source: Rombach et al., CVPR 2022, arXiv:2112.10752.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from overread.tasks.generative.asked import asked_of
from overread.tasks.generative.diffusing import LIMITS, asked_from, denoising_error, guided
from overread.tasks.generative.making import MADE, MakingTask
from overread.tasks.generative.sampling import from_noise
from overread.tasks.generative.schedule import NOISE, VELOCITY, Schedule
from overread.tasks.generative.turns import LOOKING, Turn
from overread.tasks.losses.latent import drawn_code, kl_to_normal
from overread.tasks.losses.pictures import l1

AUTOENCODER, DENOISER = "autoencoder", "denoiser"
LATENT = "latent_"  # how the names of the losses begin
SLIGHT = 1e-4  # weight of the code's nats per voxel: only so much that codes do not drift apart
FOLLOWS = 0.05  # share of a new batch in the spread of the codes


@dataclass(frozen=True)
class LatentDiffusing(MakingTask):
    """A denoiser of codes, which are decoded at the end.

    loss         what the denoiser says: "latent_velocity" or "latent_noise"
    autoencoder  share of the budget in which the autoencoder learns; then it stands still and the denoiser learns
    schedule, guidance, forgotten, limits  as of diffusion of pixels; limits of codes scaled to a spread of 1

    The tuning loss is the sum of both: the error of the autoencoder and of the denoiser.
    """

    loss: str = LATENT + VELOCITY
    autoencoder: float = 0.35
    schedule: str = "cosine"
    guidance: float = 1.5
    forgotten: float = 0.1
    limits: tuple[float, float] = LIMITS

    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {MADE: (LATENT + VELOCITY, LATENT + NOISE)}

    @property
    def prediction(self) -> str:
        return self.loss.removeprefix(LATENT)

    @property
    def term_weights(self) -> Mapping[str, float]:
        return {"reconstruction": 1.0, "kl": SLIGHT, self.prediction: 1.0}

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        return (AUTOENCODER if progress < self.autoencoder else DENOISER,)

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        return network.get_submodule(phase).parameters()

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        if turn.phase == AUTOENCODER:
            return self._coded(network, images, turn)
        denoised = self._denoised(network, images, targets, turn)
        return denoised | self._coded(network, images, turn) if turn.is_look else denoised

    def _coded(self, network: nn.Module, images: Tensor, turn: Turn) -> dict[str, Tensor]:
        parts: Any = network
        mean, log_variance = parts.autoencoder.encode(images)
        codes = drawn_code(mean, log_variance, turn.random())
        if not turn.is_look:
            with torch.no_grad():
                parts.scale.lerp_(1 / codes.std().clamp_min(1e-6), FOLLOWS)
        nats = kl_to_normal(mean, log_variance).mean() / images[0].numel()
        return {"reconstruction": l1(parts.autoencoder.decode(codes), images), "kl": SLIGHT * nats}

    def _denoised(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn) -> dict[str, Tensor]:
        parts: Any = network
        random, asked = turn.random(), asked_of(targets, network)
        asked = asked if turn.is_look else asked.kept(self.forgotten, random)
        with torch.no_grad():
            mean, log_variance = parts.autoencoder.encode(images)
            codes = drawn_code(mean, log_variance, random) * parts.scale
        error = denoising_error(network, codes, asked, self.prediction, Schedule(self.schedule), random)
        return {self.prediction: error}

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
        shape, schedule = (count, *parts.code_shape), Schedule(self.schedule)
        codes = from_noise(denoise, shape, schedule, self.prediction, random, device, steps=steps, limits=self.limits)
        made: Tensor = parts.decode(codes)
        return made.float()
