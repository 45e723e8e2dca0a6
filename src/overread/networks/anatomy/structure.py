"""The blocks of a network in the order of a forward pass, and the ways that maps take between them.

Nothing is told by the network itself: it is sent an image without values, and what meets what is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import nn

from overread.networks.anatomy.blocks import blocks_of, is_head
from overread.networks.anatomy.kinds import CONVOLUTION, LINEAR, POOLING, UPSAMPLING, is_over_all, is_pool, is_upsampling, kind_of
from overread.networks.anatomy.labels import label_of
from overread.networks.anatomy.trace import Operation, Trace, traced
from overread.networks.count import Layer

IMAGE = -1  # where every way begins


@dataclass(frozen=True)
class Block:
    """One box of a drawing.

    name        the module, or the operation where no module stands for it; the first of `times` equal ones in a row
    label       in words;  kind  one of `kinds.KINDS`
    size        of its maps, ([Z,] Y, X); of tokens (tokens,); empty where it answers with one number per channel
    channels    of its answer
    maps        how many maps it answers with, the finest of which is described: 1, more of a feature pyramid
    runs        how often it is run on one image: a head on every map of a pyramid
    slices      how many slices of the image it reads one by one; 1 where it reads the image whole
    parameters, macs  of all `times`, in all runs
    """

    name: str
    label: str
    kind: str
    size: tuple[int, ...]
    channels: int
    maps: int
    runs: int
    slices: int
    parameters: int
    macs: int
    times: int = 1

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "size": list(self.size)}


@dataclass(frozen=True)
class Structure:
    """blocks  in the order in which they are first run
    links   (from, to) by place in `blocks`, IMAGE for the image; several arrive where maps are added or laid beside each other
    shape   of the image, (C, [Z,] Y, X)
    """

    shape: tuple[int, ...]
    blocks: tuple[Block, ...]
    links: tuple[tuple[int, int], ...]

    def as_dict(self) -> dict[str, Any]:
        blocks = [block.as_dict() for block in self.blocks]
        return {"shape": list(self.shape), "blocks": blocks, "links": [list(link) for link in self.links]}


def structure(network: nn.Module, shape: Sequence[int], layers: Sequence[Layer] = ()) -> Structure:
    """What a network is built of.

    shape   of one image, (C, [Z,] Y, X)
    layers  as counted by `count.cost`, from which each block gets its multiplications
    """
    trace = traced(network, (1, *shape))
    walk = _Walk(network, trace, blocks_of(network, trace))
    walk.follow()
    blocks = [_described(box, walk, layers, tuple(shape)) for box in walk.boxes]
    links = sorted({(origin, place) for place, box in enumerate(walk.boxes) for origin in box.reads if origin != place})
    order = _in_reading_order(len(blocks), links)
    place_of = {old: new for new, old in enumerate(order)} | {IMAGE: IMAGE}
    moved = sorted((place_of[a], place_of[b]) for a, b in links)
    return _in_rows(tuple(shape), [blocks[old] for old in order], moved)


@dataclass
class _Box:
    """A block while maps are followed: its operations, and the places of those whose maps it read."""

    name: str
    operations: list[Operation] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    shape: tuple[int, ...] = ()
    maps: int = 1
    runs: int = 0


class _Walk:
    """Follows every map from block to block."""

    def __init__(self, network: nn.Module, trace: Trace, chosen: Sequence[str]) -> None:
        self.modules = dict(network.named_modules())
        self.composed = {name for name, module in self.modules.items() if any(module.children())}
        self.trace, self.chosen = trace, set(chosen)
        self.boxes: list[_Box] = []
        self.place: dict[str, int] = {}
        self.origins: dict[int, frozenset[int]] = {trace.image: frozenset({IMAGE})}

    def follow(self) -> None:
        answers = iter(self.trace.answers)
        answer = next(answers, None)
        for number, operation in enumerate(self.trace.operations):
            while answer is not None and answer.after <= number:
                self._close(answer.module, answer.shapes)
                answer = next(answers, None)
            self._take(operation)
        while answer is not None:
            self._close(answer.module, answer.shapes)
            answer = next(answers, None)

    def _take(self, operation: Operation) -> None:
        inside = next((part for name in operation.inside for part in _above(name) if part in self.chosen), None)
        origins = frozenset().union(*(self.origins.get(number, frozenset()) for number in operation.reads))
        if inside is None and operation.inside[-1] in self.composed and (name := _alone(operation)):
            inside = f"{name} {len(self.boxes)}"
        if inside is not None:
            place = self._place(inside)
            box = self.boxes[place]
            box.reads |= origins - {place}
            box.operations.append(operation)
            if not box.runs:  # what a module answers is known when it has run; some never run as a whole
                box.shape = operation.shapes[0]
            origins = frozenset({place})
        for number in operation.gives:
            self.origins[number] = origins

    def _place(self, name: str) -> int:
        if name not in self.place:
            self.place[name] = len(self.boxes)
            self.boxes.append(_Box(name))
        return self.place[name]

    def _close(self, module: str, shapes: tuple[tuple[int, ...], ...]) -> None:
        if module in self.place:
            box = self.boxes[self.place[module]]
            box.runs += 1
            if box.runs == 1 and shapes:
                box.shape, box.maps = shapes[0], len(shapes)


def _above(name: str) -> list[str]:
    """``a.b.c`` -> a, a.b, a.b.c"""
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


def _alone(operation: Operation) -> str:
    """The name of a box for what is done to a map outside of any block; "" where it is not worth one."""
    if is_pool(operation.name):
        return "pooling"
    if is_upsampling(operation.name):
        return "upsampling"
    return "average" if is_over_all(operation) else ""


def _described(box: _Box, walk: _Walk, layers: Sequence[Layer], image: tuple[int, ...]) -> Block:
    module = walk.modules.get(box.name)
    channels, size = _laid_out(box.shape, box.operations, image)
    runs = box.runs
    if module is not None and is_head(module) and (levels := _levels(box)):
        size, runs = levels[0], len(levels)
    if module is None:
        kind = UPSAMPLING if box.name.startswith("upsampling") else POOLING
        word = box.name.split()[0]
        label = word if word != "average" else _of_all(box.operations)
        return Block(box.name.split()[0], label, kind, size, channels, 1, 1, _slices(box, image), 0, 0)
    macs = sum(layer.macs for layer in layers if layer.name == box.name or layer.name.startswith(f"{box.name}."))
    kind = kind_of(module, box.operations)
    if is_head(module) and kind not in (LINEAR, UPSAMPLING):
        kind = CONVOLUTION  # answers to several maps are laid beside each other, which says nothing of the head
    label = _of_all(box.operations) if kind == POOLING and not size else label_of(module, kind)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Block(box.name, label, kind, size, channels, box.maps, max(1, runs), _slices(box, image), parameters, macs)


def _of_all(operations: Sequence[Operation]) -> str:
    return "maximum of all" if any("max" in operation.name for operation in operations) else "average of all"


def _levels(box: _Box) -> list[tuple[int, ...]]:
    """The sizes of map that a detector's head answers to, finest first; empty where there is one."""
    sizes = {o.shapes[0][2:] for o in box.operations if o.name == "convolution"}
    return sorted(sizes, key=prod, reverse=True) if len(sizes) > 1 else []


def _laid_out(shape: tuple[int, ...], operations: Sequence[Operation], image: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Channels, and the size of the map, of (B, C, [Z,] Y, X), (B, [Z,] Y, X, C), tokens (B, N, C) and numbers (B, C)."""
    if len(shape) < 3:
        return (shape[-1] if shape else 0), ()
    if len(shape) == 3:
        return shape[2], (shape[1],)
    norms = [operation.over[-1] for operation in operations if operation.name == "native_layer_norm"]
    is_last = bool(norms) and shape[1] != norms[-1] and norms[-1] in (shape[-1], 2 * shape[-1], 4 * shape[-1])
    channels, size = (shape[-1], shape[1:-1]) if is_last else (shape[1], shape[2:])
    return channels, (() if all(edge == 1 for edge in size) else size)


def _slices(box: _Box, image: tuple[int, ...]) -> int:
    is_by_slice = len(image) == 4 and len(box.shape) in (2, 4) and box.shape[0] == image[1]
    return box.shape[0] if is_by_slice else 1


def _in_reading_order(count: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """A block beside the main way, computed early and needed late, stands just before the first that needs it."""
    order = list(range(count))
    for block in reversed(range(count)):
        place = order.index(block)
        before = order[place - 1] if place else IMAGE
        after = order[place + 1] if place + 1 < count else None
        readers = [order.index(b) for a, b in links if a == block]
        is_aside = (before, block) not in links or (before, after) in links
        if readers and is_aside and (block, after) not in links:
            order.remove(block)
            order.insert(min(readers) - 1, block)
    return order


def _in_rows(shape: tuple[int, ...], blocks: Sequence[Block], links: Sequence[tuple[int, int]]) -> Structure:
    """Equal blocks in a row become one, where nothing branches off between them."""
    arriving = {k: {a for a, b in links if b == k} for k in range(len(blocks))}
    leaving = {k: {b for a, b in links if a == k} for k in range(len(blocks))}
    rows: list[list[int]] = []
    for k, block in enumerate(blocks):
        last = rows[-1][-1] if rows else IMAGE
        if rows and _alike(blocks[last], block) and arriving[k] == {last} and leaving[last] == {k}:
            rows[-1].append(k)
        else:
            rows.append([k])
    row_of = {k: number for number, row in enumerate(rows) for k in row} | {IMAGE: IMAGE}
    joined = []
    for row in rows:
        first, many = blocks[row[0]], [blocks[k] for k in row]
        totals = {"parameters": sum(b.parameters for b in many), "macs": sum(b.macs for b in many), "times": len(row)}
        joined.append(Block(**{**first.__dict__, **totals}))
    kept = sorted({(row_of[a], row_of[b]) for a, b in links if row_of[a] != row_of[b]})
    return Structure(shape, tuple(joined), tuple(kept))


def _alike(one: Block, other: Block) -> bool:
    return (one.label, one.kind, one.size, one.channels, one.maps, one.slices) == (
        other.label,
        other.kind,
        other.size,
        other.channels,
        other.maps,
        other.slices,
    ) and bool(one.size)
