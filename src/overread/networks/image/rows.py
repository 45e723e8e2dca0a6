"""The networks that answer per image: how each is built, and its row in the table."""

from collections.abc import Callable
from typing import Any

from torch import nn

from overread.networks.architecture import BOTH, IMAGE, Architecture
from overread.networks.image.resnet import DEPTHS, SMALL_IMAGE, WIDTH, ResNet


def _resnet(name: str) -> Callable[..., nn.Module]:
    blocks, is_bottleneck = DEPTHS[name]

    def make(
        in_channels: int,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Any = None,
        keeps_size: bool | None = None,
        width: int = WIDTH,
        dropout: float = 0.0,
        norm: str = "batch",
    ) -> nn.Module:
        """A ResNet; keeps_size (a stem that keeps the resolution) is on for an image_size of 64 or fewer pixels."""
        keeps = keeps_size if keeps_size is not None else image_size is not None and max(image_size) <= SMALL_IMAGE
        shape = (in_channels, out_channels, dimensions, blocks)
        return ResNet(*shape, is_bottleneck=is_bottleneck, keeps_size=keeps, width=width, dropout=dropout, norm=norm)

    return make


ROWS = tuple(Architecture(name, IMAGE, BOTH, "He 2016, arXiv:1512.03385", "Apache-2.0", _resnet(name)) for name in DEPTHS)
