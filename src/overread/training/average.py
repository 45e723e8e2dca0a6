"""The exponential moving average of weights: the network that is judged and kept.

Source: Polyak and Juditsky, SIAM J. Control Optim. 30, 838 (1992).
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """A second copy of a network that follows the first slowly.

    decay  share of the old average kept per step; early on less is kept, so that the start is forgotten
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int, decay: float) -> None:
        kept = min(decay, (1 + step) / (10 + step))
        own: list[torch.Tensor] = [*self.network.parameters()]
        torch._foreach_lerp_(own, [p.detach() for p in network.parameters()], 1 - kept)
        for mine, other in zip(self.network.buffers(), network.buffers(), strict=True):
            if mine.is_floating_point():  # statistics of batch norm belong to the averaged weights, so they follow alike
                mine.lerp_(other, 1 - kept)
            else:
                mine.copy_(other)


def decay_for(steps: int) -> float:
    """A memory of about 3 % of the run: long enough to average, short enough to forget the start."""
    return min(0.9995, max(0.9, 1 - 1 / max(1.0, 0.03 * steps)))
