"""The relatives of the ResNet: without shortcuts, with nothing on the shortcut, in groups, with attention.

Sources: He et al., Deep residual learning, 2016, arXiv:1512.03385 (plain networks: section 4.1); He et al., Identity mappings in
deep residual networks, 2016, arXiv:1603.05027; Xie et al., ResNeXt, 2017, arXiv:1611.05431; Hu et al., Squeeze-and-excitation
networks, 2018, arXiv:1709.01507; Woo et al., CBAM, 2018, arXiv:1807.06521.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Literal

from torch import nn

from overread.networks.blocks.channel_attention import channels_then_places
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.pooling import GlobalAverage, max_pool
from overread.networks.blocks.residual import BasicBlock, Bottleneck, PreActivationBlock
from overread.networks.blocks.squeeze_excitation import SqueezeExcitation
from overread.networks.image.network import ImageNetwork, keeps_small, size_of
from overread.networks.image.stems import photograph_stem

WIDTH = 64  # channels of the first stage; each further stage has twice as many
EXPANSION = 4  # a bottleneck answers with so many times the channels of its stage
GROUPS = 32  # of ResNeXt, which is twice as wide inside

MakeBlock = Callable[[int, int, int, int, str], nn.Module]  # inputs, width of the stage, dimensions, stride, norm


@dataclass(frozen=True)
class Relative:
    """How a relative of the ResNet differs.

    blocks     per stage
    block      makes one
    expansion  channels of a block's answer, in widths of its stage
    is_bent_late  normalisation and activation come before each convolution, so none after the stem and both after the last block
    draws      mode of `he_initialise`; a plain twin draws as its ResNet does, so that the shortcuts alone tell them apart
    """

    blocks: tuple[int, ...]
    block: MakeBlock
    expansion: int = 1
    is_bent_late: bool = False
    draws: Literal["fan_in", "fan_out"] = "fan_in"


def _plain(inputs: int, width: int, dimensions: int, stride: int, norm: str) -> nn.Module:
    """Two convolutions and nothing beside them."""
    three = (3,) * dimensions
    return nn.Sequential(ConvUnit(inputs, width, three, stride, norm=norm), ConvUnit(width, width, three, norm=norm))


def _bent_before(inputs: int, width: int, dimensions: int, stride: int, norm: str) -> nn.Module:
    return PreActivationBlock(inputs, width, dimensions, stride, norm=norm)


def _in_groups(inputs: int, width: int, dimensions: int, stride: int, norm: str) -> nn.Module:
    inner = 2 * width
    return Bottleneck(inputs, inner, EXPANSION * width, dimensions, stride, groups=gcd(GROUPS, inner), norm=norm)


def _squeezed(inputs: int, width: int, dimensions: int, stride: int, norm: str) -> nn.Module:
    return BasicBlock(inputs, width, dimensions, stride, norm=norm, attention=SqueezeExcitation(width, dimensions))


def _squeezed_bottleneck(inputs: int, width: int, dimensions: int, stride: int, norm: str) -> nn.Module:
    attention = SqueezeExcitation(EXPANSION * width, dimensions)
    return Bottleneck(inputs, width, EXPANSION * width, dimensions, stride, norm=norm, attention=attention)


def _attentive(inputs: int, width: int, dimensions: int, stride: int, norm: str) -> nn.Module:
    return BasicBlock(inputs, width, dimensions, stride, norm=norm, attention=channels_then_places(width, dimensions))


_EIGHTEEN, _THIRTY_FOUR = (2, 2, 2, 2), (3, 4, 6, 3)  # the latter with bottlenecks makes 50 layers
RELATIVES = {
    "plain18": Relative(_EIGHTEEN, _plain, draws="fan_out"),
    "plain34": Relative(_THIRTY_FOUR, _plain, draws="fan_out"),
    "resnet18_preactivation": Relative(_EIGHTEEN, _bent_before, is_bent_late=True),
    "resnext50": Relative(_THIRTY_FOUR, _in_groups, EXPANSION),
    "se_resnet18": Relative(_EIGHTEEN, _squeezed),
    "se_resnet50": Relative(_THIRTY_FOUR, _squeezed_bottleneck, EXPANSION),
    "cbam_resnet18": Relative(_EIGHTEEN, _attentive),
}


def make_relative(
    name: str,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    keeps_size: bool | None = None,
    width: int = WIDTH,
    dropout: float = 0.0,
    norm: str = "batch",
) -> ImageNetwork:
    """A stem, four stages of blocks, the mean over space, one linear layer; images of any size fit.

    keeps_size  the stem keeps the resolution; on for an image_size of 64 or fewer pixels
    width       channels of the first stage; each further stage has twice as many
    dropout     share of features dropped before the linear layer
    norm        of `blocks.norms.NORMS`
    """
    relative = RELATIVES[name]
    size = size_of(image_size, dimensions, 1, name)
    keeps = keeps_small(keeps_size, size)
    stem = (
        _bare_stem(in_channels, width, dimensions, keeps)
        if relative.is_bent_late
        else photograph_stem(in_channels, width, dimensions, keeps_size=keeps, norm=norm)
    )
    stages: list[nn.Module] = [stem]
    inputs = width
    for stage, count in enumerate(relative.blocks):
        own, blocks = width * 2**stage, []
        for number in range(count):
            stride = 2 if stage > 0 and number == 0 else 1
            blocks.append(relative.block(inputs, own, dimensions, stride, norm))
            inputs = own * relative.expansion
        stages.append(nn.Sequential(*blocks))
    if relative.is_bent_late:
        stages.append(nn.Sequential(make_norm(norm, inputs, dimensions, activate=False), nn.ReLU(inplace=True)))
    head = nn.Linear(inputs, out_channels)
    network = ImageNetwork(name, nn.Sequential(*stages), GlobalAverage(), head, dimensions=dimensions, dropout=dropout)
    he_initialise(network, slope=0.0, mode=relative.draws)
    return network


def _bare_stem(in_channels: int, width: int, dimensions: int, keeps_size: bool) -> nn.Sequential:
    """The stem without normalisation and activation, which the first block brings."""
    size, stride = (3, 1) if keeps_size else (7, 2)
    convolve = convolution(in_channels, width, (size,) * dimensions, stride, bias=False)
    return nn.Sequential(convolve) if keeps_size else nn.Sequential(convolve, max_pool(dimensions, 3, 2, 1))
