"""The exponential moving average of weights: the network that is judged and kept.

Source: Polyak and Juditsky, SIAM J. Control Optim. 30, 838 (1992).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from overread.networks.generative.parts import OfParts


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
        self.take_statistics(network)

    @torch.no_grad()
    def take_statistics(self, network: nn.Module) -> None:
        """Those of batch norm as the network has them: near enough on the way, taken anew at the end."""
        for mine, other in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(other)


@torch.no_grad()
def refresh_statistics(network: nn.Module, batches: Iterable[torch.Tensor], held: Collection[str] = ()) -> None:
    """Take the statistics of batch norm anew: those of the last steps do not fit averaged weights, and calibration suffers.

    batches  images as in training; a few dozen batches are enough
    held     names of the batch norms of frozen stages, whose statistics are those that were loaded
    Source: Izmailov et al., UAI 2018, section 3.2.
    """
    named = [(name, module) for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    norms = [norm for name, norm in named if norm.track_running_stats and name not in held]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all that passes
        norm.train()
    random = torch.Generator().manual_seed(0)  # its own, so that a run that goes on draws as though nobody had looked
    run = partial(network.as_in_training, random=random) if isinstance(network, OfParts) else network
    for images in batches:
        run(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def decay_for(steps: int) -> float:
    """A memory of about 3 % of the run: long enough to average, short enough to forget the start."""
    return min(0.9995, max(0.9, 1 - 1 / max(1.0, 0.03 * steps)))
