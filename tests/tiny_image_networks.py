"""Every network of ours that answers per image, as small as its row lets it be, and an image that fits it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from overread import networks
from overread.networks.image.rows import ROWS

NAMES = [row.name for row in ROWS]
WAYS = [(row.name, dimensions) for row in ROWS for dimensions in sorted(row.dimensions)]
FAST_IN_3D = ("perceptron", "lenet", "vgg11", "se_resnet18", "densenet40", "mobilenet_v3_small", "vit_tiny")
SLOW = (  # the same code as a smaller one of its family
    *("resnet34", "resnet50", "resnet101", "vgg13", "vgg16", "vgg19", "plain34", "resnext50", "se_resnet50", "densenet121"),
    *("efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "vit_small", "inception_v3", "swin_tiny"),
)
COVER = [(name, axes) for name, axes in WAYS if name not in SLOW and (axes == 2 or name in FAST_IN_3D)]
REST = [way for way in WAYS if way not in COVER]
EDGES = {
    "alexnet": 64,
    "inception_v3": 112,
    "swin_tiny": 32,
    "convnext_tiny": 32,
    "vgg11": 32,
    "vgg13": 32,
    "vgg16": 32,
    "vgg19": 32,
}
_SMALL: dict[str, Any] = {"width": 8, "multiplier": 0.25, "hidden": (12, 6), "patch": 8}
_ROW = {row.name: row for row in ROWS}


def size_for(name: str, dimensions: int) -> tuple[int, ...]:
    """Pixels of a small image that the network reads; its axes differ."""
    edge = EDGES.get(name, 24)
    return (edge, edge + 8) if dimensions == 2 else (edge if name in EDGES else 16, edge, edge if name == "alexnet" else edge + 8)


def options_for(name: str, dimensions: int) -> dict[str, Any]:
    """Options that make it tiny; the size of the image is said."""
    known = {option: value for option, value in _SMALL.items() if option in _ROW[name].options}
    return {**known, "image_size": size_for(name, dimensions)}


def tiny(name: str, dimensions: int, channels: int = 1, outputs: int = 3, **options: Any) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return networks.build(
            name,
            in_channels=channels,
            out_channels=outputs,
            dimensions=dimensions,
            serves="image",
            options={**options_for(name, dimensions), **options},
        ).eval()


def images_for(name: str, dimensions: int, channels: int = 1, count: int = 2) -> torch.Tensor:
    return torch.randn(count, channels, *size_for(name, dimensions), generator=torch.Generator().manual_seed(1))
