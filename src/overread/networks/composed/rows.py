"""The composed network in the table of networks: how it is built from the list in `[training.network]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from overread.networks.architecture import BOTH, Architecture
from overread.networks.composed.grammar import Line, parse
from overread.networks.composed.network import ComposedNetwork
from overread.networks.composed.walk import Style, divisor_of, last_linear_apart

EXAMPLES = {  # what is built where no list is given
    "image": ("conv 32", "max_pool 2", "residual 64", "max_pool 2", "residual 128", "global_average", "linear"),
    "dense": ("conv 32 as fine", "max_pool 2", "residual 64", "upsample 2", "concat fine", "conv 32"),
}
NORMS = {"image": "batch", "dense": "instance"}  # where none is given


def composed(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    serves: str,
    *,
    blocks: Any = None,
    image_size: Any = None,
    norm: str | None = None,
    activation: str | None = None,
    dropout: float = 0.0,
) -> nn.Module:
    """A network from a list of blocks, each a text such as "residual 64 stride=2 x2 as half".

    norm, activation  of every block that names none of its own
    dropout           before the answer
    """
    style = Style(norm or NORMS[serves], activation)
    shape = (in_channels, out_channels, dimensions, serves)
    return ComposedNetwork(_lines(blocks, serves), *shape, image_size=image_size, style=style, dropout=dropout)


def _divisor(dimensions: int, options: Mapping[str, Any]) -> Sequence[int]:
    return divisor_of(_lines(options.get("blocks"), "dense"), dimensions)


def _lines(blocks: Any, serves: str) -> tuple[Line, ...]:
    lines = parse(EXAMPLES[serves] if blocks is None else blocks)
    return last_linear_apart(lines) if serves == "image" else lines


ROWS = (
    Architecture(
        "composed",
        frozenset({"image", "dense"}),
        BOTH,
        "the list of blocks in [training.network]; each block names its paper",
        "Apache-2.0",
        composed,
        divisor=_divisor,
    ),
)
