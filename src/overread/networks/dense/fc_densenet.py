"""The fully convolutional DenseNet, also called the one hundred layers tiramisu, in 2D and 3D.

Source: Jegou et al., The one hundred layers tiramisu, CVPR workshops 2017, arXiv:1611.09326.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.convolution import CHANNEL_DROPOUT, convolution
from overread.networks.blocks.dense_block import DenseBlock
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.pooling import max_pool
from overread.networks.blocks.upsampling import TRANSPOSED
from overread.networks.dense.one_scale import OneScale
from overread.networks.dense.u_shape import refuse_unfit_size

LAYERS = {56: (4, 4, 4, 4, 4, 4), 67: (5, 5, 5, 5, 5, 5), 103: (4, 5, 7, 10, 12, 15)}  # the last is the bottleneck's
GROWTH = 16
ENTRY = 48
DROPOUT = 0.2


class FCDenseNet(OneScale):
    """Dense blocks on the way down and up; on the way up only what a block adds is handed on, or the maps would explode.

    layers  per dense block on the way down, the bottleneck last; the way up mirrors it
    growth  maps that each layer adds;  entry  maps of the first convolution
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        layers: Sequence[int],
        *,
        growth: int = GROWTH,
        entry: int = ENTRY,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        if len(layers) < 2:
            raise OverreadError(
                f"a Tiramisu needs two dense blocks or more, the bottleneck among them; got layers = {list(layers)}"
            )
        self.dimensions, self.divisor = dimensions, (2 ** (len(layers) - 1),) * dimensions
        three = (3,) * dimensions
        style: dict[str, Any] = {"norm": norm, "activation": activation, "dropout": dropout}
        *down, bottom = layers
        self.entry = convolution(in_channels, entry, three)
        self.blocks, self.downs, self.ups, self.up_blocks = (nn.ModuleList() for _ in range(4))
        width, skips = entry, []
        for count in down:
            self.blocks.append(DenseBlock(width, growth, count, dimensions, bottleneck=0, **style))
            width += count * growth
            skips.append(width)
            self.downs.append(_TransitionDown(width, dimensions, **style))
        self.bottom = DenseBlock(width, growth, bottom, dimensions, bottleneck=0, **style)
        added = bottom * growth
        for count, skip in zip(reversed(down), reversed(skips), strict=True):
            up: Any = TRANSPOSED[dimensions]
            self.ups.append(up(added, added, 3, 2, padding=1, output_padding=1))
            self.up_blocks.append(DenseBlock(added + skip, growth, count, dimensions, bottleneck=0, **style))
            width, added = added + skip + count * growth, count * growth
        self.head = convolution(width, out_channels, (1,) * dimensions)
        he_initialise(self, slope=0.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits at full resolution: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        *skips, maps = self.encode(images)
        whole = self.bottom(maps)
        for up, block, skip in zip(self.ups, self.up_blocks, reversed(skips), strict=True):
            added = whole[:, maps.shape[1] :]
            maps = torch.cat((up(added), skip), dim=1)
            whole = block(maps)
        return self.head(whole)

    def encode(self, images: Tensor) -> list[Tensor]:
        """The maps of every dense block on the way down, and what the bottleneck reads."""
        refuse_unfit_size(images.shape[2:], self.divisor, "Tiramisu")
        maps, skips = self.entry(images), []
        for block, down in zip(self.blocks, self.downs, strict=True):
            skips.append(block(maps))
            maps = down(skips[-1])
        return [*skips, maps]


class _TransitionDown(nn.Sequential):
    """Normalisation, activation, 1x1 convolution, dropout, and the larger of each 2x2(x2)."""

    def __init__(self, width: int, dimensions: int, *, norm: str, activation: str, dropout: float) -> None:
        super().__init__(
            make_norm(norm, width, dimensions, activate=False),
            make_activation(activation, overwrite=norm != "none"),
            convolution(width, width, (1,) * dimensions),
            CHANNEL_DROPOUT[dimensions](dropout),
            max_pool(dimensions, 2),
        )


def _layers_of(depth: int, layers: Any) -> Sequence[int]:
    if layers is None and depth not in LAYERS:
        known = ", ".join(map(str, LAYERS))
        raise OverreadError(f"no Tiramisu was published with {depth} layers", next=f"set depth to one of {known}, or give layers")
    return LAYERS[depth] if layers is None else layers


def divisor_of_layers(dimensions: int, options: Mapping[str, Any]) -> tuple[int, ...]:
    """To what each axis of an image must be a multiple of: 2 for each step down."""
    return (2 ** (len(_layers_of(options.get("depth", 56), options.get("layers"))) - 1),) * dimensions


def build_fc_densenet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    depth: int = 56,
    layers: Any = None,
    growth: int | None = None,
    entry: int = ENTRY,
    norm: str = "batch",
    activation: str = "relu",
    dropout: float = DROPOUT,
) -> FCDenseNet:
    """FC-DenseNet56 (growth 12), 67 or 103 (growth 16) by depth, or with layers per block of one's own."""
    counts = _layers_of(depth, layers)
    rate = growth or (12 if layers is None and depth == 56 else GROWTH)
    style: dict[str, Any] = {"norm": norm, "activation": activation, "dropout": dropout}
    return FCDenseNet(in_channels, out_channels, dimensions, counts, growth=rate, entry=entry, **style)
