"""What networks of several parts share: how all of them are run once, how their weights are drawn, what they refuse."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError

_LAYERS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
_SPREAD = 0.02  # standard deviation


class OfParts(nn.Module, ABC):
    """A network whose forward pass runs some of its parts only: the others learn in turns with them."""

    @abstractmethod
    def whole(self, images: Tensor) -> Tensor:
        """Every part once: what costs and drawings are made of."""

    def as_in_training(self, images: Tensor, random: torch.Generator) -> None:
        """Every part once on what it is given in training, from which the statistics of batch norm are taken anew."""
        self.whole(images)


def draw_small(network: nn.Module) -> None:
    """Weights from a normal distribution of spread 0.02, scales of batch normalisation around 1; biases 0.

    Source: Radford 2016, arXiv:1511.06434, section 4; Isola 2017 and Zhu 2017 took it over.
    """
    for module in network.modules():
        if isinstance(module, _LAYERS):
            nn.init.normal_(module.weight, 0.0, _SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.weight, 1.0, _SPREAD)


def fixed_latents(count: int, latent: int, device: torch.device) -> Tensor:
    """(count, latent) numbers from a normal distribution, the same each time."""
    random = torch.Generator().manual_seed(0)
    return torch.randn((count, latent), generator=random, device="cpu").to(device)


def checked_condition(condition: Tensor | None, classes: int, name: str) -> Tensor | None:
    """A condition (B, classes), 1 where the class is asked for; None for a network that makes images of no class."""
    given = 0 if condition is None else condition.shape[1]
    if given != classes:
        takes = f"a condition of {classes} numbers, one per class," if classes else "no condition,"
        raise OverreadError(
            f"this {name} takes {takes} and was given one of {given}",
            next=f"give one number per class, {classes} for each image" if classes else "leave the condition out",
        )
    return condition if classes else None
