"""Copies of a network whose weights are replaced by chance, layer after layer from the head down.

Source: Adebayo et al., NeurIPS 2018, "Sanity checks for saliency maps", section 3.1 (cascading randomisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn

from overread.explanation.asked import Asked

Layer = tuple[str, ...]  # names of modules that lose their weights together


def layers_from_head(asked: Asked) -> tuple[Layer, ...]:
    """The layers with weights of their own, in the reverse of the order in which they finish; by their names as modules.

    A module that is never called itself (the output of an attention block) goes with the nearest that holds it.
    """
    network = asked.network
    finished: dict[str, int] = {}
    count = iter(range(10**9))

    def note(name: str) -> None:
        finished[name] = next(count)

    hooks = [m.register_forward_hook(lambda *_, name=name: note(name)) for name, m in network.named_modules()]
    try:
        with torch.no_grad():
            asked.task.respond(network, asked.images)
    finally:
        for hook in hooks:
            hook.remove()
    groups: dict[str, list[str]] = {}
    for name, module in network.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            groups.setdefault(_called(name, finished), []).append(name)
    return tuple(tuple(groups[name]) for name in sorted(groups, key=lambda name: finished.get(name, -1), reverse=True))


def _called(name: str, finished: dict[str, int]) -> str:
    """The module itself where it is called, else the nearest around it that is."""
    while name and name not in finished:
        name = name.rpartition(".")[0]
    return name


def randomised(network: nn.Module, layers: Sequence[Layer], seed: int) -> nn.Module:
    """A copy in which the weights of these layers are drawn anew, from a normal distribution of their own mean and spread.

    So the signal keeps its size from layer to layer, and only what was learned is lost. Statistics of batch normalisation stay.
    """
    copy = deepcopy(network).eval()
    random = torch.Generator().manual_seed(seed)
    modules = dict(copy.named_modules())
    with torch.no_grad():
        for name in (name for layer in layers for name in layer):
            for weights in modules[name].parameters(recurse=False):
                values = weights.detach().float()
                spread = float(values.std(correction=0))
                drawn = torch.randn(values.shape, generator=random) * spread + float(values.mean())
                weights.copy_(drawn.to(weights.device, weights.dtype))
    return copy
