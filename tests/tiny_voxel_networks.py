"""Every network of ours that answers per voxel, as small as its row lets it be, and an image that fits it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from overread import networks
from overread.networks.dense.rows import ROWS

NAMES = [row.name for row in ROWS]
WAYS = [(row.name, dimensions) for row in ROWS for dimensions in sorted(row.dimensions)]
_LARGE = ("swin_unetr", "unetr", "mednext")
SLOW = {("segresnet", 3), ("fc_densenet", 3), *((name, dimensions) for name in _LARGE for dimensions in (2, 3))}  # seconds each
COVER = [way for way in WAYS if way not in SLOW]
REST = [way for way in WAYS if way in SLOW]
_SIZES = {"swin_unetr": (64, 32, 32), "unetr": (32, 16, 16)}
_ENCODED = {"encoder": "resnet10", "width": 4}
_SMALL: dict[str, dict[str, Any]] = {
    "fcn": {**_ENCODED, "finest": 2},
    "deeplab_v3_plus": {**_ENCODED, "features": 8, "low_features": 4},
    "pspnet": {**_ENCODED, "sizes": (1, 2)},
    "fc_densenet": {"layers": (2, 2, 2), "growth": 4, "entry": 8},
    "segresnet": {"base_features": 8, "blocks_down": (1, 1, 1), "blocks_up": (1, 1)},
    "swin_unetr": {"feature_size": 12, "depths": (1, 1, 1, 1)},
    "unetr": {"feature_size": 4, "hidden_size": 24, "num_heads": 2},
    "mednext": {"base_features": 4, "blocks_down": (1, 1), "blocks_up": (1, 1)},
}
_ROW = {row.name: row for row in ROWS}


def size_for(name: str, dimensions: int) -> tuple[int, ...]:
    """Voxels of a small image that the network reads; its axes differ."""
    return _SIZES.get(name, (16, 8, 24))[:2] if dimensions == 2 else _SIZES.get(name, (8, 16, 8))


def stages(dimensions: int) -> dict[str, Any]:
    """Three stages, the first of which leaves thick slices alone."""
    flat, cube, once = (1, 3, 3), (3, 3, 3), (1, 1, 1)
    first = 3 - dimensions
    steps = (once, (1, 2, 2), (2, 2, 2))
    return {
        "features": (4, 8, 8),
        "kernels": tuple(kernel[first:] for kernel in (flat, cube, cube)),
        "strides": tuple(step[first:] for step in steps),
    }


def options_for(name: str, dimensions: int, size: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Options that make it tiny; the size of the image is said where the network asks for it."""
    taken, size = _ROW[name].options, size or size_for(name, dimensions)
    options = dict(_SMALL.get(name, {}))
    if "strides" in taken:
        options |= stages(dimensions)
    return options | {option: size for option in ("image_size", "img_size") if option in taken}


def tiny(name: str, dimensions: int, channels: int = 1, outputs: int = 3, **options: Any) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return networks.build(
            name,
            in_channels=channels,
            out_channels=outputs,
            dimensions=dimensions,
            serves="dense",
            options={**options_for(name, dimensions), **options},
        ).eval()


def images_for(name: str, dimensions: int, channels: int = 1, count: int = 2) -> torch.Tensor:
    return torch.randn(count, channels, *size_for(name, dimensions), generator=torch.Generator().manual_seed(1))
