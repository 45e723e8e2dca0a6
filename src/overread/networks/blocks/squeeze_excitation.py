"""Squeeze and excitation: the whole image decides how much each channel counts."""

import torch
from torch import Tensor, nn

from overread.networks.blocks.activations import make_activation


class SqueezeExcitation(nn.Module):
    """Averages each channel over the image, and scales the channel by a weight of 0 to 1 that two small layers make of all means.

    (B, channels, [Z,] Y, X) to the same shape

    ratio       the first layer is so many times narrower than the channels
    inner       its width, where it does not follow from the ratio (EfficientNet)
    activation, gate  of the first and the second layer; MobileNetV3 has the gate "hardsigmoid"

    Source: Hu 2018, arXiv:1709.01507.
    """

    def __init__(
        self,
        channels: int,
        dimensions: int,
        ratio: int = 16,
        *,
        inner: int | None = None,
        activation: str = "relu",
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        width = inner or max(1, channels // ratio)
        self.squeeze, self.excite = nn.Linear(channels, width), nn.Linear(width, channels)
        self.activation, self.gate = make_activation(activation), make_activation(gate)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weights_of(maps).unflatten(1, (-1, *(1,) * self.dimensions))

    def weights_of(self, maps: Tensor) -> Tensor:
        """How much each channel counts in each image: (B, channels), 0 to 1."""
        means = torch.flatten(maps, 2).mean(2)
        return self.gate(self.excite(self.activation(self.squeeze(means))))
