"""The attention gate: what lies deeper in a U-Net decides which places of a skip come through."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.pooling import LINEAR


class AttentionGate(nn.Module):
    """Scales each place of a skip by a weight of 0 to 1, from the skip itself and the gating maps of the coarser stage.

    skip, gate  channels of the skip and of the gating maps
    inner       channels in which the two are added

    forward: skip (B, skip, [Z,] Y, X) and gate (B, gate, [z,] y, x), on its own or a coarser grid, to the shape of the skip

    Source: Oktay 2018 (attention U-Net), arXiv:1804.03999. Here both meet on the grid of the skip; the paper meets on the
    coarser one and interpolates the weights.
    """

    def __init__(self, skip: int, gate: int, inner: int, dimensions: int) -> None:
        super().__init__()
        one = (1,) * dimensions
        self.of_skip = convolution(skip, inner, one, bias=False)
        self.of_gate = convolution(gate, inner, one)
        self.score = convolution(inner, 1, one)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        return skip * self.weights_of(skip, gate)

    def weights_of(self, skip: Tensor, gate: Tensor) -> Tensor:
        """How much of each place comes through: (B, 1, [Z,] Y, X), 0 to 1."""
        asked = self.of_gate(gate)
        if asked.shape[2:] != skip.shape[2:]:
            asked = functional.interpolate(asked, skip.shape[2:], mode=LINEAR[skip.ndim], align_corners=False)
        return torch.sigmoid(self.score(functional.relu(self.of_skip(skip) + asked)))
