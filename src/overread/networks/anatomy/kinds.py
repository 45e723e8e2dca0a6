"""What kind of block a module is: told from what it does in a forward pass, so that it holds for any library's classes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from overread.networks.anatomy.trace import Operation

CONVOLUTION, RESIDUAL, BRANCHES, SCALES, ATTENTION = "convolution", "residual", "branches", "several scales", "attention"
POOLING, UPSAMPLING, LINEAR, RECURRENT, OTHER = "pooling", "upsampling", "fully connected", "recurrent", "other"
KINDS = (CONVOLUTION, RESIDUAL, BRANCHES, SCALES, ATTENTION, RECURRENT, POOLING, UPSAMPLING, LINEAR, OTHER)
ONE_LAYER = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase)
_POOLS = re.compile(r"max_pool|avg_pool|adaptive_(max|avg)")
_UPS = re.compile(r"upsample|max_unpool|pixel_shuffle|grid_sampler")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear")
ADDS = ("add", "add_")
_BY_NAME = (  # where a class is known by its name, as one block of a row lacks the shortcut that its neighbours have
    (re.compile(r"AttentionGate|SpatialAttention|SqueezeExcitation"), ATTENTION),
    (re.compile(r"FeaturePyramid|ASPP|PyramidPool|PPM$"), SCALES),
    (re.compile(r"Residual|Bottleneck|BasicBlock|ResBlock|PreActivation"), RESIDUAL),
    (re.compile(r"Dense_?Block|Inception([A-E]|Block)?$"), BRANCHES),
)


def is_pool(name: str) -> bool:
    return _POOLS.search(name) is not None


def is_upsampling(name: str) -> bool:
    return _UPS.search(name) is not None


def is_over_all(operation: Operation) -> bool:
    """A mean, or a maximum, over all places of a map."""
    return operation.name in ("mean", "amax") and (len(operation.over) > 1 or len(operation.shapes[0]) == 2)


def is_layer(name: str) -> bool:
    """Whether an operation is worth a box: it learns, or it changes the size of a map."""
    return name in ("convolution", *PRODUCTS) or is_pool(name) or is_upsampling(name) or "scaled_dot_product" in name


def kind_of(module: nn.Module, operations: Sequence[Operation]) -> str:
    """The kind of a block.

    operations  of one run of the module
    """
    names = [operation.name for operation in operations]
    layers = [m for m in module.modules() if isinstance(m, ONE_LAYER)]
    convolutions = [m for m in layers if isinstance(m, nn.modules.conv._ConvNd)]
    if any(isinstance(m, nn.RNNBase) for m in layers):
        return RECURRENT
    if _attends(names):
        return ATTENTION
    for pattern, kind in _BY_NAME:
        if pattern.search(type(module).__name__):
            return kind
    if not layers and (any(map(is_pool, names)) or any(map(is_over_all, operations))):
        return POOLING
    if any(m.transposed for m in convolutions) or any(map(is_upsampling, names)):
        return UPSAMPLING if len(convolutions) <= 2 else _joined(operations, default=UPSAMPLING)
    if convolutions:
        return _joined(operations, default=CONVOLUTION)
    return LINEAR if layers else OTHER


def _joined(operations: Sequence[Operation], *, default: str) -> str:
    """How maps of several ways come together: laid beside each other, or added."""
    beside = [op for op in operations if op.name == "cat" and len(set(op.reads)) > 1]
    added = [op for op in operations if op.name in ADDS and len(set(op.reads)) > 1]
    inner = {number for op in operations for number in op.gives}
    if any(sum(number in inner for number in op.reads) > 1 or len(beside) > 1 for op in beside):
        return BRANCHES
    return RESIDUAL if added else default


def _attends(names: Sequence[str]) -> bool:
    """Products of maps with maps, weighed by a softmax."""
    products = any(name in ("bmm", "baddbmm", "matmul") for name in names)
    return any("scaled_dot_product" in name for name in names) or (products and any(name.endswith("softmax") for name in names))
