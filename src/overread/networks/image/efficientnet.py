"""EfficientNet: one small searched network, made larger in depth, width and resolution together.

Source: Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, ICML 2019, arXiv:1905.11946.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from torch import nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.inverted import InvertedResidual
from overread.networks.blocks.pooling import GlobalAverage
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.mobilenet import in_eights
from overread.networks.image.network import ImageNetwork, keeps_small, size_of

# Of each stage of B0: how much wider inside, kernel, channels, blocks, step of the first
STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
STEM = 32  # channels
LAST = 4  # so many times the channels of the last stage before the mean over space
SQUEEZE = 0.25  # of a block's inputs
PATH = 0.2  # share of images for which the last block is left out while learning; earlier ones less


@dataclass(frozen=True)
class Scaling:
    """How much larger than B0; the resolution is the published one, and images of any size fit.

    width, depth  factors of channels and of blocks
    dropout       share of features dropped before the linear layer
    resolution    pixels along an edge of the photographs that it was tuned for
    """

    width: float
    depth: float
    dropout: float
    resolution: int


SCALINGS = {
    "efficientnet_b0": Scaling(1.0, 1.0, 0.2, 224),
    "efficientnet_b1": Scaling(1.0, 1.1, 0.2, 240),
    "efficientnet_b2": Scaling(1.1, 1.2, 0.3, 260),
    "efficientnet_b3": Scaling(1.2, 1.4, 0.3, 300),
}


def make_efficientnet(
    name: str,
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    keeps_size: bool | None = None,
    multiplier: float = 1.0,
    dropout: float | None = None,
    norm: str = "batch",
) -> ImageNetwork:
    """Inverted residuals with squeeze and excitation in seven stages, the mean over space, one linear layer.

    keeps_size  the first convolution keeps the resolution; on for an image_size of 64 or fewer pixels
    multiplier  of all channels beside the published factor
    dropout     share of features dropped before the linear layer; as published where not given
    """
    scaling = SCALINGS[name]
    size = size_of(image_size, dimensions, 1, name)
    wider = scaling.width * multiplier
    style: dict[str, Any] = {"norm": norm, "activation": "silu"}
    inputs, first = in_eights(STEM * wider), 1 if keeps_small(keeps_size, size) else 2
    stages: list[nn.Module] = [ConvUnit(in_channels, inputs, (3,) * dimensions, first, **style)]
    counts = [ceil(count * scaling.depth) for *_, count, _ in STAGES]
    done = 0
    for (expand, kernel, channels, _, step), count in zip(STAGES, counts, strict=True):
        outputs, blocks = in_eights(channels * wider), []
        for number in range(count):
            path = PATH * done / sum(counts)
            shape = (inputs, outputs, dimensions, step if number == 0 else 1)
            blocks.append(InvertedResidual(*shape, expand=expand, kernel=kernel, squeeze=SQUEEZE, path=path, **style))
            inputs, done = outputs, done + 1
        stages.append(nn.Sequential(*blocks))
    stages.append(ConvUnit(inputs, LAST * inputs, (1,) * dimensions, **style))
    head = nn.Linear(LAST * inputs, out_channels)
    rate = scaling.dropout if dropout is None else dropout
    network = ImageNetwork(name, nn.Sequential(*stages), GlobalAverage(), head, dimensions=dimensions, dropout=rate)
    draw_for_rectifiers(network)
    return network
