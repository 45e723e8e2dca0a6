"""The variational autoencoder: the code of an image is a small cloud, and clouds together fill a normal distribution.

So a point drawn from the normal distribution decodes to an image, and the way between two codes to images in between.

Sources: Kingma 2014, arXiv:1312.6114; Rezende 2014, arXiv:1401.4082.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from overread.networks.generative.autoencoder import FEATURES
from overread.networks.generative.steps import plan_steps
from overread.networks.generative.vector_code import Decoder, Encoder
from overread.networks.image.network import refuse_other_size

LOG_VARIANCES = (-30.0, 20.0)  # beyond these exp() says nothing more; as Rombach 2022, arXiv:2112.10752


class VariationalAutoencoder(nn.Module):
    """Encoder to the mean and the variance of a code, and decoder, for images of one size.

    image_size, latent, features, norm  as of the autoencoder
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
        steps = plan_steps(image_size, dimensions, "variational_autoencoder", most=len(features))
        widths = tuple(features)[: len(steps.strides)]
        self.dimensions, self.latent, self.image_size = dimensions, latent, steps.sizes[0]
        self.encoder = Encoder(in_channels, 2 * latent, steps, widths, norm)
        self.decoder = Decoder(latent, out_channels, steps, widths, norm)

    def forward(self, images: Tensor) -> Tensor:
        """The middle of each image's cloud, decoded: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        return self.decode(self.encode(images)[0])

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, [Z,] Y, X) to mean and log of the variance of the code, each (B, latent)."""
        refuse_other_size(images.shape[2:], self.image_size, "variational_autoencoder")
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def decode(self, codes: Tensor) -> Tensor:
        """(B, latent) to (B, out_channels, [Z,] Y, X)."""
        return self.decoder(codes)

    def features(self, images: Tensor) -> Tensor:
        """The mean of the code, as what is known of an image: (B, latent)."""
        return self.encode(images)[0]
