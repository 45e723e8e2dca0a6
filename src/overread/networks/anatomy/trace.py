"""A forward pass written down: which operation met which map, inside which module. Shapes only, nothing is computed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Operation:
    """One operation of torch.

    inside   names of the modules that were running, outermost first
    name     of the operation, without its overload: "convolution", "cat"
    reads, gives  numbers of the maps that it read and gave
    shapes   of what it gave
    over     dimensions of a mean or maximum, or sizes of a layer normalisation
    """

    inside: tuple[str, ...]
    name: str
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    over: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a module answered when it was run once: numbers and shapes of its maps, and after how many operations."""

    module: str
    gives: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    after: int


@dataclass
class Trace:
    """image  number of the image's tensor; operations and answers in the order in which they happened"""

    image: int = 0
    operations: list[Operation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def traced(network: nn.Module, shape: Sequence[int]) -> Trace:
    """Send an image without values through a copy of the network.

    shape  of the input, (B, C, [Z,] Y, X)
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    images = torch.empty(tuple(shape), device="meta")
    writer = _Writer()
    writer.number(images)
    with torch.no_grad(), _watched(ghost, writer), writer:
        ghost(images)
    return writer.trace


class _Writer(TorchDispatchMode):
    """Keeps every tensor alive, so that no two go by one number; they hold no values."""

    def __init__(self) -> None:
        super().__init__()
        self.trace = Trace()
        self.running: list[str] = []
        self.numbers: dict[int, int] = {}
        self.alive: list[Tensor] = []

    def number(self, tensor: Tensor) -> int:
        if id(tensor) not in self.numbers:
            self.numbers[id(tensor)] = len(self.alive)
            self.alive.append(tensor)
        return self.numbers[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        given = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, Tensor)]
        reads = tuple(self.numbers[id(t)] for t in given if id(t) in self.numbers)
        outputs = [t for t in tree_leaves(answer) if isinstance(t, Tensor)]
        if reads and outputs:
            name = func.overloadpacket.__name__
            gives, shapes = tuple(map(self.number, outputs)), tuple(tuple(t.shape) for t in outputs)
            self.trace.operations.append(Operation(tuple(self.running), name, reads, gives, shapes, _over(name, args)))
        return answer


def _over(name: str, args: Sequence[Any]) -> tuple[int, ...]:
    if name in ("mean", "amax", "native_layer_norm") and len(args) > 1 and isinstance(args[1], Sequence):
        return tuple(int(n) for n in args[1])
    return (int(args[1]),) if name in ("mean", "amax") and len(args) > 1 and isinstance(args[1], int) else ()


@contextmanager
def _watched(network: nn.Module, writer: _Writer) -> Iterator[None]:
    def enter(name: str) -> Callable[..., None]:
        return lambda *_: writer.running.append(name)

    def leave(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            maps = [t for t in tree_leaves(output) if isinstance(t, Tensor) and id(t) in writer.numbers]
            gives, shapes = tuple(writer.number(t) for t in maps), tuple(tuple(t.shape) for t in maps)
            writer.trace.answers.append(Answer(name, gives, shapes, len(writer.trace.operations)))
            writer.running.pop()

        return note

    hooks = []
    for name, module in network.named_modules():
        hooks += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave(name))]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
