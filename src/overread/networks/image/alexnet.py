"""AlexNet, which won the ImageNet contest of 2012.

Sources: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NeurIPS 2012,
doi 10.1145/3065386; channels as in Krizhevsky, One weird trick, 2014, arXiv:1404.5997, which has one tower and no local
response normalisation.
"""

from collections.abc import Sequence

from torch import nn

from overread.networks.blocks.convolution import CONVOLUTION
from overread.networks.blocks.pooling import max_pool
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.necks import dense_neck
from overread.networks.image.network import ImageNetwork, scaled, size_of

WIDTH = 64  # channels of the first convolution
LAYERS = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))  # channels, kernel, stride, padding
POOLED = (0, 1, 4)  # layers after which the maps are pooled
NEURONS, GRID, SMALLEST = 4096, 6, 63


def make_alexnet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    width: int = WIDTH,
    dropout: float = 0.5,
) -> ImageNetwork:
    """Five convolutions, the first of 11 pixels with a step of 4, and three dense layers.

    width    channels of the first convolution; the others and the dense layers keep their published proportion to it
    dropout  share of values dropped before each dense layer but the first, half of them as published, and before the first

    Images of any size from 63 pixels fit, since the maps are averaged to 6 x 6 places (27 in 3D) before the dense layers.
    """
    size_of(image_size, dimensions, SMALLEST, "alexnet")
    stages, inputs = [], in_channels
    for number, (published, kernel, stride, padding) in enumerate(LAYERS):
        channels = scaled(published, width, WIDTH)
        stage = [CONVOLUTION[dimensions](inputs, channels, kernel, stride, padding), nn.ReLU(inplace=True)]
        stages.append(nn.Sequential(*stage, *([max_pool(dimensions, 3, 2)] if number in POOLED else [])))
        inputs = channels
    neurons = scaled(NEURONS, width, WIDTH)
    neck = dense_neck(inputs, GRID, (neurons, neurons), dimensions, dropouts=(dropout, dropout))
    head = nn.Linear(neurons, out_channels)
    network = ImageNetwork("alexnet", nn.Sequential(*stages), neck, head, dimensions=dimensions, smallest=SMALLEST)
    draw_for_rectifiers(network)
    return network
