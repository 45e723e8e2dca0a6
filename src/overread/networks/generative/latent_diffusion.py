"""Diffusion in a small code instead of pixels: an autoencoder learns first, then a denoiser of its codes.

Source: Rombach 2022, arXiv:2112.10752.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from overread.networks.generative.diffusion_unet import DiffusionUNet
from overread.networks.generative.parts import OfParts
from overread.networks.generative.spatial_code import SpatialAutoencoder
from overread.networks.generative.steps import plan_steps
from overread.networks.image.network import refuse_other_size

FEATURES = (128, 256)
OF_AUTOENCODER = (64, 128)
CODES = 4  # channels of a code


class LatentDiffusion(OfParts):
    """An autoencoder with a small image as its code, and a denoiser of such codes.

    image_shape, code_shape  (C, [Z,] Y, X) of an image, (codes, [z,] y, x) of its code
    scale           () what a code is multiplied with, so that its spread is 1 as the noise expects; set once the autoencoder
                    has learned, and kept in the model

    image_size      [Z,] Y, X
    codes           channels of the code
    autoencoder_features  channels after each step of the autoencoder; of these as many are taken as the image can be halved
    features, blocks, heads, classes, guide_channels, dropout  of the denoiser
    """

    scale: Tensor

    def __init__(
        self,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Sequence[int] | None = None,
        codes: int = CODES,
        autoencoder_features: Sequence[int] = OF_AUTOENCODER,
        features: Sequence[int] = FEATURES,
        blocks: int = 2,
        heads: int = 4,
        classes: int = 0,
        guide_channels: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        steps = plan_steps(image_size, dimensions, "latent_diffusion", most=len(autoencoder_features))
        self.dimensions, self.classes, self.guide_channels = dimensions, classes, guide_channels
        self.image_shape, self.code_shape = (out_channels, *steps.sizes[0]), (codes, *steps.sizes[-1])
        self.autoencoder = SpatialAutoencoder(out_channels, steps, codes, tuple(autoencoder_features)[: len(steps.strides)])
        self.denoiser = DiffusionUNet(
            codes,
            dimensions,
            image_size=steps.sizes[-1],
            features=features,
            blocks=blocks,
            heads=heads,
            classes=classes,
            guide_channels=guide_channels,
            dropout=dropout,
        )
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """The images as their codes have kept them: (B, C, [Z,] Y, X) to the same."""
        return self.decode(self.encode(images))

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) to the middle of the code, scaled to a spread of 1: (B, codes, [z,] y, x)."""
        refuse_other_size(images.shape[2:], self.image_shape[1:], "latent_diffusion")
        return self.autoencoder.encode(images)[0] * self.scale

    def decode(self, codes: Tensor) -> Tensor:
        """Scaled codes (B, codes, [z,] y, x) to images (B, C, [Z,] Y, X)."""
        return self.autoencoder.decode(codes / self.scale)

    def features(self, images: Tensor) -> Tensor:
        """The code in one row: (B, F)."""
        return self.encode(images).flatten(1)

    def denoise(self, noisy: Tensor, times: Tensor, condition: Tensor | None = None, guide: Tensor | None = None) -> Tensor:
        """As of the diffusion U-Net, of scaled codes; a guide on the grid of the images is averaged to that of the codes."""
        if guide is not None:
            guide = functional.interpolate(guide.float(), self.code_shape[1:], mode="area")
        return self.denoiser.denoise(noisy, times, condition, guide)

    def whole(self, images: Tensor) -> Tensor:
        """The denoiser between encoder and decoder."""
        return self.decode(self.denoiser(self.encode(images)))
