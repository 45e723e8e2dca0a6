"""The dense block: every layer reads what all layers before it wrote."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.pooling import average_pool

BOTTLENECK = 4  # the 1x1 convolution of a layer is so many times as wide as its growth


class DenseBlock(nn.Module):
    """Layers that each add a few maps to everything before them, which is handed on unchanged.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), outputs = inputs + layers * growth
    growth      maps that each layer adds
    bottleneck  each layer first narrows to bottleneck * growth maps (DenseNet-B); 0: it does not

    Source: Huang 2017 (DenseNet), arXiv:1608.06993.
    """

    def __init__(
        self,
        inputs: int,
        growth: int,
        layers: int,
        dimensions: int,
        *,
        bottleneck: int = BOTTLENECK,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.outputs = inputs + layers * growth
        one, three, narrow = (1,) * dimensions, (3,) * dimensions, bottleneck * growth
        self.layers = nn.ModuleList()
        for before in range(inputs, self.outputs, growth):
            steps = [(before, narrow, one), (narrow, growth, three)] if bottleneck else [(before, growth, three)]
            parts: list[nn.Module] = []
            for wide, after, kernel in steps:
                parts += [
                    make_norm(norm, wide, dimensions, activate=False),
                    make_activation(activation, overwrite=norm != "none"),
                ]
                parts.append(convolution(wide, after, kernel, bias=norm == "none"))
            if dropout:
                parts.append(make_dropout("elements", dropout, dimensions))
            self.layers.append(nn.Sequential(*parts))

    def forward(self, maps: Tensor) -> Tensor:
        for layer in self.layers:
            maps = torch.cat((maps, layer(maps)), dim=1)
        return maps


class Transition(nn.Sequential):
    """Between two dense blocks: fewer maps on a coarser grid. (B, inputs, [Z,] Y, X) to (B, outputs, [Z/2,] Y/2, X/2).

    size  each axis is divided by, one number or one per axis
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dimensions: int,
        *,
        size: Sequence[int] | int = 2,
        norm: str = "batch",
        activation: str = "relu",
    ) -> None:
        super().__init__(
            make_norm(norm, inputs, dimensions, activate=False),
            make_activation(activation, overwrite=norm != "none"),
            convolution(inputs, outputs, (1,) * dimensions, bias=norm == "none"),
            average_pool(dimensions, size),
        )
