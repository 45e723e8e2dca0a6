"""How far the noise has gone, as waves of many lengths: a network reads a time more easily from these than from one number.

Sources: Vaswani 2017, arXiv:1706.03762, section 3.5; in diffusion: Ho 2020, arXiv:2006.11239, appendix B.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WAVES = 64  # cosines, and as many sines
LONGEST = 10_000.0  # of the waves, by 2 pi


class TimeEmbedding(nn.Module):
    """Waves of a time, then two layers: (B,) to (B, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * WAVES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, times: Tensor) -> Tensor:
        return self.layers(waves_of(times))


def waves_of(times: Tensor) -> Tensor:
    """(B,) times, whole numbers or not, to (B, 128): cosines of rising length, then sines, in float32."""
    rates = torch.exp(-math.log(LONGEST) / WAVES * torch.arange(WAVES, device=times.device))
    angles = times.float()[:, None] * rates
    return torch.cat((angles.cos(), angles.sin()), dim=1)
