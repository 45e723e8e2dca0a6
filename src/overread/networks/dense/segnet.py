"""SegNet: the decoder puts each value back where its maximum was pooled, so that borders stay sharp without skips; 2D and 3D.

Source: Badrinarayanan et al., SegNet, IEEE TPAMI 2017, arXiv:1511.00561.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.conv_unit import ConvUnit
from overread.networks.blocks.convolution import convolution
from overread.networks.blocks.initial import he_initialise
from overread.networks.blocks.upsampling import PoolWithPlaces, Unpool
from overread.networks.dense.one_scale import OneScale
from overread.networks.dense.u_shape import divisor_of, per_stage, refuse_unfit_size
from overread.networks.stages import stages_of

CONVOLUTIONS = (2, 2, 3, 3, 3, 3, 3, 3)  # per stage, as in VGG-16
FEATURES = 64
WIDEST = 512


class SegNet(OneScale):
    """Stages of convolutions, each followed by a pooling that remembers its places, and the same backwards.

    features  channels per stage, full resolution first
    kernels   kernel size per stage, one number per spatial axis
    steps     of the pooling after each stage, one number per spatial axis
    convolutions  per stage, in encoder and decoder alike
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        kernels: Sequence[Sequence[int]],
        steps: Sequence[Sequence[int]],
        *,
        convolutions: Sequence[int] = CONVOLUTIONS,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not len(features) == len(kernels) == len(steps) >= 1:
            raise OverreadError(
                f"a SegNet needs one width, kernel and step per stage; "
                f"got {len(features)} widths, {len(kernels)} kernels, {len(steps)} steps"
            )
        self.dimensions, self.divisor = len(kernels[0]), divisor_of(steps)
        style: dict[str, Any] = {"norm": norm, "activation": activation}
        counts = per_stage(convolutions, len(features))
        self.encoder, self.pools, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage, (before, width) in enumerate(pairwise((in_channels, *features))):
            widths = [before] + [width] * counts[stage]
            self.encoder.append(_units(widths, kernels[stage], style))
            self.pools.append(PoolWithPlaces(self.dimensions, steps[stage]))
        for stage in reversed(range(len(features))):
            widths = [features[stage]] * counts[stage] + ([features[stage - 1]] if stage else [])
            self.decoder.append(_units(widths, kernels[stage], style))
        self.unpool = Unpool()
        self.dropout = nn.Dropout(dropout)
        self.head = convolution(features[0], out_channels, kernels[0])
        he_initialise(self, slope=0.0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits at full resolution: (B, C, [Z,] Y, X) to (B, out_channels, [Z,] Y, X)."""
        maps, places, sizes = self._pooled(images)
        maps = self.dropout(maps)
        for stage, found, size in zip(self.decoder, reversed(places), reversed(sizes), strict=True):
            maps = stage(self.unpool(maps, found, size))
        return self.head(maps)

    def encode(self, images: Tensor) -> list[Tensor]:
        return [self._pooled(images)[0]]

    def _pooled(self, images: Tensor) -> tuple[Tensor, list[Tensor], list[Sequence[int]]]:
        """The coarsest map, and per stage the places of its maxima and its size before pooling."""
        refuse_unfit_size(images.shape[2:], self.divisor, "SegNet")
        maps, places = images, []
        sizes: list[Sequence[int]] = []
        for stage, pool in zip(self.encoder, self.pools, strict=True):
            maps = stage(maps)
            sizes.append(tuple(maps.shape[2:]))
            maps, found = pool(maps)
            places.append(found)
        return maps, places, sizes


def _units(widths: Sequence[int], kernel: Sequence[int], style: Mapping[str, Any]) -> nn.Sequential:
    return nn.Sequential(*(ConvUnit(before, after, kernel, **style) for before, after in pairwise(widths)))


def build_segnet(
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
    convolutions: Any = CONVOLUTIONS,
    norm: str = "batch",
    activation: str = "relu",
    dropout: float = 0.0,
) -> SegNet:
    """A SegNet from the stages of a U-Net, given or planned: it pools between them, and has no convolutions at the last.

    dropout  share of the values of the coarsest map that are dropped
    """
    features, kernels, strides = stages_of(dimensions, patch, spacing, base_features, features, kernels, strides)
    last = len(strides) - 1
    widths = [min(width, WIDEST) for width in features[:last]]
    style: dict[str, Any] = {"norm": norm, "activation": activation, "dropout": dropout}
    return SegNet(in_channels, out_channels, widths, kernels[:last], strides[1:], convolutions=convolutions, **style)
