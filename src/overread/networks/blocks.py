"""The blocks of the U-Nets: convolution, normalisation, leaky ReLU; plain and residual."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.networks.norms import SLOPE, favours_channels_last, make_norm

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
CHANNEL_DROPOUT: dict[int, type[nn.Dropout2d] | type[nn.Dropout3d]] = {2: nn.Dropout2d, 3: nn.Dropout3d}
AVERAGE_POOL: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


def convolution(
    inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] | int = 1, bias: bool = True
) -> nn.Conv2d | nn.Conv3d:
    """A convolution that keeps the size (before its stride), in as many dimensions as the kernel has."""
    kernel = tuple(kernel)
    step = (stride,) * len(kernel) if isinstance(stride, int) else tuple(stride)
    return CONVOLUTION[len(kernel)](inputs, outputs, kernel, step, tuple(size // 2 for size in kernel), bias=bias)  # type: ignore[arg-type]


class ConvBlock(nn.Module):
    """Convolution, dropout of whole channels, normalisation, leaky ReLU: the brick of nnU-Net."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        norm: str = "instance",
        dropout: float = 0.0,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.conv: nn.Conv2d | nn.Conv3d = convolution(inputs, outputs, kernel, stride)
        self.dropout = CHANNEL_DROPOUT[len(kernel)](dropout) if dropout else None
        self.norm = make_norm(norm, outputs, len(kernel), activate=activate)

    def forward(self, maps: Tensor, skip: Tensor | None = None) -> Tensor:
        maps = self.conv(maps) if skip is None else self._convolve_both(maps, skip)
        if self.dropout is not None:
            maps = self.dropout(maps)
        return self.norm(maps)

    def _convolve_both(self, maps: Tensor, skip: Tensor) -> Tensor:
        """The convolution of two maps laid one behind the other.

        On a processor it is the sum of two convolutions: the same numbers, without the copies, and the weight gradient
        of 64 to 32 channels takes twice as long as that of 32 to 32 done twice.
        """
        if not favours_channels_last(maps):
            return self.conv(torch.cat((maps, skip), dim=1))
        weights = self.conv.weight.split((maps.shape[1], skip.shape[1]), dim=1)
        convolve = functional.conv2d if maps.ndim == 4 else functional.conv3d
        stride, padding = self.conv.stride, self.conv.padding
        both = convolve(maps, weights[0], self.conv.bias, stride, padding)
        return both.add_(convolve(skip, weights[1], None, stride, padding))


class Upsample(nn.Module):
    """A transposed convolution whose kernel is its stride: each voxel becomes a small block of voxels."""

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int]) -> None:
        super().__init__()
        self.stride = tuple(stride)
        self.conv = TRANSPOSED[len(stride)](inputs, outputs, self.stride, self.stride)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        return self._multiply(maps) if favours_channels_last(maps) else self.conv(maps)

    def _multiply(self, maps: Tensor) -> Tensor:
        """The same as one matrix product and one copy, whose gradients are fast too."""
        axes = len(self.stride)
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        matrix = weight.movedim(1, -1).flatten(1).t()  # (places in the block x outputs, inputs)
        blocks = functional.linear(maps.movedim(1, -1), matrix, bias.repeat(prod(self.stride)))
        blocks = blocks.unflatten(-1, (*self.stride, -1))  # (B, z, y, x, kz, ky, kx, outputs)
        woven = [place for axis in range(1, axes + 1) for place in (axis, axis + axes)]
        size = [voxels * step for voxels, step in zip(maps.shape[2:], self.stride, strict=True)]
        return blocks.permute(0, *woven, -1).reshape(len(maps), *size, -1).movedim(-1, 1)


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


def he_initialise(network: nn.Module) -> None:
    """Draw convolution weights so that the variance stays the same through leaky ReLUs (He 2015); biases 0.

    The last normalisation of each residual block starts at 0, so that a deep network starts as a shallow one (Goyal 2017).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, ResidualBlock):
            weight = module.second.norm.weight
            assert isinstance(weight, torch.Tensor)
            nn.init.zeros_(weight)
