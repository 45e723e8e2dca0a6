"""What a network costs before it runs: parameters, multiplications, memory. Nothing is computed, only shapes."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Layer:
    """One layer without parts, in the order in which a forward pass meets it.

    name, kind   its place in the network, and its class
    output       shape of what it answers
    parameters   its own learned numbers
    macs         multiplications with addition in one forward pass (convolutions and linear layers)
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """The cost of a network for one input.

    parameters        learned numbers
    macs              multiplications with addition of one forward pass; products of attention included
    activation_bytes  memory that a training step keeps between forward and backward pass, without weights; our U-Nets
                      keep a tenth less on a processor, where they lay no skips together
    layers            one row per layer
    """

    parameters: int
    macs: int
    activation_bytes: int
    layers: tuple[Layer, ...]


def count_parameters(network: nn.Module) -> int:
    """Learned numbers; shared ones once."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def cost(network: nn.Module, shape: Sequence[int], *, bytes_per_value: int = 4, deep_supervision: bool = False) -> Cost:
    """Count what one input costs, on a copy of the network that has shapes but no values.

    shape            of the input, (B, C, [Z,] Y, X)
    bytes_per_value  4 for float32, 2 for bfloat16; the activation memory scales with it
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    ask: Any = ghost.forward_scales if deep_supervision else ghost
    layers: list[Layer] = []
    with FlopCounterMode(display=False) as counter, torch.no_grad(), _watched(ghost, layers):
        ask(torch.empty(tuple(shape), device="meta"))
    twin = torch.empty((2 * shape[0], *shape[1:]), device="meta")  # batch normalisation learns nothing from one image
    kept = _kept_values(ghost.train(), ask, twin) // 2
    return Cost(count_parameters(network), counter.get_total_flops() // 2, kept * bytes_per_value, tuple(layers))


@contextmanager
def _watched(network: nn.Module, layers: list[Layer]) -> Iterator[None]:
    def note(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        if isinstance(output, Tensor) and isinstance(inputs[0], Tensor):
            own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            layers.append(Layer(names[module], type(module).__name__, tuple(output.shape), own, _macs(module, inputs[0], output)))

    names = {module: name for name, module in network.named_modules() if not any(module.children())}
    hooks = [module.register_forward_hook(note) for module in names]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _macs(module: nn.Module, entry: Tensor, output: Tensor) -> int:
    if isinstance(module, _CONVOLUTIONS):
        return output.numel() * prod(module.kernel_size) * module.in_channels // module.groups
    if isinstance(module, _TRANSPOSED):
        return entry.numel() * prod(module.kernel_size) * module.out_channels // module.groups
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return 0


def _kept_values(network: nn.Module, ask: Any, images: Tensor) -> int:
    """Values that autograd keeps for the backward pass, each memory once, learned numbers left out."""
    met = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    kept: list[Tensor] = []  # alive until the end, so that no two memories go by one number

    def note(tensor: Tensor) -> Tensor:
        if (place := tensor.untyped_storage()._cdata) not in met:
            met.add(place)
            kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        answer = ask(images)
    values = sum(tensor.untyped_storage().nbytes() // tensor.element_size() for tensor in kept)
    del answer
    return values
