"""An image made of another one of the same case, learned from pairs: translation and restoration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.tasks.generative.pictures import DENSE, PICTURES, PictureTask
from overread.tasks.generative.turns import CRITIC, GENERATOR, LOOKING, WHOLE, Turn
from overread.tasks.losses import pictures as losses
from overread.tasks.losses.adversarial import NON_SATURATING

PIX2PIX = "pix2pix"
ABSOLUTE = 100.0  # weight of the absolute error beside the critic's opinion


@dataclass(frozen=True)
class Restoring(PictureTask):
    """The image as it came, from what a degradation left of it: regression, voxel by voxel.

    The network says what is to be changed, in units of what the degradation usually changes (`scaling`), so that it begins near
    what was read.
    Source: Zhang et al., IEEE TIP 2017, arXiv:1608.03981 (residual learning of the noise).

    strength  share of the change that an answer takes over, above 0 to 1. All of it gives the least error; less leaves some of
              the noise and with it what is as faint as noise and may be a finding. The network learns all of it in any case
    route     what is asked of the network
    """

    strength: float = 1.0
    route: str = DENSE

    name: ClassVar[str] = "restore"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {
        DENSE: tuple(losses.BY_NAME),
        PICTURES: tuple(losses.BY_NAME),
    }

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise OverreadError(
                f"[training.task] strength = {self.strength:g} is no share of what is changed.",
                "give one above 0 and up to 1; 1 is the usual",
            )

    @property
    def serves(self) -> str:
        return self.route

    @property
    def term_weights(self) -> Mapping[str, float]:
        return losses.WEIGHTS[self.loss]

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        return losses.BY_NAME[self.loss](self._restored(network, images, 1.0), targets)

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        return self._restored(network, images, self.strength)

    def _restored(self, network: nn.Module, images: Tensor, share: float) -> Tensor:
        """Every channel that is read is answered, in the same order."""
        change: Tensor = network(images)
        usual = share * torch.tensor(self.scaling.scale or (1.0,), device=change.device)
        return images.float() + usual.reshape(1, -1, *[1] * (images.ndim - 2)) * change.float()


@dataclass(frozen=True)
class Translating(PictureTask):
    """One channel of a case from others, from registered pairs.

    loss   "l1", "l2", "l1_ssim": regression; "pix2pix": a critic of patches, which sees what was read beside the answer, and
           100 times the absolute error. Source: Isola et al., CVPR 2017, arXiv:1611.07004
    route  what is asked of the network
    """

    route: str = DENSE

    name: ClassVar[str] = "translate"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {
        DENSE: tuple(losses.BY_NAME),
        PICTURES: (PIX2PIX, *losses.BY_NAME),
    }

    @property
    def serves(self) -> str:
        return self.route

    @property
    def term_weights(self) -> Mapping[str, float]:
        if self.loss == PIX2PIX:
            return {"critic real": 0.5, "critic made": 0.5, "adversarial": 1.0, "l1": ABSOLUTE}
        return losses.WEIGHTS[self.loss]

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        return (CRITIC, GENERATOR) if self.loss == PIX2PIX else (WHOLE,)

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        return network.parameters() if phase == WHOLE else part(network, phase).parameters()

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        if self.loss != PIX2PIX:
            return losses.BY_NAME[self.loss](network(images), targets)
        if turn.phase == CRITIC:
            return self._judged(network, images, targets)
        answer = network(images)
        error = ABSOLUTE * losses.l1(answer, targets)
        if turn.is_look:
            return {"l1": error}
        scores = part(network, CRITIC)(torch.cat([images, answer.to(images.dtype)], 1))
        return {"adversarial": NON_SATURATING.fools(scores), "l1": error}

    def _judged(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The critic is slowed by half, as published."""
        critic = part(network, CRITIC)
        with torch.no_grad():
            made = network(images).to(images.dtype)
        real = NON_SATURATING.real(critic(torch.cat([images, targets], 1)))
        return {"critic real": 0.5 * real, "critic made": 0.5 * NON_SATURATING.made(critic(torch.cat([images, made], 1)))}


def part(network: nn.Module, name: str) -> nn.Module:
    """A part of a network of several; one that has no such part is refused."""
    found: Any = getattr(network, name, None)
    if not isinstance(found, nn.Module):
        raise OverreadError(
            f"{type(network).__name__} has no {name}, which this loss teaches.",
            'set [training] loss = "l1", or architecture = "pix2pix"',
        )
    return found
