"""LeNet-5, which read the digits on cheques.

Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, Proceedings of the IEEE
1998;86:2278, doi 10.1109/5.726791.
"""

from collections.abc import Sequence

from torch import nn

from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.convolution import CONVOLUTION
from overread.networks.blocks.pooling import average_pool
from overread.networks.image.initial import draw_for_tanh
from overread.networks.image.necks import dense_neck
from overread.networks.image.network import ImageNetwork, size_of

CHANNELS = (6, 16)
NEURONS = (120, 84)
KERNEL, GRID, SMALLEST = 5, 5, 16  # pixels, of a kernel; places before the dense layers; of an image


def make_lenet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    activation: str = "tanh",
    dropout: float = 0.0,
) -> ImageNetwork:
    """Two convolutions with averages after them, and three dense layers, published for 32 x 32 pixels.

    Images of any size from 16 pixels fit, since the maps are averaged to 5 x 5 places (27 in 3D) before the dense layers; at
    32 pixels that changes nothing. The averages have no weights of their own, every map of the second convolution reads every
    map of the first, and the answer is a dense layer, as has become usual.
    """
    size_of(image_size, dimensions, SMALLEST, "lenet")
    stages, inputs = [], in_channels
    for channels in CHANNELS:
        convolve = CONVOLUTION[dimensions](inputs, channels, KERNEL)
        stages.append(nn.Sequential(convolve, make_activation(activation), average_pool(dimensions, 2)))
        inputs = channels
    neck = dense_neck(inputs, GRID, NEURONS, dimensions, activation=activation)
    head = nn.Linear(NEURONS[-1], out_channels)
    network = ImageNetwork("lenet", nn.Sequential(*stages), neck, head, dimensions=dimensions, smallest=SMALLEST, dropout=dropout)
    draw_for_tanh(network)
    return network
