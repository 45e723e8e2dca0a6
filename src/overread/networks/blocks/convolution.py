"""A convolution that keeps the size, and the brick of the U-Nets: convolution, normalisation, leaky ReLU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.norms import favours_channels_last, make_norm

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
CHANNEL_DROPOUT: dict[int, type[nn.Dropout2d] | type[nn.Dropout3d]] = {2: nn.Dropout2d, 3: nn.Dropout3d}


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
