"""GoogLeNet: filters of several sizes side by side, which won the ImageNet contest of 2014.

Sources: Szegedy et al., Going deeper with convolutions, CVPR 2015, arXiv:1409.4842, table 1; Ioffe and Szegedy, Batch
normalization, ICML 2015, arXiv:1502.03167.
"""

from collections.abc import Sequence

from torch import nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.inception import InceptionBlock
from overread.networks.blocks.pooling import GlobalAverage
from overread.networks.image.initial import draw_for_rectifiers
from overread.networks.image.network import ImageNetwork, keeps_small, scaled, size_of

WIDTH = 64  # channels of the first convolution
SMALLEST = {True: 4, False: 15}  # pixels, whether the stem keeps the resolution
# Of each inception block: 1x1, before 3x3, 3x3, before 5x5, 5x5, after pooling
STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


def make_googlenet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    keeps_size: bool | None = None,
    width: int = WIDTH,
    dropout: float = 0.4,
    norm: str = "batch",
) -> ImageNetwork:
    """Nine inception blocks with batch normalisation, without the two answers half-way up, which it makes needless.

    keeps_size  the first convolution keeps the resolution; on for an image_size of 64 or fewer pixels
    width       channels of the first convolution; all others keep their published proportion to it
    dropout     share of features dropped before the linear layer
    """
    keeps = keeps_small(keeps_size, image_size)
    size_of(image_size, dimensions, SMALLEST[keeps], "googlenet")
    stages: list[nn.Module] = [_stem(in_channels, width, dimensions, norm, keeps)]
    inputs = scaled(192, width, WIDTH)
    for number, rows in enumerate(STAGES):
        blocks: list[nn.Module] = []
        for row in rows:
            one, before_three, three, before_five, five, pool = (scaled(published, width, WIDTH) for published in row)
            block = InceptionBlock(inputs, one, (before_three, three), (before_five, five), pool, dimensions, norm=norm)
            blocks.append(block)
            inputs = block.outputs
        if number < len(STAGES) - 1:
            blocks.append(_halve(dimensions, 3 if number == 0 else 2))
        stages.append(nn.Sequential(*blocks))
    head = nn.Linear(inputs, out_channels)
    network = ImageNetwork(
        "googlenet",
        nn.Sequential(*stages),
        GlobalAverage(),
        head,
        dimensions=dimensions,
        smallest=SMALLEST[keeps],
        dropout=dropout,
    )
    draw_for_rectifiers(network)
    return network


def _stem(in_channels: int, width: int, dimensions: int, norm: str, keeps_size: bool) -> nn.Sequential:
    one, three = (1,) * dimensions, (3,) * dimensions
    if keeps_size:
        first: list[nn.Module] = [ConvUnit(in_channels, width, three, norm=norm)]
    else:
        first = [ConvUnit(in_channels, width, (7,) * dimensions, 2, norm=norm), _halve(dimensions, 3)]
    wide = ConvUnit(width, scaled(192, width, WIDTH), three, norm=norm)
    return nn.Sequential(*first, ConvUnit(width, width, one, norm=norm), wide, _halve(dimensions, 3))


def _halve(dimensions: int, size: int) -> nn.Module:
    """The largest of 2 or 3 pixels with a step of 2; what is left over at the end of an axis counts too."""
    kind = nn.MaxPool2d if dimensions == 2 else nn.MaxPool3d
    return kind(size, 2, ceil_mode=True)
