"""The inception block: small and large filters look side by side, and their answers lie one behind the other."""

import torch
from torch import Tensor, nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.pooling import max_pool


class InceptionBlock(nn.Module):
    """Four branches: 1x1; 1x1 then 3x3; 1x1 then 5x5; largest of 3x3 then 1x1. The 1x1 convolutions keep the wide ones cheap.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), outputs = one + three[1] + five[1] + pool

    one, pool    channels of the first and the last branch
    three, five  channels of the 1x1 convolution and of the wide one behind it

    Source: Szegedy 2015 (GoogLeNet), arXiv:1409.4842; with batch normalisation as in Ioffe 2015.
    """

    def __init__(
        self,
        inputs: int,
        one: int,
        three: tuple[int, int],
        five: tuple[int, int],
        pool: int,
        dimensions: int,
        *,
        norm: str = "batch",
        activation: str = "relu",
    ) -> None:
        super().__init__()

        def unit(before: int, after: int, size: int) -> ConvUnit:
            return ConvUnit(before, after, (size,) * dimensions, norm=norm, activation=activation)

        self.outputs = one + three[1] + five[1] + pool
        self.branches = nn.ModuleList(
            [
                unit(inputs, one, 1),
                nn.Sequential(unit(inputs, three[0], 1), unit(*three, 3)),
                nn.Sequential(unit(inputs, five[0], 1), unit(*five, 5)),
                nn.Sequential(max_pool(dimensions, 3, 1, 1), unit(inputs, pool, 1)),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)
