"""The encoder of the U-Net, decoded up to a coarser grid: what a detector reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from math import prod

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import ConvBlock
from overread.networks.blocks.upsampling import Upsample
from overread.networks.fit import refuse_indivisible


class Pyramid(nn.Module):
    """A U-Net without the finest stages of its decoder, which cost most and which no box needs.

    features, kernels, strides  per stage, as in `UNet`;  coarsest  largest stride of the answer along each axis, in voxels
    stride   of the answer along each axis: that of the coarsest stage within `coarsest`
    width    channels of the answer
    Stages finer than the answer have one convolution, the others two.
    """

    def __init__(
        self,
        in_channels: int,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        coarsest: Sequence[int],
        norm: str = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        reached = list(accumulate(strides, lambda a, b: tuple(x * y for x, y in zip(a, b, strict=True))))
        self.level = max(k for k, steps in enumerate(reached) if _within(steps, coarsest) or k == 0)
        self.stride: tuple[int, ...] = tuple(reached[self.level])
        self.divisor = tuple(prod(axis) for axis in zip(*strides, strict=True))
        self.width = features[self.level]
        self.encoder, self.upsample, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = in_channels
        block = partial(ConvBlock, norm=norm, dropout=dropout)
        for stage, width in enumerate(features):
            blocks = [block(before, width, kernels[stage], strides[stage])]
            if stage >= self.level:
                blocks.append(block(width, width, kernels[stage]))
            self.encoder.append(nn.Sequential(*blocks))
            before = width
        for stage in reversed(range(self.level, len(features) - 1)):  # from the bottleneck up
            width = features[stage]
            self.upsample.append(Upsample(features[stage + 1], width, strides[stage + 1]))
            self.decoder.append(block(2 * width, width, kernels[stage]))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) to (B, width, [Z,] Y, X divided by the stride)."""
        *skips, maps = self.encode(images)
        for upsample, stage, skip in zip(self.upsample, self.decoder, reversed(skips[self.level :]), strict=True):
            maps = stage(upsample(maps), skip)
        return maps

    def encode(self, images: Tensor) -> list[Tensor]:
        """The maps of every stage, finest first."""
        size = tuple(images.shape[2:])
        refuse_indivisible(size, self.divisor, "this detector")
        if all(voxels == by for voxels, by in zip(size, self.divisor, strict=True)):
            raise OverreadError(
                f"an image of {size} leaves one voxel at the bottom of this detector (strides multiply to {self.divisor})",
                next="pad the image, or plan fewer stages",
            )
        maps, stages = images, []
        for stage in self.encoder:
            maps = stage(maps)
            stages.append(maps)
        return stages


def _within(steps: Sequence[int], coarsest: Sequence[int]) -> bool:
    return all(step <= most for step, most in zip(steps, coarsest, strict=True))
