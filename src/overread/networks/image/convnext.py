"""ConvNeXt: a network of convolutions with what was learned from transformers.

Source: Liu et al., A ConvNet for the 2020s, CVPR 2022, arXiv:2201.03545; in 3D compare Roy et al., MedNeXt, MICCAI 2023,
arXiv:2303.09975.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from overread.networks.blocks.convolution import CONVOLUTION, convolution
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.pooling import GlobalAverage
from overread.networks.image.initial import draw_for_transformer
from overread.networks.image.network import ImageNetwork, size_of

BLOCKS = (3, 3, 9, 3)  # per stage of the tiny one
WIDTH = 96  # channels of the first stage; each further stage has twice as many
PATCH = 4  # pixels along an axis that the stem makes into one place
KERNEL, RATIO = 7, 4
SMALL_START = 1e-6  # of the learned scale of each branch
PATH = 0.1  # share of images for which the last block is left out while learning; earlier ones less
SMALLEST = PATCH * 2 ** (len(BLOCKS) - 1)


class ConvNeXtBlock(nn.Module):
    """Each channel by itself in space, with a wide kernel; then two layers at each place; beside a shortcut.

    (B, width, [Z,] Y, X) to the same shape
    layer_scale  per channel, learned, nearly 0 at first, so that a deep network starts as a shallow one
    path         share of images for which the branch is left out while learning
    """

    def __init__(self, width: int, dimensions: int, path: float) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((width, *(1,) * dimensions), SMALL_START))
        one = (1,) * dimensions
        self.in_space = convolution(width, width, (KERNEL,) * dimensions, groups=width)
        self.norm = make_norm("layer", width, dimensions, activate=False)
        self.across = nn.Sequential(convolution(width, RATIO * width, one), nn.GELU(), convolution(RATIO * width, width, one))
        self.path = make_dropout("path", path, dimensions)

    def forward(self, maps: Tensor) -> Tensor:
        branch = self.across(self.norm(self.in_space(maps))) * self.layer_scale
        return maps + self.path(branch)


def make_convnext_tiny(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    image_size: Sequence[int] | None = None,
    width: int = WIDTH,
    dropout: float = 0.0,
) -> ImageNetwork:
    """Patches, four stages of blocks, each on half the grid with twice the channels, the mean over space, one linear layer.

    width    channels of the first stage; each further stage has twice as many
    dropout  share of features dropped before the linear layer

    Images of any size from 32 pixels fit; pixels beyond a multiple of 32 at the end of an axis may not be seen.
    """
    size_of(image_size, dimensions, SMALLEST, "convnext_tiny")
    inputs, done = width, 0
    patches = CONVOLUTION[dimensions](in_channels, width, PATCH, PATCH)
    stages: list[nn.Module] = [nn.Sequential(patches, make_norm("layer", width, dimensions, activate=False))]
    for stage, count in enumerate(BLOCKS):
        own = width * 2**stage
        layers: list[nn.Module] = []
        if stage > 0:
            layers += [make_norm("layer", inputs, dimensions, activate=False), CONVOLUTION[dimensions](inputs, own, 2, 2)]
        for _ in range(count):
            layers.append(ConvNeXtBlock(own, dimensions, PATH * done / (sum(BLOCKS) - 1)))
            done += 1
        stages.append(nn.Sequential(*layers))
        inputs = own
    neck = nn.Sequential(GlobalAverage(), nn.LayerNorm(inputs))
    head = nn.Linear(inputs, out_channels)
    network = ImageNetwork(
        "convnext_tiny", nn.Sequential(*stages), neck, head, dimensions=dimensions, smallest=SMALLEST, dropout=dropout
    )
    draw_for_transformer(network)
    return network
