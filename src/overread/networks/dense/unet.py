"""The U-Net in 2D and 3D, plain and with a residual encoder, in the shape that nnU-Net plans.

Sources: Ronneberger 2015 (U-Net); Cicek 2016 (3D); Isensee 2021 (nnU-Net); Isensee 2024 (residual encoder).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from overread.networks.blocks.convolution import LEAKY, ConvBlock, convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.residual import ResidualBlock
from overread.networks.blocks.upsampling import Upsample
from overread.networks.dense.u_shape import (
    DecoderStage,
    divisor_of,
    encoder_stages,
    per_stage,
    refuse_uneven_stages,
    refuse_unfit_size,
)
from overread.networks.stages import BASE_FEATURES, stages_of

RESIDUAL_BLOCKS = (1, 3, 4, 6, 6, 6, 6, 6, 6, 6)  # per stage, nnU-Net's ResEnc presets


class UNet(nn.Module):
    """Encoder, bottleneck and decoder with skips by concatenation, and an answer at every resolution of the decoder.

    in_channels, out_channels  channels of the image, and logits per voxel
    features   channels per stage, full resolution first
    kernels    kernel size per stage, one number per spatial axis (their number says 2D or 3D)
    strides    step into each stage, one number per spatial axis; 1 for the first
    encoder_blocks, decoder_blocks  convolutions (or residual blocks) per encoder stage, convolutions per decoder stage
    norm       "instance", "batch", "group", "layer" or "none"
    activation after each normalisation
    dropout    share of channels dropped after each convolution
    residual   residual blocks in the encoder, with a stem of one convolution
    skips      off, to see what they are worth: the decoder then knows the bottleneck alone, and its first convolutions of
               each stage are half as deep

    Low-resolution heads get a gradient only through ``forward_scales``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        encoder_blocks: int | Sequence[int] = 2,
        decoder_blocks: int | Sequence[int] = 2,
        norm: str = "instance",
        activation: str = LEAKY,
        dropout: float = 0.0,
        residual: bool = False,
        skips: bool = True,
    ) -> None:
        super().__init__()
        refuse_uneven_stages(features, kernels, strides, "U-Net")
        count = len(features)
        encoder_blocks, decoder_blocks = per_stage(encoder_blocks, count), per_stage(decoder_blocks, count - 1)
        self.dimensions = len(kernels[0])
        self.strides = tuple(tuple(stride) for stride in strides)
        self.divisor = divisor_of(strides)
        self.skips = skips
        style: dict[str, Any] = {"norm": norm, "dropout": dropout, "activation": activation}
        self.stem = ConvBlock(in_channels, features[0], kernels[0], **style) if residual else nn.Identity()
        block, width = (ResidualBlock, features[0]) if residual else (ConvBlock, in_channels)
        self.encoder = encoder_stages(width, features, kernels, strides, encoder_blocks, block, **style)
        self.upsample, self.decoder, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in reversed(range(count - 1)):  # from the bottleneck up
            step, kernel, width = tuple(strides[stage + 1]), kernels[stage], features[stage]
            self.upsample.append(Upsample(features[stage + 1], width, step))
            widths = [2 * width if skips else width] + [width] * decoder_blocks[stage]
            self.decoder.append(DecoderStage(*(ConvBlock(before, after, kernel, **style) for before, after in pairwise(widths))))
            self.heads.append(convolution(width, out_channels, (1,) * self.dimensions))
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits at full resolution: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        last = self._decode(images)[-1]
        return self.heads[-1](last)

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        """Logits of every decoder stage, full resolution first, for deep supervision (Lee 2015)."""
        scales = [head(maps) for head, maps in zip(self.heads, self._decode(images), strict=True)]
        return scales[::-1]

    def features(self, images: Tensor) -> Tensor:
        """The bottleneck averaged over space: (B, features of the last stage)."""
        return self._encode(images)[-1].flatten(2).mean(2)

    def _encode(self, images: Tensor) -> list[Tensor]:
        refuse_unfit_size(images.shape[2:], self.divisor, "U-Net")
        maps = self.stem(images)
        skips = []
        for stage in self.encoder:
            maps = stage(maps)
            skips.append(maps)
        return skips

    def _decode(self, images: Tensor) -> list[Tensor]:
        """The maps of every decoder stage, lowest resolution first."""
        *skips, maps = self._encode(images)
        decoded = []
        for upsample, stage, skip in zip(self.upsample, self.decoder, reversed(skips), strict=True):
            maps = stage(upsample(maps), skip if self.skips else None)
            decoded.append(maps)
        return decoded


def build_unet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    encoder_blocks: Any = 2,
    decoder_blocks: Any = 2,
    norm: str = "instance",
    activation: str = LEAKY,
    dropout: float = 0.0,
    residual: bool = False,
    skips: bool = True,
) -> UNet:
    """A U-Net from features, kernels and strides, or from a patch (voxels) and spacing (mm) that stages are planned for."""
    return UNet(
        in_channels,
        out_channels,
        *stages_of(dimensions, patch, spacing, base_features, features, kernels, strides),
        encoder_blocks=encoder_blocks,
        decoder_blocks=decoder_blocks,
        norm=norm,
        activation=activation,
        dropout=dropout,
        residual=residual,
        skips=skips,
    )


def build_residual_unet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = BASE_FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    encoder_blocks: Any = None,
    decoder_blocks: Any = 1,
    norm: str = "instance",
    activation: str = LEAKY,
    dropout: float = 0.0,
    skips: bool = True,
) -> UNet:
    """A U-Net with residual blocks (1, 3, 4, 6, 6 ... per stage) in its encoder."""
    return UNet(
        in_channels,
        out_channels,
        *stages_of(dimensions, patch, spacing, base_features, features, kernels, strides),
        encoder_blocks=encoder_blocks or RESIDUAL_BLOCKS,
        decoder_blocks=decoder_blocks,
        norm=norm,
        activation=activation,
        dropout=dropout,
        residual=True,
        skips=skips,
    )
