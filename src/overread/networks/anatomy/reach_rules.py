"""What each operation of torch does to the reach of a map; the rest is taken for reading everything, and said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from overread.networks.anatomy.reach import NOWHERE, Along, Reach, union

aten = torch.ops.aten
IN_A_ROW = "places laid in one row"


@dataclass(frozen=True)
class Call:
    """One operation.

    args     as it was called
    reaches  of those of its tensors that depend on the image, in order, each with the tensor
    output   its (first) answer
    """

    args: Sequence[Any]
    reaches: Sequence[tuple[Reach, Tensor]]
    output: Tensor

    def arg(self, place: int, default: Any) -> Any:
        return self.args[place] if len(self.args) > place else default

    @property
    def entry(self) -> tuple[Reach, Tensor]:
        return self.reaches[0]


Rule = Callable[[Call], Reach]


def pointwise(call: Call) -> Reach:
    return union([(reach, tensor.ndim) for reach, tensor in call.reaches], call.output.ndim)


def same(call: Call) -> Reach:
    return call.entry[0]


def _window(call: Call, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Reach:
    reach, tensor = call.entry
    axes = []
    count = tensor.ndim - 2
    sizes = [_each(value, count) for value in (kernel, stride or kernel, padding, dilation)]
    for axis in reach.axes:
        if axis.dim is None or axis.dim < 2:
            axes.append(axis)
            continue
        taps, step, pad, gap = (values[axis.dim - 2] for values in sizes)
        first = np.arange(call.output.shape[axis.dim]) * step - pad
        parts = [axis.over(first + tap * gap, first + tap * gap) for tap in range(taps)] if gap > 1 else []
        axes.append(_union_of(parts) if parts else axis.over(first, first + taps - 1))
    return Reach(tuple(axes), reach.why)


def _union_of(parts: Sequence[Along]) -> Along:
    return Along(parts[0].dim, np.min([p.low for p in parts], axis=0), np.max([p.high for p in parts], axis=0))


def convolution(call: Call) -> Reach:
    """aten.convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)"""
    weight, stride, padding, dilation, transposed = call.args[1], *call.args[3:7]
    kernel = tuple(weight.shape[2:])
    if not transposed:
        return _window(call, kernel, stride, padding, dilation)
    reach, tensor = call.entry
    count = tensor.ndim - 2
    sizes = [_each(value, count) for value in (kernel, stride, padding, dilation)]
    axes = []
    for axis in reach.axes:
        if axis.dim is None or axis.dim < 2:
            axes.append(axis)
            continue
        taps, step, pad, gap = (values[axis.dim - 2] for values in sizes)
        out = np.arange(call.output.shape[axis.dim]) + pad
        parts = []
        for tap in range(taps):  # out = place * step + tap * gap
            place, odd = np.divmod(out - tap * gap, step)
            place[odd != 0] = -1
            parts.append(axis.over(place, place))
        axes.append(_union_of(parts))
    return Reach(tuple(axes), reach.why)


def max_pool(call: Call) -> Reach:
    return _window(call, call.args[1], call.arg(2, None), call.arg(3, 0), call.arg(4, 1))


def average_pool(call: Call) -> Reach:
    return _window(call, call.args[1], call.arg(2, None), call.arg(3, 0), 1)


def adaptive_pool(call: Call) -> Reach:
    reach, tensor = call.entry
    axes = []
    for axis in reach.axes:
        if axis.dim is None or axis.dim < 2:
            axes.append(axis)
            continue
        size, wanted = tensor.shape[axis.dim], call.output.shape[axis.dim]
        places = np.arange(wanted)
        axes.append(axis.over(places * size // wanted, -(-(places + 1) * size // wanted) - 1))
    return Reach(tuple(axes), reach.why)


def nearest(call: Call) -> Reach:
    return _scaled(call, neighbours=False)


def linear(call: Call) -> Reach:
    return _scaled(call, neighbours=True)


def _scaled(call: Call, *, neighbours: bool) -> Reach:
    reach, tensor = call.entry
    corners = neighbours and bool(call.arg(2, False))  # align_corners
    axes = []
    for axis in reach.axes:
        if axis.dim is None or axis.dim < 2:
            axes.append(axis)
            continue
        size, wanted = tensor.shape[axis.dim], call.output.shape[axis.dim]
        place = np.arange(wanted, dtype=np.float64)
        if not neighbours:
            at = np.floor(place * size / wanted)
        elif corners:
            at = place * (size - 1) / max(1, wanted - 1)
        else:
            at = np.maximum((place + 0.5) * size / wanted - 0.5, 0)
        first = np.floor(at + 1e-9).astype(np.int64)
        between = neighbours & (at - first > 1e-9)
        axes.append(axis.over(first, np.minimum(first + between, size - 1)))
    return Reach(tuple(axes), reach.why)


def reduced(call: Call) -> Reach:
    """mean, sum, amax, var ...(input, dims, keepdim)"""
    reach, tensor = call.entry
    given = call.arg(1, None)
    asked = range(tensor.ndim) if given is None or given == [] else [given] if isinstance(given, int) else given
    dims = [d % tensor.ndim for d in asked]
    joined = reach.joined(dims)
    if call.output.ndim == tensor.ndim:
        return joined
    kept = [d for d in range(tensor.ndim) if d not in dims]
    return joined.moved([kept.index(d) if d in kept else None for d in range(tensor.ndim)])


def joined_along(call: Call) -> Reach:
    """softmax and cumsum (input, dim, ...)"""
    reach, tensor = call.entry
    return reach.joined([call.args[1] % tensor.ndim])


def viewed(call: Call) -> Reach:
    """A dimension that keeps its size and what lies before it stays; others lose their places."""
    reach, tensor = call.entry
    new = {(prod(call.output.shape[:d]), n): d for d, n in enumerate(call.output.shape)}
    dims = [new.get((prod(tensor.shape[:d]), n)) for d, n in enumerate(tensor.shape)]
    lost = [a for a in reach.axes if a.dim is not None and dims[a.dim] is None and len(a.low) > 1]
    moved = reach.moved(dims)
    if not lost:
        return moved
    before = min(prod(tensor.shape[: a.dim]) for a in lost)
    row = max(d for d in range(call.output.ndim) if prod(call.output.shape[:d]) <= before)
    return Reach(moved.axes, reach.why or IN_A_ROW, row)


def permuted(call: Call) -> Reach:
    reach, tensor = call.entry
    order = [d % tensor.ndim for d in call.args[1]]
    return reach.moved([order.index(d) for d in range(tensor.ndim)])


def transposed(call: Call) -> Reach:
    reach, tensor = call.entry
    a, b = (d % tensor.ndim for d in (call.args[1:3] if len(call.args) > 2 else (0, 1)))
    dims: list[int] = list(range(tensor.ndim))
    dims[a], dims[b] = b, a
    return reach.moved(dims)


def unsqueezed(call: Call) -> Reach:
    reach, tensor = call.entry
    at = call.args[1] % (tensor.ndim + 1)
    return reach.moved([d + (d >= at) for d in range(tensor.ndim)])


def squeezed(call: Call) -> Reach:
    reach, tensor = call.entry
    given = call.arg(1, None)
    asked = range(tensor.ndim) if given is None else [given] if isinstance(given, int) else given
    gone = {d % tensor.ndim for d in asked if tensor.shape[d] == 1}
    kept = [d for d in range(tensor.ndim) if d not in gone]
    return reach.moved([kept.index(d) if d in kept else None for d in range(tensor.ndim)])


def sliced(call: Call) -> Reach:
    """aten.slice(input, dim, start, end, step)"""
    reach, tensor = call.entry
    dim = call.arg(1, 0) % tensor.ndim
    places = np.arange(tensor.shape[dim])[slice(call.arg(2, None), call.arg(3, None), call.arg(4, 1))]
    return Reach(tuple(a.taken(places) if a.dim == dim else a for a in reach.axes), reach.why)


def selected(call: Call) -> Reach:
    """aten.select(input, dim, index)"""
    reach, tensor = call.entry
    dim, index = call.args[1] % tensor.ndim, call.args[2]
    axes = [Along(None, a.low[[index]], a.high[[index]]) if a.dim == dim else a for a in reach.axes]
    return Reach(tuple(axes), reach.why).moved([None if d == dim else d - (d > dim) for d in range(tensor.ndim)])


def flipped(call: Call) -> Reach:
    reach, tensor = call.entry
    dims = {d % tensor.ndim for d in call.args[1]}
    axes = tuple(a.taken(np.arange(len(a.low))[::-1]) if a.dim in dims else a for a in reach.axes)
    return Reach(axes, reach.why)


def padded(call: Call) -> Reach:
    """aten.constant_pad_nd(input, padding from the last dimension on, value)"""
    reach, tensor = call.entry
    axes = []
    for axis in reach.axes:
        place = None if axis.dim is None else 2 * (tensor.ndim - 1 - axis.dim)
        if place is None or place >= len(call.args[1]):
            axes.append(axis)
            continue
        before, after = call.args[1][place : place + 2]
        ends = [axis.low[max(0, -before) : len(axis.low) - max(0, -after)]]
        highs = [axis.high[max(0, -before) : len(axis.high) - max(0, -after)]]
        around = (max(0, before), max(0, after))
        low = np.pad(ends[0], around, constant_values=NOWHERE)
        axes.append(Along(axis.dim, low, np.pad(highs[0], around, constant_values=-NOWHERE)))
    return Reach(tuple(axes), reach.why)


def laid_together(call: Call) -> Reach:
    """aten.cat(tensors, dim)"""
    dim = call.arg(1, 0) % call.output.ndim
    if not any(a.dim == dim for reach, _ in call.reaches for a in reach.axes):
        return pointwise(call)
    if len(call.reaches) < len(call.args[0]):
        return everything(call, "places laid together with others")
    axes = []
    for k, axis in enumerate(call.entry[0].axes):
        parts = [reach.axes[k] for reach, _ in call.reaches]
        if axis.dim == dim:
            axes.append(Along(dim, np.concatenate([p.low for p in parts]), np.concatenate([p.high for p in parts])))
        else:
            axes.append(_union_of(parts))
    return Reach(tuple(axes), next((reach.why for reach, _ in call.reaches if reach.why), ""))


def expanded(call: Call) -> Reach:
    reach, tensor = call.entry
    return reach.moved([d + call.output.ndim - tensor.ndim for d in range(tensor.ndim)])


def repeated(call: Call) -> Reach:
    """aten.repeat(input, times per dimension)"""
    reach, tensor = call.entry
    times = call.args[1]
    moved = reach.moved([d + len(times) - tensor.ndim for d in range(tensor.ndim)])
    axes = [a if a.dim is None else a.taken(np.tile(np.arange(len(a.low)), times[a.dim])) for a in moved.axes]
    return Reach(tuple(axes), reach.why)


def everything(call: Call, why: str) -> Reach:
    """Each unit may depend on all that any of the maps depends on: a bound."""
    parts = [reach.joined(why=why) for reach, _ in call.reaches]
    return union([(part, 0) for part in parts], 0)


def _each(value: Any, count: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values


GRID_POOLS = (aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d, aten.adaptive_max_pool2d, aten.adaptive_max_pool3d)
RULES: dict[Any, Rule] = {
    aten.convolution: convolution,
    aten.max_pool2d_with_indices: max_pool,
    aten.max_pool3d_with_indices: max_pool,
    aten.avg_pool2d: average_pool,
    aten.avg_pool3d: average_pool,
    **dict.fromkeys(GRID_POOLS, adaptive_pool),
    aten.upsample_nearest2d: nearest,
    aten.upsample_nearest3d: nearest,
    aten.upsample_bilinear2d: linear,
    aten.upsample_trilinear3d: linear,
    aten.mean: reduced,
    aten.sum: reduced,
    aten.amax: reduced,
    aten.var: reduced,
    aten._softmax: joined_along,
    aten.cumsum: joined_along,
    aten._prelu_kernel: same,
    aten.native_batch_norm: same,
    aten._native_batch_norm_legit: same,
    aten._native_batch_norm_legit_no_training: same,
    aten._batch_norm_no_update: same,
    aten.native_group_norm: same,
    aten.native_layer_norm: same,
    aten.clone: same,
    aten.detach: same,
    aten.alias: same,
    aten._to_copy: same,
    aten.contiguous: same,
    aten.view: viewed,
    aten._unsafe_view: viewed,
    aten.reshape: viewed,
    aten._reshape_alias: viewed,
    aten.permute: permuted,
    aten.transpose: transposed,
    aten.t: transposed,
    aten.unsqueeze: unsqueezed,
    aten.squeeze: squeezed,
    aten.slice: sliced,
    aten.select: selected,
    aten.flip: flipped,
    aten.constant_pad_nd: padded,
    aten.cat: laid_together,
    aten.expand: expanded,
    aten.repeat: repeated,
}
SPLITS = (aten.split, aten.split_with_sizes, aten.chunk, aten.unbind)
