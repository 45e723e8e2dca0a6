"""From patch and spacing to the stages of a U-Net: how often to halve each axis, with which kernels, how wide."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from overread.core.errors import OverreadError

SMALLEST_MAP = 4  # voxels: an axis is halved only while it stays at least this long
BASE_FEATURES = 32
MOST_FEATURES = {2: 512, 3: 320}


@dataclass(frozen=True)
class Stages:
    """The shape of a U-Net, one entry per stage from full resolution to the bottleneck.

    features  channels of each stage
    kernels   kernel size of each stage, one number per spatial axis; (1, 3, 3) leaves thick slices alone
    strides   step from the stage above, one number per spatial axis; the first stage has stride 1
    patch     the patch, made divisible by the product of the strides, voxels per axis
    """

    features: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    patch: tuple[int, ...]

    @property
    def divisor(self) -> tuple[int, ...]:
        """By how much each axis of an input must be divisible."""
        return tuple(prod(axis) for axis in zip(*self.strides, strict=True))


def plan_stages(
    patch: Sequence[int],
    spacing: Sequence[float],
    *,
    base_features: int = BASE_FEATURES,
    most_features: int | None = None,
) -> Stages:
    """Choose stages for a patch: halve the finest axes until the voxel is roughly a cube and the map small.

    patch    voxels per axis, (Z, Y, X) or (Y, X)
    spacing  millimetres per axis (or any unit, only ratios count)
    returns  stages, with the patch rounded up to a multiple of its divisor

    An axis is halved while it has at least 8 voxels and its spacing is less than twice the finest of those axes; a single
    remaining axis only while it has at least 12. A kernel is 1 along an axis until its spacing is within a factor of 2.

    Source: Isensee et al., nnU-Net, Nature Methods 2021;18:203, supplementary note 2 (network topology).
    """
    if len(patch) != len(spacing) or len(patch) not in MOST_FEATURES:
        raise OverreadError(
            f"a patch of {tuple(patch)} voxels and a spacing of {tuple(spacing)} do not describe 2 or 3 axes",
            next="give one size and one spacing per axis",
        )
    strides, kernels = _halve(list(patch), list(spacing))
    widest = most_features or MOST_FEATURES[len(patch)]
    features = tuple(min(base_features * 2**stage, widest) for stage in range(len(strides)))
    divisor = [prod(axis) for axis in zip(*strides, strict=True)]
    padded = tuple(ceil(size / by) * by for size, by in zip(patch, divisor, strict=True))
    return Stages(features, tuple(kernels), tuple(strides), padded)


def _halve(size: list[int], spacing: list[float]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    axes = range(len(size))
    kernel = [1] * len(size)
    strides: list[tuple[int, ...]] = [(1,) * len(size)]
    kernels: list[tuple[int, ...]] = []
    while halved := _axes_to_halve(size, spacing):
        kernel = [3 if kernel[axis] == 3 or spacing[axis] / min(spacing) < 2 else 1 for axis in axes]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in halved else 1 for axis in axes))
        for axis in halved:
            size[axis], spacing[axis] = ceil(size[axis] / 2), spacing[axis] * 2
    return strides, [*kernels, (3,) * len(size)]


def _axes_to_halve(size: list[int], spacing: list[float]) -> list[int]:
    long_enough = [axis for axis, voxels in enumerate(size) if voxels >= 2 * SMALLEST_MAP]
    if not long_enough:
        return []
    finest = min(spacing[axis] for axis in long_enough)
    chosen = [axis for axis in long_enough if spacing[axis] / finest < 2]
    is_too_short_alone = len(chosen) == 1 and size[chosen[0]] < 3 * SMALLEST_MAP
    return [] if is_too_short_alone else chosen


def stages_of(
    dimensions: int, patch: Any, spacing: Any, base_features: int, features: Any, kernels: Any, strides: Any
) -> tuple[Any, Any, Any]:
    """Features, kernels and strides per stage: as given, else planned for a patch (voxels) and spacing (mm)."""
    if isinstance(base_features, bool) or not isinstance(base_features, int) or base_features < 1:
        raise OverreadError(
            f"base_features = {base_features!r} is no number of channels", f"set {BASE_FEATURES}, or leave it out"
        )
    if strides is None:
        stages = plan_stages(patch or (32,) * dimensions, spacing or (1.0,) * dimensions, base_features=base_features)
        strides, kernels, features = stages.strides, kernels or stages.kernels, features or stages.features
    features = features or [base_features * 2**stage for stage in range(len(strides))]
    kernels = kernels or [(3,) * dimensions] * len(strides)
    if any(len(entry) != dimensions for entry in (*kernels, *strides)):
        raise OverreadError(
            f"the kernels and strides of a {dimensions}D U-Net need {dimensions} numbers each; got {kernels}, {strides}"
        )
    return features, kernels, strides
