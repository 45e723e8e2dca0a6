"""The kernels of the first layer: the patterns that the network compares every spot of the image with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from overread.core.errors import OverreadError
from overread.networks.anatomy.body import body_of
from overread.networks.anatomy.layers import LayerTable

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Kernels:
    """weights  (K, C, [kz,] ky, kx): K kernels for C channels of the image"""

    layer: str
    weights: np.ndarray


def first_kernels(network: nn.Module, channels: int, table: LayerTable) -> Kernels:
    """Of the first convolution that a forward pass meets; refused where it does not read the image itself."""
    modules = dict(body_of(network).named_modules())
    for row in table.rows:
        layer = modules[row.name]
        if isinstance(layer, CONVOLUTIONS) and layer.in_channels == channels and layer.groups == 1:
            return Kernels(row.name, layer.weight.detach().float().cpu().numpy())
        if row.macs:
            break
    raise OverreadError(
        "The first layer of this network is no convolution of the image, so it has no kernels to draw.",
        "leave kernels out of --part",
    )
