"""The U-Net whose skips pass a gate: deeper maps say which places come through, and the gates can be looked at; 2D and 3D.

Source: Oktay et al., Attention U-Net, MIDL 2018, arXiv:1804.03999.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from overread.networks.blocks.attention_gate import AttentionGate
from overread.networks.blocks.convolution import LEAKY, ConvBlock, convolution
from overread.networks.blocks.initial import he_initialise
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

_NAME = "attention U-Net"


class AttentionUNet(nn.Module):
    """A U-Net with a gate on each skip, led by the maps that come up from below.

    features, kernels, strides  per stage, as in `UNet`
    encoder_blocks, decoder_blocks, norm, activation, dropout  as in `UNet`
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
    ) -> None:
        super().__init__()
        refuse_uneven_stages(features, kernels, strides, _NAME)
        count = len(features)
        encoder_blocks, decoder_blocks = per_stage(encoder_blocks, count), per_stage(decoder_blocks, count - 1)
        self.dimensions, self.divisor = len(kernels[0]), divisor_of(strides)
        style: dict[str, Any] = {"norm": norm, "dropout": dropout, "activation": activation}
        self.encoder = encoder_stages(in_channels, features, kernels, strides, encoder_blocks, **style)
        self.upsample, self.gates = nn.ModuleList(), nn.ModuleList()
        self.decoder, self.heads = nn.ModuleList(), nn.ModuleList()
        for stage in reversed(range(count - 1)):  # from the bottleneck up
            width, kernel = features[stage], kernels[stage]
            self.upsample.append(Upsample(features[stage + 1], width, strides[stage + 1]))
            self.gates.append(AttentionGate(width, width, max(1, width // 2), self.dimensions))
            widths = [2 * width] + [width] * decoder_blocks[stage]
            self.decoder.append(DecoderStage(*(ConvBlock(before, after, kernel, **style) for before, after in pairwise(widths))))
            self.heads.append(convolution(width, out_channels, (1,) * self.dimensions))
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits at full resolution: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        return self.heads[-1](self._decode(images)[0][-1])

    def forward_scales(self, images: Tensor) -> list[Tensor]:
        """Logits of every decoder stage, full resolution first, for deep supervision."""
        scales = [head(maps) for head, maps in zip(self.heads, self._decode(images)[0], strict=True)]
        return scales[::-1]

    def features(self, images: Tensor) -> Tensor:
        """The bottleneck averaged over space: (B, features of the last stage)."""
        return self._encode(images)[-1].flatten(2).mean(2)

    def attention(self, images: Tensor) -> list[Tensor]:
        """What each gate lets through, 0 to 1: (B, 1, [Z,] Y, X) per skip, full resolution first."""
        return self._decode(images)[1][::-1]

    def _encode(self, images: Tensor) -> list[Tensor]:
        refuse_unfit_size(images.shape[2:], self.divisor, _NAME)
        maps, stages = images, []
        for stage in self.encoder:
            maps = stage(maps)
            stages.append(maps)
        return stages

    def _decode(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Maps of every decoder stage and what its gate let through, lowest resolution first."""
        *skips, maps = self._encode(images)
        decoded, passed = [], []
        for upsample, gate, stage, skip in zip(self.upsample, self.gates, self.decoder, reversed(skips), strict=True):
            maps = upsample(maps)
            weights = gate.weights_of(skip, maps)  # type: ignore[operator]
            maps = stage(maps, skip * weights)
            decoded.append(maps)
            passed.append(weights)
        return decoded, passed


def build_attention_unet(
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
) -> AttentionUNet:
    """An attention U-Net from features, kernels and strides, or from a patch (voxels) and spacing (mm) to plan stages for."""
    return AttentionUNet(
        in_channels,
        out_channels,
        *stages_of(dimensions, patch, spacing, base_features, features, kernels, strides),
        encoder_blocks=encoder_blocks,
        decoder_blocks=decoder_blocks,
        norm=norm,
        activation=activation,
        dropout=dropout,
    )
