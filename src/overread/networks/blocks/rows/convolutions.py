"""Blocks that look at a neighbourhood."""

from collections.abc import Sequence

from torch import nn

from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.aspp import ASPP
from overread.networks.blocks.block import BOTH, PLANE, Block, Shape, Size, axes_of, odd, per_axis
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import DepthwiseSeparable
from overread.networks.blocks.deformable import DeformableConvolution
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.self_attention import Patches

Shapes = Sequence[Shape]


def _conv(
    shapes: Shapes,
    features: int,
    *,
    kernel: Size = 3,
    stride: Size = 1,
    dilation: Size = 1,
    groups: int = 1,
    norm: str = "batch",
    activation: str = "relu",
    dropout: float = 0.0,
) -> nn.Module:
    axes = axes_of(shapes)
    step, apart = per_axis(stride, axes, "stride"), per_axis(dilation, axes, "dilation")
    parts = {"norm": norm, "activation": activation, "groups": groups, "dropout": dropout}
    return ConvUnit(shapes[0][0], features, odd(kernel, axes), step, dilation=apart, **parts)  # type: ignore[arg-type]


def _separable(
    shapes: Shapes, features: int, *, kernel: Size = 3, stride: Size = 1, norm: str = "batch", activation: str = "relu"
) -> nn.Module:
    axes = axes_of(shapes)
    step = per_axis(stride, axes, "stride")
    light = DepthwiseSeparable(shapes[0][0], features, odd(kernel, axes), step, bias=norm == "none")
    return _bent(light, features, axes, norm, activation)


def _deformable(
    shapes: Shapes, features: int, *, kernel: Size = 3, stride: Size = 1, norm: str = "batch", activation: str = "relu"
) -> nn.Module:
    bending = DeformableConvolution(shapes[0][0], features, odd(kernel, 2), per_axis(stride, 2, "stride"))
    return _bent(bending, features, 2, norm, activation)


def _bent(convolution: nn.Module, features: int, axes: int, norm: str, activation: str) -> nn.Sequential:
    return nn.Sequential(
        convolution, make_norm(norm, features, axes, activate=False), make_activation(activation, overwrite=True)
    )


def _aspp(
    shapes: Shapes,
    features: int,
    *,
    rates: tuple[int, ...] = (2, 4, 6),
    norm: str = "batch",
    activation: str = "relu",
    dropout: float = 0.0,
) -> nn.Module:
    return ASPP(shapes[0][0], features, rates, axes_of(shapes), norm=norm, activation=activation, dropout=dropout)


def _patches(shapes: Shapes, features: int, *, size: Size = 4) -> nn.Module:
    return Patches(shapes[0][0], features, per_axis(size, axes_of(shapes), "size"))


ROWS = (
    Block(
        "conv",
        "Convolution, normalisation, activation",
        BOTH,
        "LeCun 1998, doi:10.1109/5.726791",
        "Finds one small pattern per feature wherever it lies; stride, dilation, groups and a kernel of 1 are its options.",
        _conv,
        coarser=("stride",),
    ),
    Block(
        "separable",
        "Depthwise-separable convolution",
        BOTH,
        "Chollet 2017, arXiv:1610.02357",
        "A convolution for an eighth of the price: first in space, then across channels.",
        _separable,
        coarser=("stride",),
    ),
    Block(
        "deformable",
        "Deformable convolution",
        PLANE,
        "Zhu 2019, arXiv:1811.11168",
        "A convolution that bends to the shape under it.",
        _deformable,
        coarser=("stride",),
    ),
    Block(
        "aspp",
        "Atrous spatial pyramid pooling",
        BOTH,
        "Chen 2017, arXiv:1706.05587",
        "Sees near and far side by side without a coarser grid.",
        _aspp,
    ),
    Block(
        "patches",
        "Patch embedding",
        BOTH,
        "Dosovitskiy 2021, arXiv:2010.11929",
        "Cuts the image into tiles and describes each by its features, as a transformer reads it.",
        _patches,
        coarser=("size",),
    ),
)
