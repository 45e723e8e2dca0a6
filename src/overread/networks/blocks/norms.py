"""Normalisation followed by a leaky ReLU, and a fast form of it for processors.

A normalisation brings maps to mean 0 and variance 1 and learns a scale and a shift afterwards; the kinds differ in what they
average over. Batch: each channel over all images of a batch (Ioffe 2015, arXiv:1502.03167), unreliable for small batches.
Instance: each channel of each image (Ulyanov 2016, arXiv:1607.08022). Group: a group of channels of each image (Wu 2018,
arXiv:1803.08494). Layer: all channels at each place (Ba 2016, arXiv:1607.06450, in the form of ConvNeXt, arXiv:2201.03545).
"""

from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.networks.layout import memory_format

SLOPE = 0.01  # of the leaky ReLU below zero, as in nnU-Net
NORMS = ("instance", "batch", "group", "layer", "none")
GROUPS = 8  # of channels, or as many of them as share the channels out evenly
_MANY_PIXELS = 1024  # from here on torch's group normalisation has a fast path over pixels

_aten = torch.ops.aten


class InstanceNorm(nn.Module):
    """Each channel of each image to mean 0 and variance 1, then scaled and shifted, then a leaky ReLU if asked for.

    Source: Ulyanov et al., Instance Normalization, 2016.
    """

    def __init__(self, channels: int, *, activate: bool, affine: bool = True, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.activate, self.epsilon = activate, epsilon
        self.weight: Tensor
        self.bias: Tensor
        if affine:
            self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        else:
            self.register_buffer("weight", torch.ones(channels), persistent=False)
            self.register_buffer("bias", torch.zeros(channels), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        if maps.device.type == "cpu" and not torch.compiler.is_compiling():
            maps = maps.contiguous(memory_format=memory_format(maps.ndim))
            slope = SLOPE if self.activate else 1.0
            return _ChannelsLastInstanceNorm.apply(maps, self.weight, self.bias, self.epsilon, slope)
        maps = functional.instance_norm(maps, weight=self.weight, bias=self.bias, eps=self.epsilon)
        return functional.leaky_relu(maps, SLOPE, inplace=True) if self.activate else maps


class Activated(nn.Module):
    """Another normalisation, or none, then a leaky ReLU if asked for."""

    def __init__(self, norm: nn.Module, *, activate: bool) -> None:
        super().__init__()
        self.norm, self.activate = norm, activate

    @property
    def weight(self) -> Tensor | None:
        """The learned scale, (channels,); none where nothing is normalised."""
        weight = getattr(self.norm, "weight", None)
        return weight if isinstance(weight, Tensor) else None

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.norm(maps)
        return functional.leaky_relu(maps, SLOPE, inplace=not isinstance(self.norm, nn.Identity)) if self.activate else maps


class LayerNorm(nn.LayerNorm):
    """The channels at each place to mean 0 and variance 1: (B, C, [Z,] Y, X) to the same shape."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)


def make_norm(kind: str, channels: int, dimensions: int, *, activate: bool) -> InstanceNorm | Activated:
    """A normalisation layer by name (one of NORMS), followed by a leaky ReLU or not."""
    if kind == "instance":
        return InstanceNorm(channels, activate=activate)
    return Activated(bare_norm(kind, channels, dimensions, groups=gcd(GROUPS, channels)), activate=activate)


def bare_norm(kind: str, channels: int, dimensions: int, *, groups: int) -> nn.Module:
    """A normalisation layer by name (one of NORMS) and nothing after it.

    groups  of channels that "group" averages over; they must share the channels out evenly
    """
    if kind == "instance":
        return InstanceNorm(channels, activate=False)
    if kind == "batch":
        return nn.BatchNorm2d(channels) if dimensions == 2 else nn.BatchNorm3d(channels)
    if kind == "group":
        return nn.GroupNorm(groups, channels)
    if kind == "layer":
        return LayerNorm(channels)
    if kind == "none":
        return nn.Identity()
    raise OverreadError(f"no normalisation is called '{kind}'", next=f"choose one of {', '.join(NORMS)}")


def mend_instance_norms(network: nn.Module) -> None:
    """Put our instance normalisation in place of torch's in a network of another library; names and weights stay."""
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.InstanceNorm2d | nn.InstanceNorm3d) and not norm.track_running_stats:
                ours = InstanceNorm(norm.num_features, activate=False, affine=norm.affine, epsilon=norm.eps)
                ours.load_state_dict(norm.state_dict())
                setattr(parent, name, ours)


def favours_channels_last(maps: Tensor) -> bool:
    """Whether maps lie channels-last on a processor, where our own forms of some operations are faster than torch's."""
    if maps.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return maps.shape[1] > 1 and maps.is_contiguous(memory_format=memory_format(maps.ndim))


class _ChannelsLastInstanceNorm(torch.autograd.Function):
    """Instance normalisation and leaky ReLU of channels-last maps, without leaving that layout or bfloat16.

    torch's own instance norm folds images into channels, which copies channels-last maps to the other layout and back
    (a tenth of a training step), and for a batch of one whose slopes come channels-last its gradient is wrong on a
    processor (seen in torch 2.15; a test watches it). Here each image is normalised as a batch of one, where batch and instance
    normalisation are the same; statistics are float32. The sign of the output, which the next convolution keeps anyway,
    replaces the input of the leaky ReLU.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, epsilon: float, slope: float) -> Tensor:
        precision = torch.float32 if maps.dtype in (torch.bfloat16, torch.float16) else maps.dtype
        scale, shift = weight.to(precision), bias.to(precision)
        normal, mean, rstd = _normalise(maps, scale, shift, epsilon)
        if slope != 1.0:
            _aten.leaky_relu_(normal, slope)
        ctx.save_for_backward(maps, scale, mean, rstd, normal if slope != 1.0 else None)
        ctx.epsilon, ctx.slope, ctx.parameter_type = epsilon, slope, weight.dtype
        return normal

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, scale, mean, rstd, activated = ctx.saved_tensors
        slope = gradients[0].contiguous(memory_format=memory_format(maps.ndim))
        if activated is not None:
            slope = _aten.leaky_relu_backward(slope, activated, ctx.slope, True)
        to_maps = torch.empty_like(maps)
        to_weight, to_bias = torch.zeros_like(scale), torch.zeros_like(scale)
        for image in range(len(maps)):
            one = slice(image, image + 1)
            statistics = (None, None, mean[image], rstd[image], True, ctx.epsilon, [True, True, True])
            into_maps, into_weight, into_bias = _aten.native_batch_norm_backward(slope[one], maps[one], scale, *statistics)
            to_maps[one] = into_maps
            to_weight += into_weight
            to_bias += into_bias
        return to_maps, to_weight.to(ctx.parameter_type), to_bias.to(ctx.parameter_type), None, None


def _normalise(maps: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised maps, and mean and 1 / standard deviation, each (images, channels)."""
    images, channels, pixels = maps.shape[0], maps.shape[1], maps[0, 0].numel()
    if maps.dtype == torch.bfloat16 and pixels >= _MANY_PIXELS:
        # One pass with the sum of squares: precise enough for 8 bits of mantissa, and a third faster.
        return _aten.native_group_norm(maps, scale, shift, images, channels, pixels, channels, epsilon)
    normal = torch.empty_like(maps)
    mean, rstd = scale.new_empty(images, channels), scale.new_empty(images, channels)
    for image in range(images):
        one = slice(image, image + 1)
        result = _aten.native_batch_norm(maps[one], scale, shift, None, None, True, 0.0, epsilon)
        normal[one], mean[image], rstd[image] = result
    return normal, mean, rstd
