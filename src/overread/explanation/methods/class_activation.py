"""The class activation map: the last maps of a network, weighted as its one linear layer weighs their means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from overread.explanation.asked import Asked
from overread.explanation.methods.grad_cam import upsampled
from overread.explanation.methods.layers import chosen_layer, watched
from overread.networks.libraries.adapters import ImageAdapter

_REFUSAL = "a class activation map needs a network that ends in the mean of its last maps and one linear layer, and this one {}"


@dataclass(frozen=True)
class ClassActivation:
    """What each place of the last maps adds to the score; its mean over the maps, and a constant, are the score."""

    name: ClassVar[str] = "class_activation"
    title: ClassVar[str] = "Class activation map"
    source: ClassVar[str] = "Zhou, CVPR 2016, arXiv:1512.04150"
    is_signed: ClassVar[bool] = True

    def refusal(self, asked: Asked) -> str | None:
        if asked.task.serves != "image":
            return _REFUSAL.format("answers per voxel or with objects")
        return None if class_map(asked) is not None else _REFUSAL.format("ends otherwise, or has one place left there")

    def __call__(self, asked: Asked) -> np.ndarray:
        found = class_map(asked)
        assert found is not None, "refused"
        return asked.volume(upsampled([found], asked.images))


def class_map(asked: Asked) -> Tensor | None:
    """([Z,] Y, X) of the last maps; None where the network's linear layer does not read their means.

    Whether it does is seen from the numbers. The maps may be rectified on the way, which some networks do in a function.
    """
    head, layer = _head_of(asked.network), chosen_layer(asked, None)
    if head is None or layer is None:
        return None
    entries: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _module, entry: entries.append(entry[0]))
    try:
        with torch.enable_grad(), watched(asked.network, layer, asked.images) as kept:
            given = asked.images.detach().clone().requires_grad_()
            score = asked.score(given).sum()
            (weights,) = torch.autograd.grad(score, entries)
    finally:
        hook.remove()
    for maps in (kept[-1], kept[-1].relu()):
        means = maps.flatten(2).mean(2)
        if means.shape == entries[0].shape and torch.allclose(means, entries[0], rtol=1e-4, atol=1e-6):
            return torch.einsum("c,c...->...", weights[0], maps[0]).detach()
    return None


def _head_of(network: nn.Module) -> nn.Linear | None:
    """The linear layer that an answer per image ends in."""
    head = network.inner.get_submodule(network.head_name) if isinstance(network, ImageAdapter) else getattr(network, "head", None)
    return head if isinstance(head, nn.Linear) else None
