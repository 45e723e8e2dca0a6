"""The deformable convolution: the filter bends to the shape under it."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula
from torchvision.ops import deform_conv2d

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import convolution
from overread.networks.full_precision import full_precision


class DeformableConvolution(nn.Module):
    """A convolution whose weights look at places that the image itself chooses, each with a strength of 0 to 1.

    (B, inputs, Y, X) to (B, outputs, Y, X), divided by the stride; 2D only, kernel (y, x) of odd sizes
    A small convolution answers two shifts (in pixels) and a strength per weight and place. It starts at no shift and half
    strength, so that the block starts as half a plain convolution. Computed in float32, also within bfloat16.

    Sources: Dai 2017, arXiv:1703.06211; Zhu 2019 (strengths), arXiv:1811.11168; computed by torchvision.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] | int = 1) -> None:
        super().__init__()
        if len(tuple(kernel)) != 2:
            raise OverreadError("a deformable convolution exists in 2D only", next="take a dilated convolution in 3D")
        weights = kernel[0] * kernel[1]
        self.conv = convolution(inputs, outputs, kernel, stride)
        self.shifts = convolution(inputs, 2 * weights, kernel, stride)
        self.strengths = convolution(inputs, weights, kernel, stride)
        self.own_start()

    def own_start(self) -> None:
        """No shift, half strength."""
        for layer in (self.shifts, self.strengths):
            for values in layer.parameters():
                nn.init.zeros_(values)

    def forward(self, maps: Tensor) -> Tensor:
        with full_precision(maps.device):
            maps = maps.float() if maps.dtype != torch.float64 else maps
            shifts, strengths = self.shifts(maps), torch.sigmoid(self.strengths(maps))
            weight, bias, stride, padding = self.conv.weight, self.conv.bias, self.conv.stride, self.conv.padding
            return deform_conv2d(maps, shifts, weight, bias, stride, padding, mask=strengths)


@register_flop_formula(torch.ops.torchvision.deform_conv2d)
def _operations(entry: torch.Size, weight: torch.Size, *_: Any, out_shape: torch.Size, **__: Any) -> int:
    """For torch's counter, which does not know this operation: two (product and sum) per weight and output."""
    return 2 * prod(out_shape) * prod(weight[1:])
