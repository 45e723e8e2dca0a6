"""DenseNet: each layer reads what all layers before it in its stage wrote.

Source: Huang et al., Densely connected convolutional networks, CVPR 2017, arXiv:1608.06993.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from overread.networks.blocks.dense_block import DenseBlock, Transition
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.pooling import GlobalAverage
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.network import ImageNetwork, keeps_small, scaled, size_of
from overread.networks.image.stems import photograph_stem


@dataclass(frozen=True)
class Depth:
    """The published shape of one DenseNet.

    layers   per dense block
    growth   maps that each layer adds
    width    channels of the stem
    is_for_small  made for images of 32 pixels: the stem always keeps the resolution
    """

    layers: tuple[int, ...]
    growth: int
    width: int
    is_for_small: bool = False


DEPTHS = {
    "densenet121": Depth((6, 12, 24, 16), 32, 64),
    "densenet40": Depth((6, 6, 6), 12, 24, is_for_small=True),  # DenseNet-BC with 40 layers
}


def make_densenet(
    name: str,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    keeps_size: bool | None = None,
    width: int,
    dropout: float = 0.0,
    norm: str = "batch",
) -> ImageNetwork:
    """A stem, dense blocks with a transition to half the maps on half the grid between them, the mean over space, a linear layer.

    keeps_size  the stem keeps the resolution; on for an image_size of 64 or fewer pixels
    width       channels of the stem; what each layer adds keeps its published proportion to it
    dropout     share of features dropped before the linear layer
    """
    depth = DEPTHS[name]
    keeps = depth.is_for_small or keeps_small(keeps_size, image_size)
    smallest = 2 ** (len(depth.layers) - 1) * (1 if keeps else 4)
    smallest = smallest if keeps else smallest - 3  # the stem rounds up twice
    size_of(image_size, dimensions, smallest, name)
    growth, inputs = scaled(depth.growth, width, depth.width), width
    stages: list[nn.Module] = [photograph_stem(in_channels, width, dimensions, keeps_size=keeps, norm=norm)]
    for number, layers in enumerate(depth.layers):
        block = DenseBlock(inputs, growth, layers, dimensions, norm=norm)
        inputs = block.outputs
        if number == len(depth.layers) - 1:
            last = nn.Sequential(make_norm(norm, inputs, dimensions, activate=False), nn.ReLU(inplace=True))
            stages += [block, last]
        else:
            stages += [nn.Sequential(block, Transition(inputs, inputs // 2, dimensions, norm=norm))]
            inputs //= 2
    head = nn.Linear(inputs, out_channels)
    network = ImageNetwork(
        name, nn.Sequential(*stages), GlobalAverage(), head, dimensions=dimensions, smallest=smallest, dropout=dropout
    )
    draw_for_rectifiers(network)
    return network
