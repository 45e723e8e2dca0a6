"""VGG: nothing but convolutions of 3 pixels, two or more before each halving, as deep as could be trained in 2014.

Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015,
arXiv:1409.1556; configurations A, B, D and E of its table 1.
"""

from collections.abc import Sequence

from torch import nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.pooling import max_pool
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.necks import dense_neck
from overread.networks.image.network import ImageNetwork, scaled, size_of

DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)
WIDTH = 64  # channels of the first stage
NEURONS, GRID, SMALLEST = 4096, 7, 32


def make_vgg(
    name: str,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    width: int = WIDTH,
    norm: str = "none",
    dropout: float = 0.5,
) -> ImageNetwork:
    """Five stages of convolutions, each with a maximum over 2 pixels at its end, and three dense layers.

    width    channels of the first stage; the others and the dense layers keep their published proportion to it
    norm     "none" as published; "batch", "group" or "instance" after each convolution, with which it learns sooner
    dropout  share of neurons dropped after each hidden dense layer

    Images of any size from 32 pixels fit, since the maps are averaged to 7 x 7 places (64 in 3D) before the dense layers.
    """
    size_of(image_size, dimensions, SMALLEST, name)
    kernel = (3,) * dimensions
    stages, inputs = [], in_channels
    for published, count in zip(CHANNELS, DEPTHS[name], strict=True):
        channels = scaled(published, width, WIDTH)
        units = [ConvUnit(inputs if number == 0 else channels, channels, kernel, norm=norm) for number in range(count)]
        stages.append(nn.Sequential(*units, max_pool(dimensions, 2)))
        inputs = channels
    neurons = scaled(NEURONS, width, WIDTH)
    neck = dense_neck(inputs, GRID, (neurons, neurons), dimensions, dropouts=(0.0, dropout))
    head = nn.Linear(neurons, out_channels)
    network = ImageNetwork(name, nn.Sequential(*stages), neck, head, dimensions=dimensions, smallest=SMALLEST, dropout=dropout)
    draw_for_rectifiers(network)
    return network
