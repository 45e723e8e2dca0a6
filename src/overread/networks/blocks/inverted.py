"""The inverted residual: wide and cheap inside, narrow outside; the brick of MobileNetV2 and EfficientNet."""

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.dropout import make_dropout
from overread.networks.blocks.squeeze_excitation import SqueezeExcitation


class InvertedResidual(nn.Module):
    """1x1 convolution that widens, a convolution in space for each channel by itself, 1x1 that narrows, beside a shortcut.

    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X), divided by the stride; the shortcut only where the shape stays.
    The narrow end has no activation, which would lose what few channels hold.

    expand      so many times wider inside
    squeeze     squeeze and excitation of inputs * squeeze channels inside (EfficientNet: 0.25); 0: none
    squeeze_activation, gate  of its two layers; the first is the block's own where not given (MobileNetV3: "relu", "hardsigmoid")
    path        share of images for which the branch is left out while learning (EfficientNet: up to 0.2)

    Sources: Sandler 2018 (MobileNetV2), arXiv:1801.04381; Tan 2019 (EfficientNet), arXiv:1905.11946.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dimensions: int,
        stride: Sequence[int] | int = 1,
        *,
        expand: float = 6,
        kernel: Sequence[int] | int = 3,
        squeeze: float = 0.0,
        norm: str = "batch",
        activation: str = "relu6",
        squeeze_activation: str | None = None,
        gate: str = "sigmoid",
        path: float = 0.0,
    ) -> None:
        super().__init__()
        wide, one = round(inputs * expand), (1,) * dimensions
        size = (kernel,) * dimensions if isinstance(kernel, int) else tuple(kernel)
        step = (stride,) * dimensions if isinstance(stride, int) else tuple(stride)
        units: list[nn.Module] = []
        if wide != inputs:
            units.append(ConvUnit(inputs, wide, one, norm=norm, activation=activation))
        units.append(ConvUnit(wide, wide, size, step, norm=norm, activation=activation, groups=wide))
        if squeeze:
            inner = max(1, round(inputs * squeeze))
            units.append(SqueezeExcitation(wide, dimensions, inner=inner, activation=squeeze_activation or activation, gate=gate))
        units.append(ConvUnit(wide, outputs, one, norm=norm, activation="none"))
        self.branch = nn.Sequential(*units)
        self.has_shortcut = max(step) == 1 and inputs == outputs
        self.path = make_dropout("path", path, dimensions)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.path(self.branch(maps)) if self.has_shortcut else self.branch(maps)
