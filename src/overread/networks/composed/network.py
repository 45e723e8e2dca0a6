"""The network that a list of blocks makes, with the layer that gives the answer added at its end.

Source: the idea of a network as a list of named blocks, Chollet 2015 (Keras); here each is checked in its place first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import psutil
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.block import MAPS, VECTOR, in_words, kind_of, way_between
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.initial import he_initialise
from overread.networks.composed.grammar import IMAGE_LABEL, Line
from overread.networks.composed.walk import Placed, Style, divisor_of, grids_of, make, walk
from overread.networks.fit import refuse_indivisible

BYTES = 4  # of a float32
COPIES = 4  # of every learned number while training: itself, its gradient, two moments


class ComposedNetwork(nn.Module):
    """Blocks one after the other, earlier maps read again by their labels, and a layer for the answer.

    lines       the list, as parsed, without the layer for the answer
    serves      "image": the blocks end in a vector, and a linear layer answers; "dense": they end in maps as fine as the image,
                and a 1x1 convolution answers
    image_size  voxels along [Z,] Y, X, for lists that are built for one size; None for those that read any
    style       normalisation and activation of blocks that name none
    dropout     share silenced before the answer
    """

    def __init__(
        self,
        lines: Sequence[Line],
        in_channels: int,
        out_channels: int,
        dimensions: int,
        serves: str,
        *,
        image_size: Sequence[int] | None = None,
        style: Style,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.placed = walk(lines, in_channels, dimensions, image_size, style)
        _refuse_other_end(self.placed, serves)
        _refuse_too_large(self.placed)
        self.dimensions, self.serves, self.divisor = dimensions, serves, divisor_of(lines, dimensions)
        self.grids = set(grids_of(lines, dimensions))
        is_tied = any(line.block.needs_size for line in lines)
        self.only_size = self.placed[0].came[1:] if is_tied else None
        self.blocks = nn.ModuleDict(
            {f"{place.line.number}_{place.line.block.name}": _module(place, style) for place in self.placed}
        )
        ends = self.placed[-1].goes[0]
        is_dense = serves == "dense"
        self.dropout = make_dropout("channels" if is_dense else "elements", dropout, dimensions)
        self.head = convolution(ends, out_channels, (1,) * dimensions) if is_dense else nn.Linear(ends, out_channels)
        he_initialise(self, slope=0.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits: (B, C, [Z,] Y, X) to (B, out_channels) per image, or (B, out_channels, [Z,] Y, X) per voxel."""
        return self.head(self.dropout(self._after_each(images)[-1]))

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        """Logits per voxel at full resolution alone: a list of blocks answers at one place."""
        return [self(images)]

    def features(self, images: Tensor) -> Tensor:
        """(B, F): the vector before the answer; of masks, the coarsest maps averaged over space."""
        after = self._after_each(images)
        if self.serves == "image":
            return after[-1]
        coarsest = min(reversed(after), key=lambda maps: maps[0, 0].numel())
        return coarsest.flatten(2).mean(2)

    def _after_each(self, images: Tensor) -> list[Tensor]:
        """What leaves each line of the list."""
        self._refuse_size(tuple(images.shape[2:]))
        at_hand, held, after = images, {IMAGE_LABEL: images}, []
        for place, block in zip(self.placed, self.blocks.values(), strict=True):
            at_hand = block(at_hand, *(held[label] for label in place.line.reads))
            if place.line.label:
                held[place.line.label] = at_hand
            after.append(at_hand)
        return after

    def _refuse_size(self, size: tuple[int, ...]) -> None:
        source = "this composed network"
        if self.only_size is not None and size != self.only_size:
            line = next(place.line for place in self.placed if place.line.block.needs_size)
            raise line.error(
                f"it ties {source} to images of {_size(self.only_size)}, and one of {_size(size)} came",
                next="set image_size, or take global_average in its place",
            )
        if len(size) != self.dimensions or self.serves == "dense":
            refuse_indivisible(size, self.divisor, source)
        if self.serves == "dense" and size in self.grids and max(size) > 1:
            raise OverreadError(
                f"an image of {_size(size)} leaves one voxel on the coarsest grid of {source}, which has no neighbours",
                next="pad the image, or take fewer blocks that make the grid coarser",
            )


def _module(place: Placed, style: Style) -> nn.Module:
    modules = [make(place.line, time, shapes, style) for time, shapes in enumerate(place.reached)]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _refuse_other_end(placed: Sequence[Placed], serves: str) -> None:
    """Stop where the list does not end in what the answer is made of."""
    image, end, last = placed[0].came, placed[-1].goes, placed[-1].line
    if serves == "image" and kind_of(end) != VECTOR:
        raise last.error(
            f"the list ends in {in_words(end)}, and an answer per image is made of a vector",
            next='put "global_average" at the end' if kind_of(end) == MAPS else 'put "attention_pooling" at the end',
        )
    if serves == "dense" and kind_of(end) != MAPS:
        raise last.error(
            f"the list ends in {in_words(end)}, and an answer per voxel is made of maps of {_size(image[1:])}",
            next="leave out the blocks that give up the places, such as global_average, flatten and linear",
        )
    if serves == "dense" and end[1:] != image[1:]:
        way = way_between(end[1:], image[1:])
        raise last.error(
            f"the list ends in {in_words(end)} for an image of {_size(image[1:])}, and an answer per voxel needs its own grid",
            next=f'put "{way}" at the end' if way else "take pools whose stride is their size, without padding",
        )


def _refuse_too_large(placed: Sequence[Placed]) -> None:
    """Stop where the weights while training and the maps of one image exceed this machine's memory, before any is taken."""
    weights = sum(place.parameters for place in placed) * BYTES * COPIES
    maps = sum(prod(place.goes) for place in placed) * BYTES
    free = psutil.virtual_memory().available
    if weights + maps <= free:
        return
    largest = max(placed, key=lambda place: place.parameters * COPIES + prod(place.goes))
    raise largest.line.error(
        f"the network needs {(weights + maps) / 2**30:.1f} GiB to learn from one image of {_size(placed[0].came[1:])} and "
        f"{free / 2**30:.1f} GiB are free; most goes here: {in_words(largest.came)} to {in_words(largest.goes)} by "
        f"{largest.parameters / 1e6:.1f} million parameters and {largest.macs / 1e9:.1f} billion multiplications",
        next="take fewer features, or put a max_pool or global_average before it",
    )


def _size(size: Sequence[int]) -> str:
    return " x ".join(str(voxels) for voxels in size)
