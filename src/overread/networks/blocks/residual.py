"""Blocks with a shortcut beside them."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.convolution import ConvBlock, convolution
from overread.networks.blocks.norms import SLOPE, make_norm

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
    ) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, kernel, stride, norm=norm, dropout=dropout)
        self.second = ConvBlock(outputs, outputs, kernel, norm=norm, activate=False)
        step = (stride,) * len(kernel) if isinstance(stride, int) else tuple(stride)
        self.pool = AVERAGE_POOL[len(kernel)](step, step) if max(step) > 1 else None  # type: ignore[arg-type]
        self.match = None
        if inputs != outputs:
            narrow = convolution(inputs, outputs, (1,) * len(kernel), bias=False)
            self.match = nn.Sequential(narrow, make_norm(norm, outputs, len(kernel), activate=False))

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = self.pool(maps) if self.pool is not None else maps
        if self.match is not None:
            shortcut = self.match(shortcut)
        return functional.leaky_relu(self.second(self.first(maps)) + shortcut, SLOPE, inplace=True)
