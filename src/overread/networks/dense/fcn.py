"""Fully convolutional networks: a classifier whose linear layer looks at every place; FCN-32s, 16s and 8s, in 2D and 3D.

Source: Long et al., Fully convolutional networks for semantic segmentation, CVPR 2015, arXiv:1411.4038. Scores are brought to
the finer grid by linear interpolation, which is how the paper's learned interpolation starts; the head is that of torchvision.
"""

from typing import Any

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.upsampling import to_size
from overread.networks.dense.encoder import Encoder, make_encoder
from overread.networks.dense.one_scale import OneScale

NARROWER = 4  # the head has so many times fewer channels than the map it reads
DROPOUT = 0.1


class FCN(OneScale):
    """Scores at the coarsest map of an encoder, to which the scores of finer maps are added; any size of image.

    finest  smallest stride whose map gives scores: 32 is FCN-32s, 16 FCN-16s, 8 FCN-8s. The scores of finer maps start at 0, so
            that the network starts as an FCN-32s
    """

    def __init__(
        self, encoder: Encoder, out_channels: int, *, finest: int = 8, norm: str = "batch", dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.dimensions, self.divisor = encoder.dimensions, (1,) * encoder.dimensions
        self.encoder = encoder
        *finer, width = encoder.widths
        one, three = (1,) * self.dimensions, (3,) * self.dimensions
        inner = max(1, width // NARROWER)
        unit = ConvUnit(width, inner, three, norm=norm)
        self.head = nn.Sequential(unit, nn.Dropout(dropout), convolution(inner, out_channels, one))
        he_initialise(self.head, slope=0.0)
        added = [width for width, stride in zip(finer, encoder.strides[:-1], strict=True) if stride >= finest]
        self.scores = nn.ModuleList(convolution(width, out_channels, one) for width in added)  # finest first
        for score in self.scores:
            nn.init.zeros_(score.weight)  # type: ignore[arg-type]
            nn.init.zeros_(score.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Logits per voxel: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        *finer, maps = self.encode(images)
        answer = self.head(maps)
        for score, skip in zip(reversed(self.scores), reversed(finer), strict=False):
            answer = to_size(answer, skip) + score(skip)
        return to_size(answer, images)

    def encode(self, images: Tensor) -> list[Tensor]:
        return self.encoder(images)


def build_fcn(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    encoder: str = "vgg16",
    width: int | None = None,
    image_size: Any = None,
    finest: int = 8,
    output_stride: int | None = None,
    norm: str = "batch",
    dropout: float = DROPOUT,
) -> FCN:
    """An FCN on any of our networks per image that is made of stages.

    width, image_size  of the encoder, as that network takes them
    output_stride      largest stride of a map, by dilation; torchvision's FCN has 8
    """
    if finest < 1:
        raise OverreadError(f"an FCN has no maps of stride {finest}", next="set finest to 8, 16 or 32")
    made = make_encoder(
        encoder, in_channels, dimensions, width=width, image_size=image_size, norm=norm, output_stride=output_stride
    )
    return FCN(made, out_channels, finest=finest, norm=norm, dropout=dropout)
