"""MobileNets, made for telephones: wide and cheap inside each block, narrow between blocks.

Sources: Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381, table 2; Howard et al., Searching for MobileNetV3, ICCV 2019,
arXiv:1905.02244, table 2.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.inverted import InvertedResidual
from overread.networks.blocks.pooling import GlobalAverage
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.network import ImageNetwork, keeps_small, size_of

# Of each stage: how much wider inside, channels, blocks, step of the first
STAGES_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM_V2, LAST_V2 = 32, 1280  # channels

# Of each block: kernel, channels inside, channels, squeeze and excitation, activation, step
BLOCKS_V3_SMALL = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hardswish", 2),
    (5, 240, 40, True, "hardswish", 1),
    (5, 240, 40, True, "hardswish", 1),
    (5, 120, 48, True, "hardswish", 1),
    (5, 144, 48, True, "hardswish", 1),
    (5, 288, 96, True, "hardswish", 2),
    (5, 576, 96, True, "hardswish", 1),
    (5, 576, 96, True, "hardswish", 1),
)
STEM_V3, LAST_V3, NEURONS_V3 = 16, 576, 1024


def in_eights(channels: float) -> int:
    """The nearest multiple of 8, which processors like, but not a tenth fewer; 8 at least."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def make_mobilenet_v2(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    keeps_size: bool | None = None,
    multiplier: float = 1.0,
    dropout: float = 0.2,
    norm: str = "batch",
) -> ImageNetwork:
    """Seventeen inverted residuals between two convolutions, the mean over space, one linear layer; images of any size fit.

    keeps_size  the first convolution keeps the resolution; on for an image_size of 64 or fewer pixels
    multiplier  of all channels but the last 1280, which only grow; published from 0.35 to 1.4
    """
    size = size_of(image_size, dimensions, 1, "mobilenet_v2")
    style: dict[str, Any] = {"norm": norm, "activation": "relu6"}
    inputs, three, one = in_eights(STEM_V2 * multiplier), (3,) * dimensions, (1,) * dimensions
    first = 1 if keeps_small(keeps_size, size) else 2
    stages: list[nn.Module] = [ConvUnit(in_channels, inputs, three, first, **style)]
    for expand, channels, count, step in STAGES_V2:
        outputs, blocks = in_eights(channels * multiplier), []
        for number in range(count):
            stride = step if number == 0 else 1
            blocks.append(InvertedResidual(inputs, outputs, dimensions, stride, expand=expand, **style))
            inputs = outputs
        stages.append(nn.Sequential(*blocks))
    last = in_eights(LAST_V2 * max(1.0, multiplier))
    stages.append(ConvUnit(inputs, last, one, **style))
    head = nn.Linear(last, out_channels)
    network = ImageNetwork("mobilenet_v2", nn.Sequential(*stages), GlobalAverage(), head, dimensions=dimensions, dropout=dropout)
    draw_for_rectifiers(network)
    return network


def make_mobilenet_v3_small(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    keeps_size: bool | None = None,
    multiplier: float = 1.0,
    dropout: float = 0.2,
    norm: str = "batch",
) -> ImageNetwork:
    """Eleven searched inverted residuals, most with squeeze and excitation; one dense layer after the mean over space.

    keeps_size  the first convolution keeps the resolution; on for an image_size of 64 or fewer pixels
    multiplier  of all channels and of the dense layer's neurons; published from 0.35 to 1.25
    """
    size = size_of(image_size, dimensions, 1, "mobilenet_v3_small")
    inputs, one = in_eights(STEM_V3 * multiplier), (1,) * dimensions
    first = 1 if keeps_small(keeps_size, size) else 2
    stages: list[nn.Module] = [ConvUnit(in_channels, inputs, (3,) * dimensions, first, norm=norm, activation="hardswish")]
    for kernel, inside, channels, is_squeezed, activation, stride in BLOCKS_V3_SMALL:
        wide, outputs = in_eights(inside * multiplier), in_eights(channels * multiplier)
        block = InvertedResidual(
            inputs,
            outputs,
            dimensions,
            stride,
            expand=wide / inputs,
            kernel=kernel,
            squeeze=in_eights(wide // 4) / inputs if is_squeezed else 0.0,
            norm=norm,
            activation=activation,
            squeeze_activation="relu",
            gate="hardsigmoid",
        )
        stages.append(block)
        inputs = outputs
    last, neurons = in_eights(LAST_V3 * multiplier), in_eights(NEURONS_V3 * multiplier)
    stages.append(ConvUnit(inputs, last, one, norm=norm, activation="hardswish"))
    neck = nn.Sequential(GlobalAverage(), nn.Linear(last, neurons), nn.Hardswish())
    head = nn.Linear(neurons, out_channels)
    network = ImageNetwork("mobilenet_v3_small", nn.Sequential(*stages), neck, head, dimensions=dimensions, dropout=dropout)
    draw_for_rectifiers(network)
    return network
