"""The variational autoencoder: an image through a code that is a small cloud, and images made of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from overread.tasks.generative.draws import normal
from overread.tasks.generative.pictures import PICTURES, PictureTask
from overread.tasks.generative.signs import ACTIVE, KL, active_numbers
from overread.tasks.generative.turns import LOOKING, Turn
from overread.tasks.losses import pictures as losses
from overread.tasks.losses.latent import drawn_code, kl_to_normal


@dataclass(frozen=True)
class Vae(PictureTask):
    """The error of the image, and the nats of its code per voxel.

    beta     weight of the code's term. With the squared error it is twice the variance of what the code cannot tell, in that of
             a normalised image: smaller gives sharper answers, larger more likely images from codes drawn at random.
             Source: Higgins et al., ICLR 2017 (beta-VAE)
    warm_up  share of the budget in which the weight rises from 0, so that the code is not emptied before the decoder knows how
             to read it. Source: Bowman et al., CoNLL 2016, arXiv:1511.06349
    """

    loss: str = "l2"
    beta: float = 1.0
    warm_up: float = 0.3

    name: ClassVar[str] = "vae"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {PICTURES: ("l2", "l1", "l1_ssim")}

    @property
    def term_weights(self) -> Mapping[str, float]:
        return {"reconstruction": 1.0, "kl": self.beta}

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        parts: Any = network
        mean, log_variance = parts.encode(images)
        answer = parts.decode(drawn_code(mean, log_variance, turn.random()))
        error = torch.stack(list(losses.BY_NAME[self.loss](answer, targets).values())).sum()
        weight = self.beta * min(1.0, turn.progress / self.warm_up if self.warm_up else 1.0)
        return {"reconstruction": error, "kl": weight * kl_to_normal(mean, log_variance).mean() / targets[0].numel()}

    @torch.no_grad()
    def signs(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, float]:
        parts: Any = network
        mean, log_variance = parts.encode(images)
        return {KL: float(kl_to_normal(mean, log_variance).mean()), ACTIVE: active_numbers(mean)}

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
        """(count, K, [Z,] Y, X) images of codes drawn from the normal distribution; nothing can be asked for."""
        parts: Any = network
        codes = normal((count, parts.latent), random, next(network.parameters()).device)
        made: Tensor = parts.decode(codes)
        return made.float()
