"""What the U-shaped networks share: the stages of the encoder, a stage of the decoder, and which sizes fit."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.networks.blocks.convolution import ConvBlock
from overread.networks.fit import refuse_indivisible
from overread.networks.stages import BASE_FEATURES, stages_of

Stagewise = Sequence[Sequence[int]]


def encoder_stages(
    inputs: int,
    features: Sequence[int],
    kernels: Stagewise,
    strides: Stagewise,
    blocks: Sequence[int],
    block: Any = ConvBlock,
    **options: Any,
) -> nn.ModuleList:
    """One stage per width, each a row of blocks whose first steps down.

    blocks   how many per stage
    block    ConvBlock or ResidualBlock, called (inputs, outputs, kernel, stride, **options)
    """
    stages, width = nn.ModuleList(), inputs
    for stage, outputs in enumerate(features):
        row: list[nn.Module] = []
        for number in range(blocks[stage]):
            row.append(block(width, outputs, kernels[stage], strides[stage] if number == 0 else 1, **options))
            width = outputs
        stages.append(nn.Sequential(*row))
    return stages


class DecoderStage(nn.Sequential):
    """Convolutions, the first of which reads the map from below and the skip beside it, where there is one."""

    def forward(self, maps: Tensor, skip: Tensor | None = None) -> Tensor:
        first, *more = self
        maps = first(maps, skip)
        for block in more:
            maps = block(maps)
        return maps


def per_stage(count: int | Sequence[int], stages: int) -> tuple[int, ...]:
    """One number per stage, from one for all or from a list that may be too long."""
    return (count,) * stages if isinstance(count, int) else tuple(count)[:stages]


def divisor_of(strides: Stagewise) -> tuple[int, ...]:
    """To what each axis of an image must be a multiple of: the product of the steps along it."""
    return tuple(prod(axis) for axis in zip(*strides, strict=True))


def divisor_of_options(dimensions: int, options: Mapping[str, Any]) -> tuple[int, ...]:
    """The same from the options of a row, before anything is built."""
    given = {name: options.get(name) for name in ("patch", "spacing", "features", "kernels", "strides")}
    base = options.get("base_features", BASE_FEATURES)
    return divisor_of(stages_of(dimensions, base_features=base, **given)[2])


def refuse_uneven_stages(features: Sequence[int], kernels: Stagewise, strides: Stagewise, name: str) -> None:
    """Stop where widths, kernels and strides do not go together."""
    if not len(features) == len(kernels) == len(strides) >= 2:
        raise OverreadError(
            f"a {name} needs one width, kernel and stride per stage and two stages or more; "
            f"got {len(features)} widths, {len(kernels)} kernels, {len(strides)} strides"
        )


def refuse_unfit_size(size: Sequence[int], divisor: Sequence[int], name: str) -> None:
    """Stop at an image that does not survive the strides, or of which one voxel is left."""
    size = tuple(size)
    refuse_indivisible(size, divisor, f"this {name}")
    if all(voxels == by for voxels, by in zip(size, divisor, strict=True)):
        raise OverreadError(
            f"an image of {size} leaves one voxel at the bottleneck of this {name} (strides multiply to {tuple(divisor)})",
            next="pad the image, or plan fewer stages",
        )
