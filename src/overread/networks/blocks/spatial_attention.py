"""Spatial attention: the image decides how much each place counts."""

import torch
from torch import Tensor, nn

from overread.networks.blocks.convolution import convolution


class SpatialAttention(nn.Module):
    """Scales each place by a weight of 0 to 1, made by one wide convolution from the mean and the largest channel there.

    (B, C, [Z,] Y, X) to the same shape, for any number of channels
    kernel  odd, how far it looks; the paper takes 7

    Source: Woo 2018 (CBAM), arXiv:1807.06521.
    """

    def __init__(self, dimensions: int, kernel: int = 7) -> None:
        super().__init__()
        self.conv = convolution(2, 1, (kernel,) * dimensions, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weights_of(maps)

    def weights_of(self, maps: Tensor) -> Tensor:
        """How much each place counts: (B, 1, [Z,] Y, X), 0 to 1."""
        summary = torch.cat((maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)), dim=1)
        return torch.sigmoid(self.conv(summary))
