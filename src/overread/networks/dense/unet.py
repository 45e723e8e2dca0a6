"""The U-Net in 2D and 3D, plain and with a residual encoder, in the shape that nnU-Net plans.

Sources: Ronneberger 2015 (U-Net); Cicek 2016 (3D); Isensee 2021 (nnU-Net); Isensee 2024 (residual encoder).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import ConvBlock, convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import NORMS
from overread.networks.blocks.residual import ResidualBlock
from overread.networks.blocks.upsampling import Upsample
from overread.networks.fit import refuse_indivisible

RESIDUAL_BLOCKS = (1, 3, 4, 6, 6, 6, 6, 6, 6, 6)  # per stage, nnU-Net's ResEnc presets


class UNet(nn.Module):
    """Encoder, bottleneck and decoder with skips by concatenation, and an answer at every resolution of the decoder.

    in_channels, out_channels  channels of the image, and logits per voxel
    features   channels per stage, full resolution first
    kernels    kernel size per stage, one number per spatial axis (their number says 2D or 3D)
    strides    step into each stage, one number per spatial axis; 1 for the first
    encoder_blocks, decoder_blocks  convolutions (or residual blocks) per encoder stage, convolutions per decoder stage
    norm       "instance", "batch" or "group"
    dropout    share of channels dropped after each convolution
    residual   residual blocks in the encoder, with a stem of one convolution

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
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        _check(features, kernels, strides, norm)
        count = len(features)
        encoder_blocks, decoder_blocks = _each(encoder_blocks, count), _each(decoder_blocks, count - 1)
        self.dimensions = len(kernels[0])
        self.strides = tuple(tuple(stride) for stride in strides)
        self.divisor = tuple(prod(axis) for axis in zip(*strides, strict=True))
        block = ResidualBlock if residual else ConvBlock
        self.stem = ConvBlock(in_channels, features[0], kernels[0], norm=norm, dropout=dropout) if residual else nn.Identity()
        self.encoder = nn.ModuleList()
        width = features[0] if residual else in_channels
        for stage in range(count):
            blocks: list[nn.Module] = []
            for number in range(encoder_blocks[stage]):
                stride = strides[stage] if number == 0 else 1
                blocks.append(block(width, features[stage], kernels[stage], stride, norm=norm, dropout=dropout))
                width = features[stage]
            self.encoder.append(nn.Sequential(*blocks))
        self.upsample, self.decoder, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in reversed(range(count - 1)):  # from the bottleneck up
            step, kernel, width = tuple(strides[stage + 1]), kernels[stage], features[stage]
            self.upsample.append(Upsample(features[stage + 1], width, step))
            widths = [2 * width] + [width] * decoder_blocks[stage]
            convs: list[nn.Module] = [
                ConvBlock(before, after, kernel, norm=norm, dropout=dropout) for before, after in pairwise(widths)
            ]
            self.decoder.append(_DecoderStage(*convs))
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
        self._refuse_unfit(tuple(images.shape[2:]))
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
            maps = stage(upsample(maps), skip)
            decoded.append(maps)
        return decoded

    def _refuse_unfit(self, size: tuple[int, ...]) -> None:
        refuse_indivisible(size, self.divisor, "this U-Net")
        if all(voxels == by for voxels, by in zip(size, self.divisor, strict=True)):
            raise OverreadError(
                f"an image of {size} leaves one voxel at the bottleneck of this U-Net (strides multiply to {self.divisor})",
                next="pad the image, or plan fewer stages",
            )


class _DecoderStage(nn.Sequential):
    """Convolutions, the first of which reads the map from below and the skip beside it."""

    def forward(self, maps: Tensor, skip: Tensor) -> Tensor:  # type: ignore[override]
        first, *more = self
        maps = first(maps, skip)
        for block in more:
            maps = block(maps)
        return maps


def _each(count: int | Sequence[int], stages: int) -> tuple[int, ...]:
    return (count,) * stages if isinstance(count, int) else tuple(count)[:stages]


def _check(features: Sequence[int], kernels: Sequence[Sequence[int]], strides: Sequence[Sequence[int]], norm: str) -> None:
    if not len(features) == len(kernels) == len(strides) >= 2:
        raise OverreadError(
            f"a U-Net needs one width, kernel and stride per stage and two stages or more; "
            f"got {len(features)} widths, {len(kernels)} kernels, {len(strides)} strides"
        )
    if norm not in NORMS:
        raise OverreadError(f"no normalisation is called '{norm}'", next=f"choose one of {', '.join(NORMS)}")
