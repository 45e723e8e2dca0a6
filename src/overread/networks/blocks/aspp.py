"""Atrous spatial pyramid pooling: several dilated convolutions side by side see near and far at one resolution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from overread.networks.blocks.conv_unit import ConvUnit


class ASPP(nn.Module):
    """A 1x1 convolution, one dilated convolution per rate, and the mean of the whole image, joined by a 1x1 convolution.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X)
    rates  distances between the weights of a 3x3 kernel in voxels; the paper takes (6, 12, 18) at a sixteenth of the image

    The mean of the whole image has no normalisation: one value per channel has no variance.

    Source: Chen 2017 (DeepLabv3), arXiv:1706.05587; after Chen 2018, arXiv:1606.00915.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rates: Sequence[int],
        dimensions: int,
        *,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        one, three = (1,) * dimensions, (3,) * dimensions
        near = ConvUnit(inputs, outputs, one, norm=norm, activation=activation)
        far = [ConvUnit(inputs, outputs, three, norm=norm, activation=activation, dilation=rate) for rate in rates]
        self.branches = nn.ModuleList([near, *far])
        self.of_image = ConvUnit(inputs, outputs, one, norm="none", activation=activation)
        views = len(self.branches) + 1
        self.join = ConvUnit(views * outputs, outputs, one, norm=norm, activation=activation, dropout=dropout)

    def forward(self, maps: Tensor) -> Tensor:
        whole = self.of_image(maps.mean(tuple(range(2, maps.ndim)), keepdim=True))
        views = [branch(maps) for branch in self.branches]
        return self.join(torch.cat([*views, whole.expand(-1, -1, *maps.shape[2:])], dim=1))
