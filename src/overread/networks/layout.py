"""The memory layout of images and weights: channels last, which matrix units read without reordering."""

from __future__ import annotations

import torch
from torch import nn


def memory_format(axes: int) -> torch.memory_format:
    """Channels last for a tensor of 4 axes (B, C, Y, X) or 5 axes (B, C, Z, Y, X)."""
    return torch.channels_last_3d if axes == 5 else torch.channels_last


def to_channels_last(network: nn.Module) -> nn.Module:
    """Bring the weights of convolutions into channels-last layout, in place."""
    for parameter in network.parameters():
        if parameter.ndim in (4, 5):
            parameter.data = parameter.data.contiguous(memory_format=memory_format(parameter.ndim))
    return network
