"""A convolution that keeps the size, its light form, and the brick of the U-Nets: convolution, normalisation, leaky ReLU.

A convolution slides one small filter over the whole image: each output is a weighted sum of a neighbourhood, with the same
weights everywhere. Sources: LeCun 1998, doi:10.1109/5.726791; dilation: Yu 2016, arXiv:1511.07122; groups: Krizhevsky 2012.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.norms import favours_channels_last, make_norm

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
CHANNEL_DROPOUT: dict[int, type[nn.Dropout2d] | type[nn.Dropout3d]] = {2: nn.Dropout2d, 3: nn.Dropout3d}

FULL_BLOCK = 16  # channels of a processor's block of matrix products

LEAKY = "leaky_relu"  # what our normalisations can do themselves


def convolution(
    inputs: int,
    outputs: int,
    kernel: Sequence[int],
    stride: Sequence[int] | int = 1,
    bias: bool = True,
    dilation: Sequence[int] | int = 1,
    groups: int = 1,
) -> nn.Conv2d | nn.Conv3d:
    """A convolution that keeps the size (before its stride), in as many dimensions as the kernel has.

    kernel    odd sizes, one per axis; (1, 3, 3) leaves thick slices alone, (1, 1) mixes channels only
    stride    step from one output to the next; 2 halves an axis
    dilation  distance between the weights in voxels: sees further with as many weights
    groups    channels fall into so many groups that do not see each other; as many as inputs: each channel by itself
    """
    kernel = tuple(kernel)
    step, apart = ((given,) * len(kernel) if isinstance(given, int) else tuple(given) for given in (stride, dilation))
    padding = tuple((size - 1) // 2 * gap for size, gap in zip(kernel, apart, strict=True))
    if kernel == (1, 1) and max(step) > 1 and inputs < FULL_BLOCK:
        return NarrowStep(inputs, outputs, kernel, step, padding, apart, groups, bias)  # type: ignore[arg-type]
    return CONVOLUTION[len(kernel)](inputs, outputs, kernel, step, padding, apart, groups, bias)  # type: ignore[arg-type]


class NarrowStep(nn.Conv2d):
    """A 1x1 convolution with a step, of few channels, that leaves out the places between the steps itself: the same numbers.

    On a processor the gradient of torch's own writes beyond its memory where maps lie channels-last in float32 and have fewer
    than 16 channels (seen in torch 2.15: the process dies without a message; a test watches it).
    """

    def forward(self, maps: Tensor) -> Tensor:
        down, right = self.stride
        return functional.conv2d(maps[..., ::down, ::right], self.weight, self.bias, groups=self.groups)


class DepthwiseSeparable(nn.Sequential):
    """A convolution in two light steps: in space for each channel by itself, then across channels at each place.

    With a kernel of 3x3 it needs 8 to 9 times fewer weights and operations than a full convolution.
    (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X)

    Sources: Chollet 2017 (Xception), arXiv:1610.02357; Howard 2017 (MobileNet), arXiv:1704.04861.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] | int = 1, bias: bool = True
    ) -> None:
        in_space = convolution(inputs, inputs, kernel, stride, bias=False, groups=inputs)
        across = convolution(inputs, outputs, (1,) * len(tuple(kernel)), bias=bias)
        super().__init__(in_space, across)


class ConvBlock(nn.Module):
    """Convolution, dropout of whole channels, normalisation, leaky ReLU or another activation: the brick of nnU-Net."""

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
        activation: str = LEAKY,
    ) -> None:
        super().__init__()
        self.conv: nn.Conv2d | nn.Conv3d = convolution(inputs, outputs, kernel, stride)
        self.dropout = CHANNEL_DROPOUT[len(kernel)](dropout) if dropout else None
        self.norm = make_norm(norm, outputs, len(kernel), activate=activate and activation == LEAKY)
        self.activation = make_activation(activation, overwrite=True) if activate and activation != LEAKY else None

    def forward(self, maps: Tensor, skip: Tensor | None = None) -> Tensor:
        maps = self.conv(maps) if skip is None else self._convolve_both(maps, skip)
        if self.dropout is not None:
            maps = self.dropout(maps)
        maps = self.norm(maps)
        return maps if self.activation is None else self.activation(maps)

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
