"""The network of style: two steps down, residual blocks, two steps up, so that what lies where stays and how it looks changes.

Sources: Johnson 2016, arXiv:1603.08155; as the maker of CycleGAN: Zhu 2017, arXiv:1703.10593, section 7.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.residual import PreActivationBlock
from overread.networks.generative.steps import StepUp, kernel_of

NORM = "instance"
ENTRY = 7  # edge of the first and the last kernel
STEPS = 2


class Translator(nn.Module):
    """(B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), of any size that its steps leave a few places of.

    strides   of the steps, 2 or 1 along each axis
    features  channels at full resolution, doubled at each step
    blocks    residual blocks at the coarsest resolution; 6 for images of 128, 9 for larger ones in the paper

    As in the paper nothing bends the shortcut of a block; ours normalises before each convolution (He 2016, arXiv:1603.05027).
    It pads with zeros where the paper mirrors, and ends without the tanh of images between -1 and 1.
    """

    def __init__(self, inputs: int, outputs: int, strides: Sequence[Sequence[int]], features: int, blocks: int) -> None:
        super().__init__()
        dimensions = len(strides[0])
        entry = (ENTRY,) * dimensions
        widths = [features * 2**step for step in range(len(strides) + 1)]
        self.entry = ConvUnit(inputs, features, entry, norm=NORM)
        self.downs = nn.ModuleList()
        for (before, after), stride in zip(pairwise(widths), strides, strict=True):
            self.downs.append(ConvUnit(before, after, kernel_of(stride), stride, norm=NORM))
        self.blocks = nn.Sequential(*(PreActivationBlock(widths[-1], widths[-1], dimensions, norm=NORM) for _ in range(blocks)))
        self.after_blocks = make_norm(NORM, widths[-1], dimensions, activate=False)
        self.ups, self.norms = nn.ModuleList(), nn.ModuleList()
        for (after, before), stride in zip(reversed(list(pairwise(widths))), reversed(strides), strict=True):
            self.ups.append(StepUp(before, after, stride))
            self.norms.append(make_norm(NORM, after, dimensions, activate=False))
        self.last = convolution(features, outputs, entry)

    def forward(self, images: Tensor) -> Tensor:
        maps, sizes = self.encode(images)
        for up, norm, size in zip(self.ups, self.norms, reversed(sizes), strict=True):
            maps = nn.functional.relu(norm(up(maps, size)))
        return self.last(maps)

    def encode(self, images: Tensor) -> tuple[Tensor, list[torch.Size]]:
        """The maps after the residual blocks, and the sizes of those before each step down."""
        maps, sizes = self.entry(images), []
        for down in self.downs:
            sizes.append(maps.shape[2:])
            maps = down(maps)
        return nn.functional.relu(self.after_blocks(self.blocks(maps))), sizes
