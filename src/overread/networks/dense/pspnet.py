"""PSPNet: the image summarised on several coarse grids beside a dilated map, so that each place knows the whole; 2D and 3D.

Source: Zhao et al., Pyramid scene parsing network, CVPR 2017, arXiv:1612.01105.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.pooling import LINEAR, PyramidPooling
from overread.networks.dense.encoder import Encoder, make_encoder
from overread.networks.dense.one_scale import OneScale

SIZES = (1, 2, 3, 6)  # places per axis of the coarse grids
NARROWER = 4  # the pyramid answers with so many times fewer channels than it reads
DROPOUT = 0.1


class PSPNet(OneScale):
    """Pyramid pooling on the coarsest map of an encoder; any size of image."""

    def __init__(
        self, encoder: Encoder, out_channels: int, *, sizes: Any = SIZES, norm: str = "batch", dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.dimensions, self.divisor = encoder.dimensions, (1,) * encoder.dimensions
        self.encoder = encoder
        width = encoder.widths[-1]
        inner = max(1, width // NARROWER)
        pyramid = PyramidPooling(width, inner, sizes, self.dimensions, norm=norm)
        self.head = nn.Sequential(pyramid, nn.Dropout(dropout), convolution(inner, out_channels, (1,) * self.dimensions))
        he_initialise(self.head, slope=0.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits per voxel: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        answer = self.head(self.encode(images)[-1])
        return functional.interpolate(answer, images.shape[2:], mode=LINEAR[answer.ndim], align_corners=False)

    def encode(self, images: Tensor) -> list[Tensor]:
        return self.encoder(images)


def build_pspnet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    encoder: str = "resnet50",
    width: int | None = None,
    image_size: Any = None,
    output_stride: int = 8,
    sizes: Any = SIZES,
    norm: str = "batch",
    dropout: float = DROPOUT,
) -> PSPNet:
    """A PSPNet on one of our networks per image that is made of stages.

    width, image_size  of the encoder, as that network takes them
    output_stride      largest stride of a map, by dilation
    sizes              places per axis of each coarse grid
    """
    made = make_encoder(
        encoder, in_channels, dimensions, width=width, image_size=image_size, norm=norm, output_stride=output_stride
    )
    return PSPNet(made, out_channels, sizes=sizes, norm=norm, dropout=dropout)
