"""What the table says of a block, and how a block is asked for the shapes it gets.

A shape leaves the batch out: maps (C, [Z,] Y, X), slices (slices, F), a vector (F,).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, get_type_hints

from torch import nn

from overread.core.errors import OverreadError

BOTH, PLANE, VOLUME = frozenset({2, 3}), frozenset({2}), frozenset({3})
Shape = tuple[int, ...]
Size = int | tuple[int, ...]  # one number for all axes, or one per axis

MAPS, SLICES, VECTOR = "maps", "slices", "a vector"


@dataclass(frozen=True)
class Block:
    """One block that can be asked for by name.

    name        as written in a list of blocks
    title       as written in a paper
    dimensions  2, 3 or both: of the images
    paper       where it was published
    purpose     what it is for, in one plain sentence
    build       (shapes, [first,] *, options) to the module; shapes[0] is what comes, the others what the labels hold
    reads       kinds of shape that it takes: MAPS, SLICES, VECTOR
    joins       it reads labelled maps beside those at hand: module(maps, *labelled)
    coarser     options that divide the grid, the first that is given counts
    finer       the option that multiplies it
    needs_size  it is built for one size of image alone
    """

    name: str
    title: str
    dimensions: frozenset[int]
    paper: str
    purpose: str
    build: Callable[..., nn.Module]
    reads: tuple[str, ...] = (MAPS,)
    joins: bool = False
    coarser: tuple[str, ...] = ()
    finer: str = ""
    needs_size: bool = False

    @property
    def first(self) -> inspect.Parameter | None:
        """What the bare value behind the name means: features, size, rate ... none for a block that takes no such value."""
        arguments = list(inspect.signature(self.build).parameters.values())[1:]
        return next((argument for argument in arguments if argument.kind is argument.POSITIONAL_OR_KEYWORD), None)

    @property
    def options(self) -> dict[str, Any]:
        """Name and default of everything that is written as name=value."""
        arguments = inspect.signature(self.build).parameters.values()
        return {argument.name: argument.default for argument in arguments if argument.kind is argument.KEYWORD_ONLY}

    @property
    def types(self) -> dict[str, Any]:
        """Of the bare value and of every option."""
        return get_type_hints(self.build)

    def step(self, dimensions: int, values: dict[str, Any]) -> tuple[Fraction, ...]:
        """How many voxels of the grid before lie in one of the grid after, per axis; 1/2 where the block refines.

        values  the bare value and the options that were written, by name
        """
        known = {**self.options, **({self.first.name: self.first.default} if self.first else {}), **values}
        given = [known[name] for name in self.coarser if known.get(name) is not None]
        if given:
            return tuple(Fraction(each) for each in per_axis(given[0], dimensions, self.coarser[0]))
        if self.finer:
            return tuple(1 / Fraction(each) for each in per_axis(known[self.finer], dimensions, self.finer))
        return (Fraction(1),) * dimensions


def kind_of(shape: Shape) -> str:
    """Maps, slices or a vector."""
    return {1: VECTOR, 2: SLICES}.get(len(shape), MAPS)


def in_words(shape: Shape) -> str:
    """A shape as a reader says it: 64 maps of 32 x 32, 20 slices of 64 features, a vector of 64."""
    if kind_of(shape) == VECTOR:
        return f"a vector of {shape[0]}"
    if kind_of(shape) == SLICES:
        return f"{shape[0]} slices of {shape[1]} features"
    return f"{shape[0]} maps of {' x '.join(str(voxels) for voxels in shape[1:])}"


def per_axis(value: Size, dimensions: int, name: str) -> tuple[int, ...]:
    """One number per axis of the image."""
    each = (value,) * dimensions if isinstance(value, int) else tuple(value)
    if len(each) != dimensions or min(each) < 1:
        given = "x".join(str(number) for number in each)
        raise OverreadError(
            f"{name}={given} does not fit images of {dimensions} axes",
            next=f"give one number of 1 or more, or {dimensions} joined by x, such as {'x'.join('2' * dimensions)}",
        )
    return each


def written(numbers: Sequence[int]) -> str:
    """Numbers per axis as they are written in a list of blocks: 2, or 1x2x2."""
    return str(numbers[0]) if len(set(numbers)) == 1 else "x".join(str(number) for number in numbers)


def way_between(have: Sequence[int], wanted: Sequence[int]) -> str:
    """The block that leads from one grid to another, as it is written; "" where there is no simple one."""
    pairs = list(zip(have, wanted, strict=True))
    if all(fine % coarse == 0 for coarse, fine in pairs):
        return f"upsample {written([fine // coarse for coarse, fine in pairs])}"
    if all(fine % coarse == 0 for fine, coarse in pairs):
        return f"max_pool {written([fine // coarse for fine, coarse in pairs])}"
    return ""


def odd(kernel: Size, dimensions: int) -> tuple[int, ...]:
    """A kernel with a voxel in its middle, one size per axis."""
    sizes = per_axis(kernel, dimensions, "kernel")
    if any(size % 2 == 0 for size in sizes):
        raise OverreadError(f"a kernel of {' x '.join(map(str, sizes))} has no voxel in its middle", next="take odd sizes")
    return sizes


def axes_of(shapes: Sequence[Shape]) -> int:
    """Spatial axes of the maps at hand."""
    return len(shapes[0]) - 1
