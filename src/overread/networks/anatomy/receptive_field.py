"""The theoretical receptive field of every layer: followed through each operation of a forward pass that has only shapes.

The field of a layer is that of its unit that reaches furthest, through whichever branch. Statistics of normalisation are left
out, as is usual: with them every unit depends on the whole image a little. A place of a fixed grid, to which maps are pooled
whatever their size, reads a share of the image: from there on fields are those at the size at hand.

Source: Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019; here without a formula
per architecture.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from overread.networks.anatomy.reach import Reach, of_image
from overread.networks.anatomy.reach_rules import GRID_POOLS, RULES, SPLITS, Call, everything, nearest, pointwise
from overread.networks.blocks.upsampling import Unpool

LARGE = 4096  # edge of the image without values in which fields are followed: no unit's field is cut off by its border


@dataclass(frozen=True)
class Field:
    """What a layer reads of the image.

    size  voxels along each axis of the image; None along an axis that is read whole
    why   the operation from which on nothing exact can be said (attention, tokens), then size is None everywhere; else empty
    """

    size: tuple[int | None, ...]
    why: str = ""

    @property
    def is_whole(self) -> bool:
        return all(edge is None for edge in self.size)


Fields = dict[tuple[str, int], Field]  # by name of the layer and number of its call, from 0


@dataclass(frozen=True)
class _Met:
    """shares  whether the layer stands behind a pooling to a fixed grid, so that its reach grows with the image"""

    reach: Reach
    shares: bool


def receptive_fields(network: nn.Module, shape: Sequence[int]) -> Fields:
    """The field of every module that answers with a tensor; of several maps that of the first, the finest.

    shape  of the network's input, (B, C, [Z,] Y, X); a larger one is used where the network takes it
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    divisor = getattr(network, "divisor", (32,) * (len(shape) - 2))
    large = (*shape[:2], *(ceil(LARGE / by) * by for by in divisor))
    try:
        found = _followed(ghost, large)
        seen = large
    except Exception:  # a network of one size, as most transformers: each library refuses another in its own words
        found, seen = _followed(ghost, tuple(shape)), tuple(shape)
    fields = {layer: _field(met.reach, seen[2:]) for layer, met in found.items()}
    if seen != tuple(shape) and any(met.shares for met in found.values()):
        at_hand = _followed(ghost, tuple(shape))
        fields |= {layer: _field(at_hand[layer].reach, shape[2:]) for layer, met in found.items() if met.shares}
    return fields


def _field(reach: Reach, seen: Sequence[int]) -> Field:
    if reach.why:
        return Field((None,) * len(seen), reach.why)
    # convolutions without padding leave out a few voxels at the border of what is read whole
    return Field(tuple(None if edge >= whole - whole // 100 else edge for edge, whole in zip(reach.widest, seen, strict=True)))


def _followed(network: nn.Module, shape: Sequence[int]) -> dict[tuple[str, int], _Met]:
    found: dict[tuple[str, int], _Met] = {}
    images = torch.empty(tuple(shape), device="meta")
    follower = _Follower(images)
    with torch.no_grad(), _watched(network, follower, found), follower, _Linear(follower):
        network(images)
    return found


@contextmanager
def _watched(network: nn.Module, follower: _Follower, found: dict[tuple[str, int], _Met]) -> Iterator[None]:
    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(module, Unpool):  # a value goes back into the window that it was the maximum of
                follower.known[output] = nearest(Call(inputs, [(follower.known[inputs[0]], inputs[0])], output))
            finest = next((t for t in tree_leaves(output) if isinstance(t, Tensor)), None)
            if finest is not None and finest in follower.known:
                number = 0
                while (name, number) in found:
                    number += 1
                found[name, number] = _Met(follower.known[finest], finest in follower.sharing)

        return note

    hooks = [module.register_forward_hook(watch(name)) for name, module in network.named_modules() if name]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Follower(TorchDispatchMode):
    """Keeps the reach of every tensor that depends on the image, and which of them come from a pooling to a fixed grid."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.known = WeakTensorKeyDictionary()
        self.known[images] = of_image(images.shape)
        self.sharing = WeakTensorKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        given = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, Tensor)]
        reaches = [(self.known[tensor], tensor) for tensor in given if tensor in self.known]
        outputs = [t for t in tree_leaves(answer) if isinstance(t, Tensor)]
        if reaches and outputs:
            self._note(func, args, reaches, outputs)
            to_grid = func.overloadpacket in GRID_POOLS and max(outputs[0].shape[2:]) > 1
            if to_grid or any(tensor in self.sharing for tensor in given):
                self.sharing.update((output, True) for output in outputs)
        return answer

    def _note(self, func: Any, args: Any, reaches: list[tuple[Reach, Tensor]], outputs: list[Tensor]) -> None:
        packet = func.overloadpacket
        if packet is torch.ops.aten.new_zeros:  # shaped like a map and no part of it
            return
        if packet in SPLITS:
            self._split(packet, args, reaches[0], outputs)
            return
        call = Call(args, reaches, outputs[0])
        if packet in RULES:
            reach = RULES[packet](call)
        elif torch.Tag.pointwise in func.tags or packet.__name__.endswith("_like") or packet.__name__ == "copy_":
            reach = pointwise(call)
        else:
            reach = everything(call, packet.__name__.strip("_"))
        for output in outputs:
            self.known[output] = reach

    def _split(self, packet: Any, args: Any, entry: tuple[Reach, Tensor], outputs: list[Tensor]) -> None:
        reach, tensor = entry
        is_unbound = packet is torch.ops.aten.unbind
        dim = (args[(1 if is_unbound else 2)] if len(args) > (1 if is_unbound else 2) else 0) % tensor.ndim
        first = 0
        for output in outputs:
            size = 1 if is_unbound else output.shape[dim]
            part = Reach(tuple(a.taken(np.arange(first, first + size)) if a.dim == dim else a for a in reach.axes), reach.why)
            if is_unbound:
                part = part.moved([None if d == dim else d - (d > dim) for d in range(tensor.ndim)])
            self.known[output] = part
            first += size


class _Linear(TorchFunctionMode):
    """A linear layer over the last dimension keeps the places of the others; torch lays them in one row on the way."""

    def __init__(self, follower: _Follower) -> None:
        super().__init__()
        self.follower = follower

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if func is nn.functional.linear and args and args[0] in self.follower.known:
            reach = self.follower.known[args[0]]
            self.follower.known[answer] = reach.joined([args[0].ndim - 1])
        return answer
