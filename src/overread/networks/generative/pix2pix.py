"""Paired translation: a U-Net answers, and a critic of patches looks at what was read and what was answered together.

Source: Isola 2017 (pix2pix), arXiv:1611.07004; the maker here is our U-Net, without the random numbers that the paper found the
network to ignore.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from overread.networks.blocks.convolution import LEAKY
from overread.networks.dense.unet import UNet, build_unet
from overread.networks.generative.parts import OfParts, draw_small
from overread.networks.generative.patch_critic import STEPS, WIDTH, PatchCritic
from overread.networks.stages import BASE_FEATURES


class Pix2Pix(OfParts):
    """A U-Net and the critic of its answers.

    generator  (B, in_channels, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)
    critic     source and answer laid one behind the other, (B, in_channels + out_channels, [Z,] Y, X), to (B, 1, [z,] y, x)

    The critic steps along the axes along which the first stages of the U-Net step. Of the U-Net's heads only that of the full
    resolution is kept: no other is taught.
    """

    def __init__(self, generator: UNet, in_channels: int, out_channels: int, *, critic_features: int = WIDTH) -> None:
        super().__init__()
        self.dimensions, self.divisor = generator.dimensions, generator.divisor
        self.generator = generator
        del generator.heads[:-1]
        self.critic = PatchCritic(in_channels + out_channels, generator.strides[1 : 1 + STEPS], critic_features)
        draw_small(self.critic)

    def forward(self, images: Tensor) -> Tensor:
        """The picture of each image: (B, in_channels, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        return self.generator(images)

    def whole(self, images: Tensor) -> Tensor:
        """The scores of what was answered."""
        return self.critic(torch.cat((images, self.generator(images)), dim=1))

    def features(self, images: Tensor) -> Tensor:
        """The bottleneck of the U-Net averaged over space: (B, F)."""
        return self.generator.features(images)


def build_pix2pix(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    norm: str = "instance",
    activation: str = LEAKY,
    dropout: float = 0.0,
    critic_features: int = WIDTH,
) -> Pix2Pix:
    """Stages as of the U-Net; critic_features: channels after the critic's first step."""
    generator = build_unet(
        in_channels,
        out_channels,
        dimensions,
        patch=patch,
        spacing=spacing,
        base_features=base_features,
        features=features,
        kernels=kernels,
        strides=strides,
        norm=norm,
        activation=activation,
        dropout=dropout,
    )
    return Pix2Pix(generator, in_channels, out_channels, critic_features=critic_features)
