"""From an image to its smallest map and back: how often each axis is halved, and the layers that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.upsampling import TRANSPOSED
from overread.networks.image.network import known_size
from overread.networks.stages import SMALLEST_MAP

SLOPE = 0.2  # of leaky ReLUs below zero, in every published adversarial network


@dataclass(frozen=True)
class Steps:
    """The grids on the way from an image to its smallest map.

    sizes  of the maps, ([Z,] Y, X), that of the image first; an odd edge leaves out its last place: 28, 14, 7, 3
    """

    sizes: tuple[tuple[int, ...], ...]

    @property
    def strides(self) -> tuple[tuple[int, ...], ...]:
        """Of each step, 2 or 1 along each axis."""
        return tuple(tuple(fine // coarse for fine, coarse in zip(*pair, strict=True)) for pair in pairwise(self.sizes))


def plan_steps(image_size: Sequence[int] | None, dimensions: int, name: str, *, most: int, least: int = 1) -> Steps:
    """Halve each axis while it has at least 8 places.

    image_size  [Z,] Y, X, which has to be known
    name        of the network, for messages
    most        steps, however large the image is
    least       steps; an image too small for them is refused
    """
    sizes = [known_size(image_size, dimensions, name)]
    while len(sizes) <= most and max(sizes[-1]) >= 2 * SMALLEST_MAP:
        sizes.append(tuple(edge // 2 if edge >= 2 * SMALLEST_MAP else edge for edge in sizes[-1]))
    if len(sizes) <= least:
        edge = SMALLEST_MAP * 2**least
        raise OverreadError(
            f"an image of {sizes[0]} does not fit {name}: one axis must have at least {edge} pixels",
            next="choose a larger patch or finer pixels",
        )
    return Steps(tuple(sizes))


class LeakyUnit(nn.Module):
    """Convolution, normalisation, leaky ReLU of slope 0.2: the brick of critics. The kernel may be even."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] | int = 1, *, norm: str = "none"
    ) -> None:
        super().__init__()
        self.conv = convolution(inputs, outputs, kernel, stride)
        self.norm = make_norm(norm, outputs, len(kernel), activate=False)
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(maps)))


def step_down(inputs: int, outputs: int, stride: Sequence[int], norm: str) -> LeakyUnit:
    """A convolution of 4 with a step of 2: (B, inputs, [Z,] Y, X) to half the size, rounded down.

    stride  2 or 1 along each axis; along an axis that is not halved the kernel is 3, which keeps its size

    The kernel is a multiple of the step, so that every place is read equally often.
    Source: Isola 2017, arXiv:1611.07004, section 6.1.
    """
    return LeakyUnit(inputs, outputs, kernel_of(stride), stride, norm=norm)


class StepUp(nn.Module):
    """The way back: a transposed convolution of 4 with a step of 2, to exactly the size that was halved.

    forward: (B, inputs, [z,] y, x) and the size ([Z,] Y, X), where z = Z // 2 and so on, to (B, outputs, [Z,] Y, X)

    Sources: Radford 2016, arXiv:1511.06434; that the kernel is a multiple of the step, so that no checkerboard shows:
    Odena 2016, doi:10.23915/distill.00003.
    """

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int]) -> None:
        super().__init__()
        kernel = kernel_of(stride)
        self.conv = TRANSPOSED[len(kernel)](inputs, outputs, kernel, tuple(stride), 1)  # type: ignore[arg-type]

    def forward(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        return self.conv(maps, output_size=list(size))


def kernel_of(stride: Sequence[int]) -> tuple[int, ...]:
    """Twice the step along an axis that is made coarser, 3 along the others."""
    return tuple(2 * step if step > 1 else 3 for step in stride)
