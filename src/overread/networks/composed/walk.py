"""A walk through a list of blocks with shapes alone: what comes, what goes, what it costs, before any memory is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from overread.core.errors import OverreadError
from overread.networks.blocks.block import MAPS, VECTOR, Shape, in_words, kind_of
from overread.networks.composed.grammar import IMAGE_LABEL, Line

SOME_SIZE = 64  # pixels: images of a network that reads any size, for the walk


@dataclass(frozen=True)
class Style:
    """What every block takes that names none of its own; None: what is usual for the block."""

    norm: str | None = None
    activation: str | None = None

    def given_to(self, line: Line, time: int) -> dict[str, Any]:
        """The bare value and the options of a line's block, completed."""
        own = {"norm": self.norm, "activation": self.activation}
        own = {name: value for name, value in own.items() if value is not None and name in line.block.options}
        return {**own, **line.values_of(time)}


@dataclass(frozen=True)
class Placed:
    """A block in its place.

    reached     for each time that it stands there, the shapes that reach it: what comes, then what its labels hold
    goes        the shape that leaves it
    parameters  learned numbers
    macs        multiplications with addition for one image
    """

    line: Line
    reached: tuple[tuple[Shape, ...], ...]
    goes: Shape
    parameters: int
    macs: int

    @property
    def came(self) -> Shape:
        return self.reached[0][0]


def divisor_of(lines: Sequence[Line], dimensions: int) -> tuple[int, ...]:
    """What each axis of an image must be a multiple of, so that every grid on the way is a whole one."""
    divisor = (1,) * dimensions
    for steps in grids_of(lines, dimensions):
        divisor = tuple(lcm(by, step.numerator) for by, step in zip(divisor, steps, strict=True))
    return divisor


def grids_of(lines: Sequence[Line], dimensions: int) -> list[tuple[Fraction, ...]]:
    """Voxels of the image per voxel of the grid after each line, per axis."""
    steps, grids = (Fraction(1),) * dimensions, []
    at_label = {IMAGE_LABEL: steps}
    for line in lines:
        for time in range(line.times):
            with_line = _step(line, dimensions, time)
            steps = tuple(before * by for before, by in zip(steps, with_line, strict=True))
        if line.block.name in ("unpool", "feature_pyramid"):  # the grid of their first label
            steps = at_label[line.reads[0]]
        if line.label:
            at_label[line.label] = steps
        grids.append(steps)
    return grids


def _step(line: Line, dimensions: int, time: int) -> tuple[Fraction, ...]:
    try:
        return line.block.step(dimensions, line.values_of(time))
    except OverreadError as error:
        raise line.error(error.what, next=error.next) from error


def make(line: Line, time: int, shapes: Sequence[Shape], style: Style) -> nn.Module:
    """The module of one block, for the shapes that reach it."""
    values = style.given_to(line, time)
    try:
        return line.block.build(tuple(shapes), **values)
    except OverreadError as error:
        raise line.error(error.what, next=error.next) from error
    except (RuntimeError, ValueError) as error:
        raise line.error(f"{in_words(shapes[0])} came; {str(error).splitlines()[0]}") from error


def walk(
    lines: Sequence[Line], channels: int, dimensions: int, image_size: Sequence[int] | None, style: Style
) -> tuple[Placed, ...]:
    """Every block in its place; the first that does not fit is refused with the shapes that came and were expected.

    image_size  voxels along [Z,] Y, X; None for a network that reads any size
    """
    size = _size(lines, dimensions, image_size)
    at_hand: Shape = (channels, *size)
    held = {IMAGE_LABEL: at_hand}
    placed = []
    for line in lines:
        _refuse_unfit(line, at_hand, dimensions, image_size)
        reached, parameters, macs = [], 0, 0
        for time in range(line.times):
            reached.append((at_hand, *(held[label] for label in line.reads)))
            at_hand, learned, done = _through(line, time, reached[-1], style)
            parameters, macs = parameters + learned, macs + done
        if line.label:
            held[line.label] = at_hand
        placed.append(Placed(line, tuple(reached), at_hand, parameters, macs))
    return tuple(placed)


def _size(lines: Sequence[Line], dimensions: int, image_size: Sequence[int] | None) -> tuple[int, ...]:
    if image_size is None:
        return tuple(ceil(SOME_SIZE / by) * by for by in divisor_of(lines, dimensions))
    if len(image_size) != dimensions:
        raise OverreadError(
            f"image_size = {list(image_size)} has {len(image_size)} numbers, and the images have {dimensions} axes",
            next="give the pixels along [Z,] Y, X",
        )
    return tuple(int(voxels) for voxels in image_size)


def _through(line: Line, time: int, shapes: Sequence[Shape], style: Style) -> tuple[Shape, int, int]:
    """The shape after a block, its learned numbers and its multiplications for one image."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        ghost = make(line, time, shapes, style).eval()
        try:
            answer = ghost(*[torch.empty(1, *shape) for shape in shapes])
        except OverreadError as error:
            raise line.error(error.what, next=error.next) from error
        except (RuntimeError, ValueError) as error:  # torch's own complaint about a size
            what = f"{in_words(shapes[0])} came; {str(error).splitlines()[0]}"
            raise line.error(what, next="take larger images, or fewer blocks that make the grid coarser") from error
    if 0 in answer.shape:
        raise line.error(
            f"{in_words(shapes[0])} came, and nothing is left of them", next="take fewer blocks that make the grid coarser"
        )
    learned = sum(values.numel() for values in ghost.parameters())
    return tuple(answer.shape[1:]), learned, counter.get_total_flops() // 2


def _refuse_unfit(line: Line, came: Shape, dimensions: int, image_size: Sequence[int] | None) -> None:
    block = line.block
    if dimensions not in block.dimensions:
        only = " and ".join(f"{axes}D" for axes in sorted(block.dimensions))
        raise line.error(f"{block.name} reads {only} images, and these are {dimensions}D", next="take another block")
    if kind_of(came) not in block.reads:
        raise line.error(
            f"{in_words(came)} came, and {block.name} reads {' or '.join(block.reads)}", next=_way(came, block.reads)
        )
    if block.needs_size and image_size is None:
        raise line.error(
            f"{block.name} ties the network to one size of image, and the size is not known",
            next="set image_size = [...] (pixels along [Z,] Y, X), or take global_average in its place",
        )


def _way(came: Shape, reads: tuple[str, ...]) -> str:
    if kind_of(came) == MAPS:
        return 'put "global_average" or "flatten" before it' if VECTOR in reads else 'put "slices" before it'
    return "put it before the maps become a vector"


def last_linear_apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The list without the `linear` at its end that gives the answer; such a one elsewhere is refused."""
    *before, last = lines
    if last.block.name == "linear" and not last.values:
        lines = before
    for line in lines:
        if line.block.name == "linear" and not line.values:
            raise line.error("linear without a number gives the answer, and is not the last block", next='write "linear 64"')
    if not lines:
        raise last.error(
            "there is no block before the answer", next='put "flatten" or a convolution and "global_average" before it'
        )
    return tuple(lines)
