"""Residual networks that answer per image, in 2D and 3D.

Sources: He 2016 (deep residual learning); Hara 2018 (3D); Goyal 2017 (last normalisation starts at 0).
"""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.norms import bare_norm
from overread.networks.image.network import keeps_small

DEPTHS = {  # blocks per stage, and whether a block is a bottleneck
    "resnet10": ((1, 1, 1, 1), False),
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}
WIDTH = 64  # channels of the first stage; each further stage has twice as many
EXPANSION = 4  # a bottleneck block answers with four times its inner width
GROUPS = 32  # of channels, where they are normalised in groups (Wu 2018, arXiv:1803.08494)


class ResNet(nn.Module):
    """Stem, four stages of residual blocks, average over space, one linear layer.

    in_channels, out_channels, dimensions   channels of the image, logits per image, 2 or 3 spatial axes
    blocks         blocks per stage
    is_bottleneck  1x1, 3x3, 1x1 blocks instead of two 3x3
    width          channels of the first stage; each further stage has twice as many
    keeps_size     stem of one 3x3 convolution without pooling, for images of 64 pixels or fewer
    dropout        share of features dropped before the linear layer
    norm           of `blocks.norms.NORMS`; only with "none" have the convolutions a bias of their own
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        blocks: Sequence[int],
        *,
        is_bottleneck: bool = False,
        keeps_size: bool = False,
        width: int = WIDTH,
        dropout: float = 0.0,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.stem = _stem(in_channels, width, dimensions, norm, keeps_size)
        stages, channels = [], width
        for stage, count in enumerate(blocks):
            for number in range(count):
                stride = 2 if stage > 0 and number == 0 else 1
                block = _Block(channels, width * 2**stage, dimensions, stride, norm, is_bottleneck)
                stages.append(block)
                channels = block.outputs
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, out_channels)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits per image: (B, C, [Z,] Y, X) to (B, out_channels)."""
        return self.head(self.dropout(self.features(images)))

    def features(self, images: Tensor) -> Tensor:
        """The last maps averaged over space: (B, 8 * width), four times that with bottlenecks."""
        if images.ndim != self.dimensions + 2:
            raise OverreadError(f"this ResNet reads {self.dimensions}D images, and got one of size {tuple(images.shape[2:])}")
        return self.stages(self.stem(images)).flatten(2).mean(2)


class _Block(nn.Module):
    """Convolutions beside a shortcut, added before the last ReLU."""

    def __init__(self, inputs: int, inner: int, dimensions: int, stride: int, norm: str, is_bottleneck: bool) -> None:
        super().__init__()
        self.outputs = inner * EXPANSION if is_bottleneck else inner
        three, one = (3,) * dimensions, (1,) * dimensions
        if is_bottleneck:  # the step sits in the 3x3 convolution (ResNet "v1.5"), as in torchvision's weights
            steps = [(inputs, inner, one, 1), (inner, inner, three, stride), (inner, self.outputs, one, 1)]
        else:
            steps = [(inputs, inner, three, stride), (inner, inner, three, 1)]
        layers: list[nn.Module] = []
        for before, after, kernel, step in steps:
            layers += [
                convolution(before, after, kernel, step, bias=norm == "none"),
                _norm(norm, after, dimensions),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers[:-1])
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != self.outputs:
            match = convolution(inputs, self.outputs, one, stride, bias=norm == "none")
            self.shortcut = nn.Sequential(match, _norm(norm, self.outputs, dimensions))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.body(maps) + self.shortcut(maps))


def make_resnet(
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
) -> ResNet:
    """A ResNet by name; keeps_size (a stem that keeps the resolution) is on for an image_size of 64 or fewer pixels."""
    blocks, is_bottleneck = DEPTHS[name]
    keeps = keeps_small(keeps_size, image_size)
    shape = (in_channels, out_channels, dimensions, blocks)
    return ResNet(*shape, is_bottleneck=is_bottleneck, keeps_size=keeps, width=width, dropout=dropout, norm=norm)


def _norm(kind: str, channels: int, dimensions: int) -> nn.Module:
    groups = min(GROUPS, channels)
    return bare_norm(kind, channels, dimensions, groups=groups if channels % groups == 0 else gcd(GROUPS, channels))


def _stem(in_channels: int, width: int, dimensions: int, norm: str, keeps_size: bool) -> nn.Sequential:
    size, stride = (3, 1) if keeps_size else (7, 2)
    layers: list[nn.Module] = [
        convolution(in_channels, width, (size,) * dimensions, stride, bias=norm == "none"),
        _norm(norm, width, dimensions),
        nn.ReLU(inplace=True),
    ]
    if not keeps_size:
        pool = nn.MaxPool2d if dimensions == 2 else nn.MaxPool3d
        layers.append(pool(3, 2, 1))
    return nn.Sequential(*layers)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, _Block):  # the last layer with weights: its normalisation, or a convolution that has none
            last = next(layer for layer in reversed(module.body) if isinstance(getattr(layer, "weight", None), Tensor))
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
