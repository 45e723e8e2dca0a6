"""DeepLabv3+: dilated views of several widths at a coarse map, then one finer map for the borders; 2D and 3D.

Source: Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018, arXiv:1802.02611, with its ResNet encoder.
"""

from typing import Any

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.aspp import ASPP
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.upsampling import to_size
from overread.networks.dense.encoder import Encoder, make_encoder
from overread.networks.dense.one_scale import OneScale

RATES = (6, 12, 18)  # voxels of a map of stride 16; at stride 8 twice as many
FEATURES = 256
LOW_FEATURES = 48
FINE = 4  # stride of the map that gives the borders
DROPOUT = 0.5


class DeepLabV3Plus(OneScale):
    """ASPP on the coarsest map, joined with a finer one; any size of image.

    features, low_features  channels of the ASPP and of what is taken from the finer map
    """

    def __init__(
        self,
        encoder: Encoder,
        out_channels: int,
        *,
        features: int = FEATURES,
        low_features: int = LOW_FEATURES,
        norm: str = "batch",
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        self.dimensions, self.divisor = encoder.dimensions, (1,) * encoder.dimensions
        self.encoder = encoder
        self.low = next((k for k, stride in enumerate(encoder.strides[:-1]) if stride >= FINE), None)
        if self.low is None:
            raise OverreadError(
                f"DeepLabv3+ joins a map of stride {FINE} or more with a coarser one; {encoder.name} has maps of strides "
                f"{', '.join(map(str, encoder.strides))}",
                next="choose a ResNet as encoder, or a larger output_stride",
            )
        axes = self.dimensions
        one, three = (1,) * axes, (3,) * axes
        rates = [max(1, rate * 16 // encoder.strides[-1]) for rate in RATES]
        self.aspp = ASPP(encoder.widths[-1], features, rates, axes, norm=norm, dropout=dropout)
        self.narrow = ConvUnit(encoder.widths[self.low], low_features, one, norm=norm)
        self.decoder = nn.Sequential(
            ConvUnit(features + low_features, features, three, norm=norm),
            ConvUnit(features, features, three, norm=norm),
            convolution(features, out_channels, one),
        )
        for part in (self.aspp, self.narrow, self.decoder):
            he_initialise(part, slope=0.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits per voxel: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        maps = self.encode(images)
        fine = self.narrow(maps[self.low])  # type: ignore[index]
        coarse = to_size(self.aspp(maps[-1]), fine)
        return to_size(self.decoder(torch.cat((coarse, fine), dim=1)), images)

    def encode(self, images: Tensor) -> list[Tensor]:
        return self.encoder(images)


def build_deeplab_v3_plus(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    encoder: str = "resnet50",
    width: int | None = None,
    image_size: Any = None,
    output_stride: int = 16,
    features: int = FEATURES,
    low_features: int = LOW_FEATURES,
    norm: str = "batch",
    dropout: float = DROPOUT,
) -> DeepLabV3Plus:
    """DeepLabv3+ on one of our networks per image that is made of stages.

    width, image_size  of the encoder, as that network takes them
    output_stride      largest stride of a map, by dilation: 16 or 8
    """
    made = make_encoder(
        encoder, in_channels, dimensions, width=width, image_size=image_size, norm=norm, output_stride=output_stride
    )
    parts: dict[str, Any] = {"features": features, "low_features": low_features, "norm": norm, "dropout": dropout}
    return DeepLabV3Plus(made, out_channels, **parts)
