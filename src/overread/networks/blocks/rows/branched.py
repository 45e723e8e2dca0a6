"""Blocks with several ways through: shortcuts, branches, and what was written before."""

from collections.abc import Sequence

from torch import nn

from overread.core.errors import OverreadError
from overread.networks.blocks.block import BOTH, Block, Shape, Size, axes_of, odd, per_axis
from overread.networks.blocks.dense_block import BOTTLENECK, DenseBlock, Transition
from overread.networks.blocks.inception import InceptionBlock
from overread.networks.blocks.inverted import InvertedResidual
from overread.networks.blocks.residual import BasicBlock, Bottleneck, PreActivationBlock
from overread.networks.blocks.spatial_attention import SpatialAttention
from overread.networks.blocks.squeeze_excitation import SqueezeExcitation

Shapes = Sequence[Shape]
_NARROWER = 4  # a bottleneck is so many times narrower inside
_SHARES = 16  # the widths of GoogLeNet's first block are multiples of a sixteenth


def _residual(
    shapes: Shapes,
    features: int,
    *,
    kernel: Size = 3,
    stride: Size = 1,
    norm: str = "batch",
    activation: str = "relu",
    attention: str = "none",
    path: float = 0.0,
) -> nn.Module:
    axes = axes_of(shapes)
    return BasicBlock(
        shapes[0][0],
        features,
        axes,
        per_axis(stride, axes, "stride"),
        kernel=odd(kernel, axes),
        norm=norm,
        activation=activation,
        attention=_attention(attention, features, axes),
        path=path,
    )


def _preactivation(
    shapes: Shapes,
    features: int,
    *,
    kernel: Size = 3,
    stride: Size = 1,
    norm: str = "batch",
    activation: str = "relu",
    path: float = 0.0,
) -> nn.Module:
    axes = axes_of(shapes)
    step, size = per_axis(stride, axes, "stride"), odd(kernel, axes)
    return PreActivationBlock(shapes[0][0], features, axes, step, kernel=size, norm=norm, activation=activation, path=path)


def _bottleneck(
    shapes: Shapes,
    features: int,
    *,
    inner: int | None = None,
    groups: int = 1,
    kernel: Size = 3,
    stride: Size = 1,
    norm: str = "batch",
    activation: str = "relu",
    attention: str = "none",
    path: float = 0.0,
) -> nn.Module:
    axes = axes_of(shapes)
    return Bottleneck(
        shapes[0][0],
        inner or max(1, features // _NARROWER),
        features,
        axes,
        per_axis(stride, axes, "stride"),
        groups=groups,
        kernel=odd(kernel, axes),
        norm=norm,
        activation=activation,
        attention=_attention(attention, features, axes),
        path=path,
    )


def _inverted(
    shapes: Shapes,
    features: int,
    *,
    expand: float = 6,
    kernel: Size = 3,
    stride: Size = 1,
    squeeze: float = 0.0,
    norm: str = "batch",
    activation: str = "relu6",
    path: float = 0.0,
) -> nn.Module:
    axes = axes_of(shapes)
    return InvertedResidual(
        shapes[0][0],
        features,
        axes,
        per_axis(stride, axes, "stride"),
        expand=expand,
        kernel=odd(kernel, axes),
        squeeze=squeeze,
        norm=norm,
        activation=activation,
        path=path,
    )


def _inception(shapes: Shapes, features: int, *, norm: str = "batch", activation: str = "relu") -> nn.Module:
    if features % _SHARES:
        raise OverreadError(
            f"{features} features do not fall into the branches of an inception block", next="take a multiple of 16"
        )
    part = features // _SHARES  # GoogLeNet's first block: 64, 96 to 128, 16 to 32, 32 of 256
    branches = (4 * part, (6 * part, 8 * part), (part, 2 * part), 2 * part)
    return InceptionBlock(shapes[0][0], *branches, axes_of(shapes), norm=norm, activation=activation)


def _dense_block(
    shapes: Shapes,
    growth: int,
    *,
    layers: int = 4,
    bottleneck: int = BOTTLENECK,
    norm: str = "batch",
    activation: str = "relu",
    dropout: float = 0.0,
) -> nn.Module:
    parts = {"bottleneck": bottleneck, "norm": norm, "activation": activation, "dropout": dropout}
    return DenseBlock(shapes[0][0], growth, layers, axes_of(shapes), **parts)  # type: ignore[arg-type]


def _transition(
    shapes: Shapes, features: int | None = None, *, size: Size = 2, norm: str = "batch", activation: str = "relu"
) -> nn.Module:
    axes, half = axes_of(shapes), max(1, shapes[0][0] // 2)
    pool = per_axis(size, axes, "size")
    return Transition(shapes[0][0], features or half, axes, size=pool, norm=norm, activation=activation)


def _attention(name: str, features: int, axes: int) -> nn.Module | None:
    if name == "none":
        return None
    if name == "squeeze_excitation":
        return SqueezeExcitation(features, axes)
    if name == "spatial_attention":
        return SpatialAttention(axes)
    raise OverreadError(
        f"no attention of a block is called '{name}'", next="choose none, squeeze_excitation or spatial_attention"
    )


ROWS = (
    Block(
        "residual",
        "Residual block",
        BOTH,
        "He 2016, arXiv:1512.03385",
        "Learns what to add to its input, so that many can be stacked and still learn.",
        _residual,
        coarser=("stride",),
    ),
    Block(
        "preactivation",
        "Pre-activation residual block",
        BOTH,
        "He 2016, arXiv:1603.05027",
        "A residual block whose shortcut nothing bends; for very deep stacks.",
        _preactivation,
        coarser=("stride",),
    ),
    Block(
        "bottleneck",
        "Bottleneck residual block",
        BOTH,
        "He 2016, arXiv:1512.03385; with groups Xie 2017, arXiv:1611.05431",
        "A residual block that narrows before it looks around: many features at the price of few.",
        _bottleneck,
        coarser=("stride",),
    ),
    Block(
        "inverted",
        "Inverted residual block",
        BOTH,
        "Sandler 2018, arXiv:1801.04381; with squeeze Tan 2019, arXiv:1905.11946",
        "Wide inside, narrow outside and light throughout: the brick of MobileNetV2 and EfficientNet.",
        _inverted,
        coarser=("stride",),
    ),
    Block(
        "inception",
        "Inception block",
        BOTH,
        "Szegedy 2015, arXiv:1409.4842",
        "Small and large filters side by side, for findings of several sizes.",
        _inception,
    ),
    Block(
        "dense_block",
        "Dense block",
        BOTH,
        "Huang 2017, arXiv:1608.06993",
        "Every layer reads what all layers before it wrote; needs few parameters and much memory.",
        _dense_block,
    ),
    Block(
        "transition",
        "Transition between dense blocks",
        BOTH,
        "Huang 2017, arXiv:1608.06993",
        "Fewer maps on half the grid, to make room for the next dense block.",
        _transition,
        coarser=("size",),
    ),
)
