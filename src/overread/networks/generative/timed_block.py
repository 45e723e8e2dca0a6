"""The residual block of a denoiser: between its two convolutions it is told the time.

Source: Ho 2020, arXiv:2006.11239, appendix B; a last convolution that starts at 0: Dhariwal 2021, arXiv:2105.05233.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.norms import make_norm


class TimedBlock(nn.Module):
    """Normalisation, SiLU, convolution, twice, beside a shortcut; what is known of the time is added in between.

    forward: (B, inputs, [Z,] Y, X) and (B, told) to (B, outputs, [Z,] Y, X)

    told     numbers that tell the time, and the class that is asked for
    dropout  share of elements dropped before the second convolution
    """

    def __init__(self, inputs: int, outputs: int, told: int, dimensions: int, dropout: float) -> None:
        super().__init__()
        three = (3,) * dimensions
        self.first_norm = make_norm("group", inputs, dimensions, activate=False)
        self.first = convolution(inputs, outputs, three)
        self.told = nn.Linear(told, outputs)
        self.second_norm = make_norm("group", outputs, dimensions, activate=False)
        self.dropout = nn.Dropout(dropout)
        self.second = convolution(outputs, outputs, three)
        self.match = convolution(inputs, outputs, (1,) * dimensions) if inputs != outputs else nn.Identity()
        start_silent(self.second)

    def forward(self, maps: Tensor, told: Tensor) -> Tensor:
        inner = self.first(functional.silu(self.first_norm(maps)))
        inner = inner + self.told(functional.silu(told))[(..., *(None,) * (maps.ndim - 2))]
        inner = self.second(self.dropout(functional.silu(self.second_norm(inner))))
        return self.match(maps) + inner


def start_silent(layer: nn.Conv2d | nn.Conv3d) -> None:
    """Let a convolution answer 0 until it has learned."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
