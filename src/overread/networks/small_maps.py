"""Convolutions of maps that are smaller than their kernel, asked so that a processor learns from them rightly.

Where a map with its padding covers the kernel and without it does not, torch's gradient of the weights is garbage, or is written
beyond its memory: the loss is infinite, the process dies, or, worst, neither. Seen in torch 2.15 on processors with AVX-512: in
bfloat16 with every kernel in 3D (two slices under a kernel of 3), in 2D with strides and with kernels of 7 from many channels to
few; in float32 with kernels of 7 in 3D.
So the padding is laid around such a map first, and that of a transposed convolution is cut off afterwards: the same numbers.
Decision 42 tells more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

WIDE = 5  # of kernels: wider ones fail for maps of their own size, too
_PLAIN = {functional.conv2d: 2, functional.conv3d: 3}
_TRANSPOSED = {functional.conv_transpose2d: 2, functional.conv_transpose3d: 3}


class SmallMaps(TorchFunctionMode):
    """Within it, convolutions on the processor that are asked for a gradient take the way round, where one is needed.

    torch leaves every mode during a backward pass: what is computed once more there (`torch.utils.checkpoint`) needs this one
    around both of its passes.
    """

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _PLAIN and torch.is_grad_enabled():
            return _plain(func, _PLAIN[func], *args, **kwargs)
        if func in _TRANSPOSED and torch.is_grad_enabled():
            return _transposed(func, _TRANSPOSED[func], *args, **kwargs)
        return func(*args, **kwargs)


def _plain(
    ask: Callable[..., Tensor],
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str) or input.device.type != "cpu":
        return ask(input, weight, bias, stride, padding, dilation, groups)
    around, seen = _each(padding, axes), _seen(weight, dilation, axes)
    if not _is_small(input.shape[-axes:], seen, around):
        return ask(input, weight, bias, stride, padding, dilation, groups)
    padded = functional.pad(input, [end for width in reversed(around) for end in (width, width)])
    return ask(padded, weight, bias, stride, 0, dilation, groups)


def _transposed(
    ask: Callable[..., Tensor],
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    around, beyond, seen = _each(padding, axes), _each(output_padding, axes), _seen(weight, dilation, axes)
    whole = [(size - 1) * step + field for size, step, field in zip(input.shape[-axes:], _each(stride, axes), seen, strict=True)]
    made = [size - 2 * width + more for size, width, more in zip(whole, around, beyond, strict=True)]
    is_refused = min(made) < 1 or any(more >= step for more, step in zip(beyond, _each(stride, axes), strict=True))
    if input.device.type != "cpu" or is_refused or not _is_small(made, seen, around):
        return ask(input, weight, bias, stride, padding, output_padding, groups, dilation)
    more = [max(0, extra - width) for extra, width in zip(beyond, around, strict=True)]
    answer = ask(input, weight, bias, stride, 0, more, groups, dilation)
    for axis, (width, size) in enumerate(zip(around, made, strict=True), start=-axes):
        answer = answer.narrow(axis, width, size)
    return answer


def _seen(weight: Tensor, dilation: int | Sequence[int], axes: int) -> list[int]:
    """How many voxels a kernel spans along each axis."""
    return [(size - 1) * gap + 1 for size, gap in zip(weight.shape[2:], _each(dilation, axes), strict=True)]


def _is_small(extents: Sequence[int], seen: Sequence[int], around: Sequence[int]) -> bool:
    """Smaller than the kernel, or, for the wide ones that fail there too, just as large."""
    return any(
        width > 0 and (size < field or size == field > WIDE) for size, field, width in zip(extents, seen, around, strict=True)
    )


def _each(given: int | Sequence[int], axes: int) -> Sequence[int]:
    return (given,) * axes if isinstance(given, int) else tuple(given) * (axes if len(given) == 1 else 1)
