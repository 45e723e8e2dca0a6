"""Between an image and a short list of numbers, its code: the two halves of an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.residual import ResidualBlock
from overread.networks.generative.steps import Steps, StepUp, step_down


class Encoder(nn.Module):
    """Steps down, each before a residual block, then a linear layer: (B, inputs, [Z,] Y, X) to (B, numbers).

    features  channels after each step
    norm      of groups of channels by default: one normalised alone would lose how bright it is
    """

    def __init__(self, inputs: int, numbers: int, steps: Steps, features: Sequence[int], norm: str) -> None:
        super().__init__()
        three = (3,) * len(steps.sizes[0])
        self.steps = nn.Sequential()
        for (before, after), stride in zip(pairwise((inputs, *features)), steps.strides, strict=True):
            self.steps.append(step_down(before, after, stride, norm))
            self.steps.append(ResidualBlock(after, after, three, norm=norm))
        self.code = nn.Linear(features[-1] * prod(steps.sizes[-1]), numbers)
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.code(self.steps(images).flatten(1))


class Decoder(nn.Module):
    """A linear layer that lays out the smallest maps, then steps up, each after a residual block.

    (B, numbers) to (B, outputs, [Z,] Y, X)
    """

    def __init__(self, numbers: int, outputs: int, steps: Steps, features: Sequence[int], norm: str) -> None:
        super().__init__()
        self.sizes, dimensions = steps.sizes, len(steps.sizes[0])
        self.first = nn.Linear(numbers, features[-1] * prod(steps.sizes[-1]))
        self.blocks, self.ups, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        widths = (features[0], *features)
        for step in reversed(range(len(features))):
            before, after = widths[step + 1], widths[step]
            self.blocks.append(ResidualBlock(before, before, (3,) * dimensions, norm=norm))
            self.ups.append(StepUp(before, after, steps.strides[step]))
            self.norms.append(make_norm(norm, after, dimensions, activate=True))
        self.last = convolution(features[0], outputs, (3,) * dimensions)
        he_initialise(self)

    def forward(self, codes: Tensor) -> Tensor:
        maps = self.first(codes).unflatten(1, (-1, *self.sizes[-1]))
        for block, up, norm, size in zip(self.blocks, self.ups, self.norms, reversed(self.sizes[:-1]), strict=True):
            maps = norm(up(block(maps), size))
        return self.last(maps)
