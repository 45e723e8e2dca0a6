"""UNet++: between each encoder and decoder stage lie further nodes, so that skips meet maps that resemble them; 2D and 3D.

Source: Zhou et al., UNet++, DLMIA 2018, arXiv:1807.10165; IEEE TMI 2020, arXiv:1912.05074.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from overread.networks.blocks.convolution import LEAKY, ConvBlock, convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.upsampling import Upsample
from overread.networks.dense.u_shape import (
    divisor_of,
    encoder_stages,
    refuse_uneven_stages,
    refuse_unfit_size,
)
from overread.networks.stages import BASE_FEATURES, stages_of

_NAME = "UNet++"


class UNetPlusPlus(nn.Module):
    """Node (i, j) reads all nodes (i, 0) ... (i, j - 1) of its stage and node (i + 1, j - 1) from below.

    features, kernels, strides  per stage, as in `UNet`
    heads[j]  answers from node (0, j + 1), at full resolution: the answer of a U-Net with j + 1 steps down. The deepest is the
              answer of the network; the others, which deep supervision asks, learn only through ``forward_scales``
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        norm: str = "instance",
        activation: str = LEAKY,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        refuse_uneven_stages(features, kernels, strides, _NAME)
        self.dimensions, self.divisor = len(kernels[0]), divisor_of(strides)
        style: dict[str, Any] = {"norm": norm, "dropout": dropout, "activation": activation}
        depth = len(features) - 1
        self.encoder = encoder_stages(in_channels, features, kernels, strides, (2,) * len(features), **style)
        self.upsample, self.nodes = nn.ModuleList(), nn.ModuleList()  # [i][j - 1]
        for stage in range(depth):
            width, kernel, step = features[stage], kernels[stage], strides[stage + 1]
            columns = range(1, depth - stage + 1)
            self.upsample.append(nn.ModuleList(Upsample(features[stage + 1], width, step) for _ in columns))
            self.nodes.append(nn.ModuleList(_node((column + 1) * width, width, kernel, style) for column in columns))
        self.heads = nn.ModuleList(convolution(features[0], out_channels, (1,) * self.dimensions) for _ in range(depth))
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the deepest answer: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        return self.heads[-1](self._first_row(images)[-1])

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        """Logits of all answers, the deepest first, all at full resolution."""
        answers = [head(maps) for head, maps in zip(self.heads, self._first_row(images), strict=True)]
        return answers[::-1]

    def features(self, images: Tensor) -> Tensor:
        """The bottleneck averaged over space: (B, features of the last stage)."""
        return self._encode(images)[-1].flatten(2).mean(2)

    def _encode(self, images: Tensor) -> list[Tensor]:
        refuse_unfit_size(images.shape[2:], self.divisor, _NAME)
        maps, stages = images, []
        for stage in self.encoder:
            maps = stage(maps)
            stages.append(maps)
        return stages

    def _first_row(self, images: Tensor) -> list[Tensor]:
        """Maps of the nodes (0, 1), (0, 2) ... at full resolution."""
        rows = [[maps] for maps in self._encode(images)]
        for column in range(1, len(rows)):
            for stage in range(len(rows) - column):
                below = self.upsample[stage][column - 1](rows[stage + 1][column - 1])  # type: ignore[index]
                rows[stage].append(self.nodes[stage][column - 1](torch.cat([*rows[stage], below], dim=1)))  # type: ignore[index]
        return rows[0][1:]


def _node(inputs: int, width: int, kernel: Sequence[int], style: dict[str, Any]) -> nn.Sequential:
    return nn.Sequential(ConvBlock(inputs, width, kernel, **style), ConvBlock(width, width, kernel, **style))


def build_unet_plus_plus(
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
) -> UNetPlusPlus:
    """A UNet++ from features, kernels and strides, or from a patch (voxels) and spacing (mm) that stages are planned for."""
    stages = stages_of(dimensions, patch, spacing, base_features, features, kernels, strides)
    return UNetPlusPlus(in_channels, out_channels, *stages, norm=norm, activation=activation, dropout=dropout)
