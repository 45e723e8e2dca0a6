"""One small instance of every block in the table, for tests that go over all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from overread.networks.blocks.block import MAPS, SLICES, Shape
from overread.networks.blocks.table import BLOCKS

GIVEN = {  # name: bare value and options
    "conv": ((6,), {"stride": 2, "dilation": 2, "groups": 2}),
    "separable": ((6,), {"stride": 2}),
    "deformable": ((6,), {}),
    "aspp": ((6,), {"rates": (1, 2)}),
    "patches": ((6,), {"size": 2}),
    "residual": ((6,), {"stride": 2, "attention": "squeeze_excitation"}),
    "preactivation": ((6,), {"stride": 2}),
    "bottleneck": ((8,), {"inner": 4, "groups": 2}),
    "inverted": ((4,), {"expand": 2, "squeeze": 0.5}),
    "inception": ((16,), {}),
    "dense_block": ((3,), {"layers": 2}),
    "transition": ((), {}),
    "max_pool": ((2,), {}),
    "average_pool": ((3,), {"stride": 2, "padding": 1}),
    "pyramid_pooling": ((6,), {"sizes": (1, 2)}),
    "upsample": ((2,), {}),
    "transposed": ((6,), {"scale": 2}),
    "pixel_shuffle": ((6,), {"scale": 2}),
    "squeeze_excitation": ((), {"ratio": 2}),
    "spatial_attention": ((), {"kernel": 3}),
    "self_attention": ((), {"heads": 2}),
    "transformer": ((), {"heads": 2, "ratio": 2}),
    "recurrent": ((3,), {"kind": "gru"}),
    "attention_pooling": ((3,), {}),
    "feature_pyramid": ((6,), {}),
    "norm": (("layer",), {}),
    "activation": (("silu",), {}),
    "dropout": ((0.0,), {}),
    "linear": ((3,), {}),
}
NAMES = [(name, dimensions) for name, block in BLOCKS.items() for dimensions in sorted(block.dimensions)]


def shapes_of(name: str, dimensions: int) -> tuple[Shape, ...]:
    """What reaches the block: at hand, then by label."""
    block = BLOCKS[name]
    if MAPS not in block.reads:
        return ((5, 4),) if SLICES in block.reads else ((4,),)
    at_hand = (4, *(4,) * dimensions)
    if not block.joins:
        return (at_hand,)
    return at_hand, (4, *((8,) * dimensions if name in ("unpool", "feature_pyramid") else at_hand[1:]))


def instance(name: str, dimensions: int) -> tuple[nn.Module, tuple[Shape, ...]]:
    given, options = GIVEN.get(name, ((), {}))
    shapes = shapes_of(name, dimensions)
    return BLOCKS[name].build(shapes, *given, **options), shapes


def shape_after(block: str, shapes: tuple[Shape, ...], *given: Any, **options: Any) -> Shape:
    """What a block makes of shapes; nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        module = BLOCKS[block].build(shapes, *given, **options).eval()
        return tuple(module(*tensors(shapes)).shape[1:])


def tensors(shapes: tuple[Shape, ...], batch: int = 2, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [torch.randn(batch, *shape, dtype=dtype) for shape in shapes]
