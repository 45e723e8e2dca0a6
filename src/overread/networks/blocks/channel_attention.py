"""Attention of CBAM: first what counts (channels), then where (places)."""

import torch
from torch import Tensor, nn

from overread.networks.blocks.spatial_attention import SpatialAttention


class ChannelAttention(nn.Module):
    """Scales each channel by a weight of 0 to 1, made by two small layers from its mean and from its largest value.

    (B, channels, [Z,] Y, X) to the same shape; the mean and the largest value go through the same layers and are added

    Source: Woo et al., CBAM, ECCV 2018, arXiv:1807.06521.
    """

    def __init__(self, channels: int, dimensions: int, ratio: int = 16) -> None:
        super().__init__()
        self.dimensions = dimensions
        width = max(1, channels // ratio)
        self.layers = nn.Sequential(nn.Linear(channels, width), nn.ReLU(inplace=True), nn.Linear(width, channels))

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weights_of(maps).unflatten(1, (-1, *(1,) * self.dimensions))

    def weights_of(self, maps: Tensor) -> Tensor:
        """How much each channel counts in each image: (B, channels), 0 to 1."""
        places = maps.flatten(2)
        return torch.sigmoid(self.layers(places.mean(2)) + self.layers(places.amax(2)))


def channels_then_places(channels: int, dimensions: int) -> nn.Sequential:
    """Both kinds of attention, one after the other."""
    return nn.Sequential(ChannelAttention(channels, dimensions), SpatialAttention(dimensions))
