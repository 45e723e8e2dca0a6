"""Contrastive learning: two views of one image are to be told from the views of all others.

Source: Chen et al., SimCLR, ICML 2020, arXiv:2002.05709: the loss is NT-Xent (its equation 1), computed on the output of a
projector of two layers that is thrown away, for the features before it serve better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

LOSS = "NT-Xent"
TEMPERATURE = 0.2  # of small batches; 0.5 with thousands of images (their table 5)
PROJECTED = 128


class Projecting(nn.Module):
    """A network that answers per image, its features projected: (B, C, [Z,] Y, X) -> (B, 128)."""

    def __init__(self, network: nn.Module, width: int) -> None:
        """width  features of the network"""
        super().__init__()
        self.network = network
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, PROJECTED))

    def forward(self, images: Tensor) -> Tensor:
        projected: Tensor = self.projector(self.network.features(images))  # type: ignore[operator]
        return projected


def nt_xent(projected: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """The normalised temperature-scaled cross-entropy of N pairs.

    projected  (2N, D): row k and row N + k are views of one image
    Of row i with its pair j: -log(exp(s_ij / t) / sum over k != i of exp(s_ik / t)), s the cosine; the mean over all rows.
    """
    unit = functional.normalize(projected.float(), dim=1)
    likeness = unit @ unit.T / temperature
    count = len(unit) // 2
    likeness = likeness.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=unit.device), float("-inf"))
    pair = torch.arange(2 * count, device=unit.device).roll(count)
    return functional.cross_entropy(likeness, pair)


@dataclass(frozen=True)
class Contrastive:
    """The task as the training loop asks for it; images are all first views, then all second ones."""

    name: ClassVar[str] = "contrastive"
    loss: ClassVar[str] = LOSS

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        return {LOSS: nt_xent(network(images))}
