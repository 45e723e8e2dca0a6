"""The first stage of networks made for photographs: it looks wide and halves twice, unless images are small."""

from torch import nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.pooling import max_pool


def photograph_stem(
    in_channels: int, width: int, dimensions: int, *, keeps_size: bool, norm: str = "batch", activation: str = "relu"
) -> nn.Sequential:
    """A convolution of 7 pixels with a step of 2 and a maximum with a step of 2; or a convolution of 3 pixels alone.

    keeps_size  the second, as for the 32 pixels of CIFAR

    Source: He et al., Deep residual learning, CVPR 2016, arXiv:1512.03385, sections 4.1 and 4.2.
    """
    size, stride = (3, 1) if keeps_size else (7, 2)
    unit = ConvUnit(in_channels, width, (size,) * dimensions, stride, norm=norm, activation=activation)
    return nn.Sequential(unit) if keeps_size else nn.Sequential(unit, max_pool(dimensions, 3, 2, 1))
