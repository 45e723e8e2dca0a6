"""Blocks with a shortcut beside them: a block learns what to add to its input, so that a deep network can start as a shallow one.

Source: He 2016, arXiv:1512.03385.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import LEAKY, ConvBlock, convolution
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.norms import make_norm

AVERAGE_POOL: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; the shortcut averages where the block steps (ResNet-D).

    Sources: He 2016 (residual learning), He 2019 (bag of tricks, variant D), Isensee 2024 (nnU-Net revisited).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        norm: str = "instance",
        dropout: float = 0.0,
        activation: str = LEAKY,
    ) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, kernel, stride, norm=norm, dropout=dropout, activation=activation)
        self.second = ConvBlock(outputs, outputs, kernel, norm=norm, activate=False)
        step = (stride,) * len(kernel) if isinstance(stride, int) else tuple(stride)
        self.pool = AVERAGE_POOL[len(kernel)](step, step) if max(step) > 1 else None  # type: ignore[arg-type]
        self.match = None
        if inputs != outputs:
            narrow = convolution(inputs, outputs, (1,) * len(kernel), bias=False)
            self.match = nn.Sequential(narrow, make_norm(norm, outputs, len(kernel), activate=False))
        self.activation = make_activation(activation, overwrite=True)

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = self.pool(maps) if self.pool is not None else maps
        if self.match is not None:
            shortcut = self.match(shortcut)
        return self.activation(self.second(self.first(maps)) + shortcut)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, added before the last activation: the block of ResNet-18 and 34.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), divided by the stride. Where the shape changes, the shortcut is a 1x1
    convolution.

    kernel     of both convolutions, 3 or one odd size per axis
    attention  a module that scales the branch before it is added, such as ``SqueezeExcitation(outputs, dimensions)``
    path       share of images for which the branch is left out while learning (stochastic depth)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dimensions: int,
        stride: Sequence[int] | int = 1,
        *,
        kernel: Sequence[int] | int = 3,
        norm: str = "batch",
        activation: str = "relu",
        attention: nn.Module | None = None,
        path: float = 0.0,
    ) -> None:
        super().__init__()
        three = _each(kernel, dimensions)
        first = ConvUnit(inputs, outputs, three, stride, norm=norm, activation=activation)
        second = ConvUnit(outputs, outputs, three, norm=norm, activation="none")
        self.branch = nn.Sequential(first, second, *([attention] if attention else []), make_dropout("path", path, dimensions))
        self.shortcut = _shortcut(inputs, outputs, dimensions, stride, norm)
        self.activation = make_activation(activation, overwrite=True)

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation that may start at 0, so that the block starts as its shortcut."""
        return self.branch[1].norm  # type: ignore[return-value]

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(self.branch(maps) + self.shortcut(maps))


class Bottleneck(nn.Module):
    """1x1 convolution that narrows, 3x3, 1x1 that widens, beside a shortcut: the block of ResNet-50 and deeper.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), divided by the stride, which sits in the 3x3 convolution
    inner   channels of the 3x3 convolution
    groups  of the 3x3 convolution: 32 in ResNeXt (Xie 2017, arXiv:1611.05431)
    kernel, attention, path  as in BasicBlock
    """

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        dimensions: int,
        stride: Sequence[int] | int = 1,
        *,
        groups: int = 1,
        kernel: Sequence[int] | int = 3,
        norm: str = "batch",
        activation: str = "relu",
        attention: nn.Module | None = None,
        path: float = 0.0,
    ) -> None:
        super().__init__()
        one, three = (1,) * dimensions, _each(kernel, dimensions)
        units = [
            ConvUnit(inputs, inner, one, norm=norm, activation=activation),
            ConvUnit(inner, inner, three, stride, norm=norm, activation=activation, groups=groups),
            ConvUnit(inner, outputs, one, norm=norm, activation="none"),
        ]
        self.branch = nn.Sequential(*units, *([attention] if attention else []), make_dropout("path", path, dimensions))
        self.shortcut = _shortcut(inputs, outputs, dimensions, stride, norm)
        self.activation = make_activation(activation, overwrite=True)

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation that may start at 0, so that the block starts as its shortcut."""
        return self.branch[2].norm  # type: ignore[return-value]

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(self.branch(maps) + self.shortcut(maps))


class PreActivationBlock(nn.Module):
    """Normalisation and activation before each of two 3x3 convolutions, so that nothing bends the shortcut.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), divided by the stride
    Where the shape changes, the shortcut is a 1x1 convolution of the activated maps. After the last block of a network
    there has to be one more normalisation and activation.

    Source: He 2016 (identity mappings), arXiv:1603.05027.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dimensions: int,
        stride: Sequence[int] | int = 1,
        *,
        kernel: Sequence[int] | int = 3,
        norm: str = "batch",
        activation: str = "relu",
        path: float = 0.0,
    ) -> None:
        super().__init__()
        three, has_bias = _each(kernel, dimensions), norm == "none"
        self.first_norm = make_norm(norm, inputs, dimensions, activate=False)
        self.first = convolution(inputs, outputs, three, stride, has_bias)
        self.second_norm = make_norm(norm, outputs, dimensions, activate=False)
        self.second = convolution(outputs, outputs, three, bias=has_bias)
        self.activations = nn.ModuleList([make_activation(activation), make_activation(activation, overwrite=True)])
        self.path = make_dropout("path", path, dimensions)
        changes = inputs != outputs or max(_each(stride, dimensions)) > 1
        self.match = convolution(inputs, outputs, (1,) * dimensions, stride, bias=False) if changes else None

    def forward(self, maps: Tensor) -> Tensor:
        bent = self.activations[0](self.first_norm(maps))
        shortcut = maps if self.match is None else self.match(bent)
        inner = self.activations[1](self.second_norm(self.first(bent)))
        return shortcut + self.path(self.second(inner))


def _shortcut(inputs: int, outputs: int, dimensions: int, stride: Sequence[int] | int, norm: str) -> nn.Module:
    if inputs == outputs and max(_each(stride, dimensions)) == 1:
        return nn.Identity()
    return ConvUnit(inputs, outputs, (1,) * dimensions, stride, norm=norm, activation="none")


def _each(value: Sequence[int] | int, dimensions: int) -> tuple[int, ...]:
    return (value,) * dimensions if isinstance(value, int) else tuple(value)
