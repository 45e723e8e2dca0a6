"""A critic of patches: every score sees 70 x 70 pixels, and says whether this piece looks real.

Source: Isola 2017 (pix2pix, PatchGAN), arXiv:1611.07004, section 3.2.2 and appendix 6.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.blocks.convolution import convolution
from overread.networks.generative.steps import LeakyUnit, step_down

WIDTH = 64
_WIDEST = 8  # times the first width
STEPS = 3  # of the published critic that sees 70 pixels


class PatchCritic(nn.Module):
    """Steps down, then two layers that only look around: (B, inputs, [Z,] Y, X) to a map of scores (B, 1, [z,] y, x).

    strides   of each step, 2 or 1 along each axis; with three steps of 2 a score sees 70 pixels along an axis
    features  channels after the first step, doubled at each further one, up to eight times
    norm      after every layer but the first and the last

    An axis that is never halved, as the slices of a flat volume, is read with kernels of 3, which keep its size.
    """

    def __init__(self, inputs: int, strides: Sequence[Sequence[int]], features: int = WIDTH, norm: str = "instance") -> None:
        super().__init__()
        kernel = tuple(4 if max(steps) > 1 else 3 for steps in zip(*strides, strict=True))
        self.layers, width = nn.Sequential(), inputs
        for number, stride in enumerate(strides):
            wider = features * min(2**number, _WIDEST)
            self.layers.append(step_down(width, wider, stride, norm if number else "none"))
            width = wider
        wider = features * min(2 ** len(strides), _WIDEST)
        self.layers.append(LeakyUnit(width, wider, kernel, norm=norm))
        self.layers.append(convolution(wider, 1, kernel))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
