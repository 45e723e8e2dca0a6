"""The autoencoder: an image through a short code and back, so that the code has to hold what matters.

Sources: Hinton and Salakhutdinov 2006, doi:10.1126/science.1127647; taught with noise on what is read (denoising): Vincent 2008,
doi:10.1145/1390156.1390294.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.generative.steps import plan_steps
from overread.networks.generative.vector_code import Decoder, Encoder
from overread.networks.image.network import refuse_other_size

FEATURES = (32, 64, 128, 256)


class Autoencoder(nn.Module):
    """Encoder and decoder for images of one size.

    image_size  [Z,] Y, X
    latent      numbers in the code
    features    channels after each step down; of these as many are taken as the image can be halved
    norm        "group", "batch", "instance", "layer" or "none"
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        *,
        image_size: Sequence[int] | None = None,
        latent: int = 128,
        features: Sequence[int] = FEATURES,
        norm: str = "group",
    ) -> None:
        super().__init__()
        steps = plan_steps(image_size, dimensions, "autoencoder", most=len(features))
        widths = tuple(features)[: len(steps.strides)]
        self.dimensions, self.latent, self.image_size = dimensions, latent, steps.sizes[0]
        self.encoder = Encoder(in_channels, latent, steps, widths, norm)
        self.decoder = Decoder(latent, out_channels, steps, widths, norm)

    def forward(self, images: Tensor) -> Tensor:
        """The images as the code has kept them: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        return self.decode(self.encode(images))

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, [Z,] Y, X) to the code (B, latent)."""
        refuse_other_size(images.shape[2:], self.image_size, "autoencoder")
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, latent) to (B, out_channels, [Z,] Y, X)."""
        return self.decoder(codes)

    def features(self, images: Tensor) -> Tensor:
        """The code, as what is known of an image: (B, latent)."""
        return self.encode(images)
