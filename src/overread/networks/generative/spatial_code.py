"""An autoencoder whose code is a small image: each place of the code stands for a block of pixels.

Source: Rombach 2022 (latent diffusion, first stage with a KL term), arXiv:2112.10752, section 3.1 and appendix G.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.residual import ResidualBlock
from overread.networks.generative.steps import Steps, StepUp, step_down
from overread.networks.generative.variational_autoencoder import LOG_VARIANCES

NORM = "group"


class SpatialAutoencoder(nn.Module):
    """Encoder to the mean and the variance of a small image of codes, and decoder.

    steps     the grids from the image to its code
    codes     channels of the code
    features  channels after each step
    """

    def __init__(self, channels: int, steps: Steps, codes: int, features: Sequence[int]) -> None:
        super().__init__()
        self.sizes, dimensions = steps.sizes, len(steps.sizes[0])
        one, three = (1,) * dimensions, (3,) * dimensions
        self.encoder = nn.Sequential()
        for (before, after), stride in zip(pairwise((channels, *features)), steps.strides, strict=True):
            self.encoder.append(step_down(before, after, stride, NORM))
            self.encoder.append(ResidualBlock(after, after, three, norm=NORM))
        self.encoder.append(convolution(features[-1], 2 * codes, one))
        self.entry = convolution(codes, features[-1], three)
        self.blocks, self.ups, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        widths = (features[0], *features)
        for step in reversed(range(len(features))):
            self.blocks.append(ResidualBlock(widths[step + 1], widths[step + 1], three, norm=NORM))
            self.ups.append(StepUp(widths[step + 1], widths[step], steps.strides[step]))
            self.norms.append(make_norm(NORM, widths[step], dimensions, activate=True))
        self.last = convolution(features[0], channels, three)
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """The images as the means of their codes have kept them."""
        return self.decode(self.encode(images)[0])

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, [Z,] Y, X) to mean and log of the variance, each (B, codes, [z,] y, x)."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, codes, [z,] y, x) to (B, C, [Z,] Y, X)."""
        maps = self.entry(codes)
        for block, up, norm, size in zip(self.blocks, self.ups, self.norms, reversed(self.sizes[:-1]), strict=True):
            maps = norm(up(block(maps), size))
        return self.last(maps)
