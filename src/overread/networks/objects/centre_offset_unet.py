"""A U-Net that tells objects apart: classes, heat of centres, and the way to the centre, per voxel; 2D and 3D.

Source: Cheng et al., Panoptic-DeepLab, CVPR 2020, here with one decoder for both heads and in 3D too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from overread.networks.blocks.convolution import ConvBlock, convolution
from overread.networks.dense.unet import UNet
from overread.networks.full_precision import full_precision

PRIOR = 0.02  # heat that an untaught network answers everywhere
REACH = 10.0  # voxels of offset per unit of the last layer, so that it need not grow large


class CentreOffsetUNet(UNet):
    """(B, C, [Z,] Y, X) to (B, K + 1 + 1 + D, [Z,] Y, X): class logits, logit of the centre's heat, offset in voxels.

    features, kernels, strides and the rest as in `UNet`
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        norm: str = "instance",
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__(in_channels, classes + 1, features, kernels, strides, norm=norm, dropout=dropout, residual=residual)
        axes = self.dimensions
        self.heads = nn.ModuleList([self.heads[-1]])
        self.apart = ConvBlock(features[0], features[0], kernels[0], norm=norm)
        self.centre = convolution(features[0], 1, (1,) * axes)
        self.offset = convolution(features[0], axes, (1,) * axes)
        for layer, bias in ((self.centre, math.log(PRIOR / (1 - PRIOR))), (self.offset, 0.0)):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        maps = self._decode(images)[-1]
        apart = self.apart(maps)
        with full_precision(images.device):  # offsets of many voxels deserve more than 8 bits
            return torch.cat([self.heads[-1](maps.float()), self.centre(apart.float()), REACH * self.offset(apart.float())], 1)
