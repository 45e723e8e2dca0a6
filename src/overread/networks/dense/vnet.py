"""The V-Net: wide kernels, and in each stage a sum with what the stage was given; for volumes, and planes too.

Source: Milletari et al., V-Net, 3DV 2016, arXiv:1606.04797.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.activations import make_activation
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import CHANNEL_DROPOUT, CONVOLUTION, convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.norms import make_norm
from overread.networks.blocks.upsampling import Upsample
from overread.networks.dense.one_scale import OneScale
from overread.networks.dense.u_shape import divisor_of, per_stage, refuse_uneven_stages, refuse_unfit_size
from overread.networks.stages import stages_of

ENCODER, DECODER = (1, 2, 3, 3, 3), (1, 2, 3, 3)  # convolutions per stage, full resolution first; the figure of the paper
KERNEL = 5
FEATURES = 16


class VNet(OneScale):
    """Encoder and decoder of residual stages; steps are learned convolutions, not pooling.

    features, kernels, strides  per stage, as in `UNet`
    encoder_blocks, decoder_blocks  convolutions per stage, full resolution first; the last number holds for deeper stages
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        encoder_blocks: Sequence[int] = ENCODER,
        decoder_blocks: Sequence[int] = DECODER,
        norm: str = "batch",
        activation: str = "prelu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        refuse_uneven_stages(features, kernels, strides, "V-Net")
        self.dimensions, self.divisor = len(kernels[0]), divisor_of(strides)
        count, style = len(features), {"norm": norm, "activation": activation}
        deeper, finer = _stretched(encoder_blocks, count), _stretched(decoder_blocks, count - 1)
        self.width = features[0]
        self.entry = ConvUnit(in_channels, self.width, kernels[0], norm=norm, activation="none")
        self.bend = make_activation(activation)
        self.encoder = nn.ModuleList([_Residual(self.width, kernels[0], deeper[0] - 1, **style)])
        self.down, self.upsample, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in range(1, count):
            self.down.append(_Down(features[stage - 1], features[stage], strides[stage], **style))
            self.encoder.append(_Residual(features[stage], kernels[stage], deeper[stage], **style))
        below = features[-1]
        for stage in reversed(range(count - 1)):
            self.upsample.append(_Up(below, features[stage], strides[stage + 1], **style))
            below = 2 * features[stage]
            self.decoder.append(_Residual(below, kernels[stage], finer[stage], **style))
        self.dropout = CHANNEL_DROPOUT[self.dimensions](dropout) if dropout else nn.Identity()
        self.head = convolution(below, out_channels, (1,) * self.dimensions)
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits at full resolution: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        *skips, maps = self.encode(images)
        for upsample, stage, skip in zip(self.upsample, self.decoder, reversed(skips), strict=True):
            maps = stage(torch.cat((upsample(maps), skip), dim=1))
        return self.head(self.dropout(maps))

    def encode(self, images: Tensor) -> list[Tensor]:
        refuse_unfit_size(images.shape[2:], self.divisor, "V-Net")
        repeats = -(-self.width // images.shape[1])  # the image beside itself, so that it can be added to as many maps
        beside = images.repeat(1, repeats, *(1,) * self.dimensions)[:, : self.width]
        maps = self.encoder[0](self.bend(self.entry(images) + beside))
        stages = [maps]
        for down, stage in zip(self.down, self.encoder[1:], strict=True):
            maps = stage(down(maps))
            stages.append(maps)
        return stages


class _Residual(nn.Module):
    """Convolutions, and the sum with what they were given, bent once more; without convolutions nothing happens."""

    def __init__(self, width: int, kernel: Sequence[int], count: int, *, norm: str, activation: str) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(ConvUnit(width, width, kernel, norm=norm, activation=activation) for _ in range(count))
        )
        self.bend = make_activation(activation) if count else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return self.bend(self.convolutions(maps) + maps) if len(self.convolutions) else maps


class _Down(nn.Sequential):
    """A convolution whose kernel is its stride, normalised and bent."""

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int], *, norm: str, activation: str) -> None:
        step: Any = tuple(stride)
        conv = CONVOLUTION[len(step)](inputs, outputs, step, step, bias=norm == "none")
        super().__init__(conv, make_norm(norm, outputs, len(step), activate=False), make_activation(activation))


class _Up(nn.Sequential):
    """A transposed convolution whose kernel is its stride, normalised and bent."""

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int], *, norm: str, activation: str) -> None:
        up = Upsample(inputs, outputs, stride)
        super().__init__(up, make_norm(norm, outputs, len(stride), activate=False), make_activation(activation))


def _stretched(counts: Sequence[int], stages: int) -> tuple[int, ...]:
    counts = tuple(counts)
    return per_stage((*counts, *(counts[-1],) * stages), stages)


def build_vnet(
    in_channels: int,
    out_channels: int,
    dimensions: int,
    *,
    patch: Any = None,
    spacing: Any = None,
    base_features: int = FEATURES,
    features: Any = None,
    kernels: Any = None,
    strides: Any = None,
    kernel: int = KERNEL,
    encoder_blocks: Any = ENCODER,
    decoder_blocks: Any = DECODER,
    norm: str = "batch",
    activation: str = "prelu",
    dropout: float = 0.0,
) -> VNet:
    """A V-Net from features, kernels and strides, or from a patch (voxels) and spacing (mm) that stages are planned for.

    kernel  size along the axes where the stages have a kernel larger than 1; thick slices keep their 1
    """
    if kernel % 2 == 0:
        raise OverreadError(
            f"a V-Net needs an odd kernel, so that maps keep their size; got {kernel}", next="set kernel = 5 or 3"
        )
    features, kernels, strides = stages_of(dimensions, patch, spacing, base_features, features, kernels, strides)
    wide = [tuple(kernel if size > 1 else 1 for size in entry) for entry in kernels]
    counts: dict[str, Any] = {"encoder_blocks": encoder_blocks, "decoder_blocks": decoder_blocks}
    style: dict[str, Any] = {"norm": norm, "activation": activation, "dropout": dropout}
    return VNet(in_channels, out_channels, features, wide, strides, **counts, **style)
