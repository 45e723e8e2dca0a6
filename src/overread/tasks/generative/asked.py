"""What an image that is made should be: of a class, or along a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.tasks.generative.draws import uniform


@dataclass(frozen=True)
class Asked:
    """What is known of each image of a batch; nothing for images of any kind.

    condition  (B, K) 1 where the class is asked for; a row of 0 asks for any
    guide      (B, G, [Z,] Y, X) masks; an image of 0 throughout guides nothing
    """

    condition: Tensor | None = None
    guide: Tensor | None = None

    @property
    def is_anything(self) -> bool:
        return self.condition is None and self.guide is None

    def kept(self, share: float, random: torch.Generator) -> Asked:
        """The same with nothing asked of a random share of the images. Source: Ho and Salimans, arXiv:2207.12598, section 3.1."""
        given = self.guide if self.condition is None else self.condition
        if given is None:
            return self
        stays = uniform((len(given),), random, given.device) >= share
        return Asked(_where(stays, self.condition), _where(stays, self.guide))

    def without(self) -> Asked:
        """Nothing asked of any image, in the same form."""
        return Asked(*(None if each is None else torch.zeros_like(each) for each in (self.condition, self.guide)))


def _where(stays: Tensor, given: Tensor | None) -> Tensor | None:
    return None if given is None else given * stays.reshape(-1, *[1] * (given.ndim - 1)).to(given.dtype)


def asked_of(targets: Tensor, network: nn.Module) -> Asked:
    """Targets of a batch as what is asked.

    targets  (B, K) the classes of the images, K = 0 where none is known; or (B, G, [Z,] Y, X) masks; or (B, 1, [Z,] Y, X)
             uint8 numbers of structures, 0 background, which become one mask each, the background's first
    """
    if targets.ndim == 2:
        return Asked(condition=targets.float()) if targets.shape[1] else Asked()
    parts: Any = network
    if targets.dtype == torch.uint8 and targets.shape[1] == 1:
        return Asked(guide=masks_of(targets, parts.guide_channels))
    return Asked(guide=targets.float())


def masks_of(labels: Tensor, count: int) -> Tensor:
    """(B, 1, [Z,] Y, X) numbers of structures -> (B, count, [Z,] Y, X) float32 masks, the background's first."""
    highest = int(labels.max())
    if highest >= count:
        raise OverreadError(
            f"A mask holds structure {highest}, and this network is guided by {count} masks, the background's among them.",
            f"give masks with numbers 0 to {count - 1}",
        )
    return functional.one_hot(labels[:, 0].long(), count).movedim(-1, 1).float()
