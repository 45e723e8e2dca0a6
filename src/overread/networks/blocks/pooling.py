"""Pooling: a neighbourhood, or the whole image, summarised in one number per channel."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.conv_unit import ConvUnit

LINEAR = {4: "bilinear", 5: "trilinear"}  # interpolation of maps with so many axes
Size = int | Sequence[int]
_ADAPTIVE: dict[int, Any] = {4: functional.adaptive_avg_pool2d, 5: functional.adaptive_avg_pool3d}


def max_pool(dimensions: int, size: Size, stride: Size | None = None, padding: Size = 0) -> nn.MaxPool2d | nn.MaxPool3d:
    """The largest value of each neighbourhood. Source: Ranzato 2007; Krizhevsky 2012 (overlapping: stride below size)."""
    kind = nn.MaxPool2d if dimensions == 2 else nn.MaxPool3d
    return kind(_each(size), None if stride is None else _each(stride), _each(padding))


def average_pool(dimensions: int, size: Size, stride: Size | None = None, padding: Size = 0) -> nn.AvgPool2d | nn.AvgPool3d:
    """The mean of each neighbourhood, without what padding added. Source: LeCun 1998."""
    kind = nn.AvgPool2d if dimensions == 2 else nn.AvgPool3d
    return kind(_each(size), None if stride is None else _each(stride), _each(padding), count_include_pad=False)  # type: ignore[arg-type]


class GlobalAverage(nn.Module):
    """The mean of each map over all its places: (B, C, [Z,] Y, X) to (B, C). Source: Lin 2014, arXiv:1312.4400."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.flatten(2).mean(2)


class GlobalMax(nn.Module):
    """The largest value of each map, wherever it is: (B, C, [Z,] Y, X) to (B, C). Source: Oquab 2015."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.flatten(2).amax(2)


class PyramidPooling(nn.Module):
    """The image summarised on several coarse grids, laid beside the maps: each place learns of its wide surroundings.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X)
    sizes  places per axis of each coarse grid; the paper takes (1, 2, 3, 6)

    The grid of one place has no normalisation: one value per channel has no variance.

    Source: Zhao 2017 (PSPNet), arXiv:1612.01105.
    """

    def __init__(
        self, inputs: int, outputs: int, sizes: Sequence[int], dimensions: int, *, norm: str = "batch", activation: str = "relu"
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        share, one = max(1, inputs // len(self.sizes)), (1,) * dimensions
        self.narrow = nn.ModuleList(
            ConvUnit(inputs, share, one, norm=norm if size > 1 else "none", activation=activation) for size in self.sizes
        )
        both = inputs + share * len(self.sizes)
        self.join = ConvUnit(both, outputs, (3,) * dimensions, norm=norm, activation=activation)

    def forward(self, maps: Tensor) -> Tensor:
        axes = maps.ndim - 2
        views = [maps]
        for size, narrow in zip(self.sizes, self.narrow, strict=True):
            coarse = narrow(_ADAPTIVE[maps.ndim](maps, (size,) * axes))
            views.append(functional.interpolate(coarse, maps.shape[2:], mode=LINEAR[maps.ndim], align_corners=False))
        return self.join(torch.cat(views, dim=1))


def _each(size: Size) -> int | tuple[int, ...]:
    return size if isinstance(size, int) else tuple(size)
