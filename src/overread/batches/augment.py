"""Augmentation of whole batches in torch: one affine and elastic resample, then intensity changes.

Applied to training batches only. All random numbers come from the generator passed in, which lies
on the processor, so that one seed gives one series of batches on every device.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Augmentation:
    """Ranges and chances of every change; the plan writes these values with their reasons.

    mirror            array axes (0 Z, 1 Y, 2 X) that may be mirrored, each with chance 1/2
    rotation_degrees  largest rotation about each axis (2D: in the plane)
    scale             largest change of size, 0.2 means a factor between 1/1.2 and 1.2
    shift             largest shift in voxels, as a share of the patch; for one answer per case
    elastic           root mean square displacement in voxels; 0 is off
    chance            chance that a sample is moved at all
    intensity         strength of noise, blur, brightness, contrast and gamma; 1.0 as in nnU-Net, 0 off
    in_plane          rotate about Z only: slices are much thicker than pixels are wide
    """

    mirror: tuple[int, ...] = ()
    rotation_degrees: float = 15.0
    scale: float = 0.2
    shift: float = 0.0
    elastic: float = 0.0
    chance: float = 0.5
    intensity: float = 1.0
    in_plane: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Augmentation:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


NONE = Augmentation(rotation_degrees=0.0, scale=0.0, chance=0.0, intensity=0.0)


def region_shape(patch: Shape, rules: Augmentation, spacing: tuple[float, float, float]) -> Shape:
    """The region to cut so that a moved patch finds its voxels: the patch's reach under the largest motion.

    A patch with one slice needs one slice.
    """
    if rules.chance == 0 or (rules.rotation_degrees == 0 and rules.scale == 0 and rules.elastic == 0):
        return patch
    angle = math.radians(min(rules.rotation_degrees, 45.0))
    edge = [n * s for n, s in zip(patch, spacing, strict=True)]
    reach = []
    for axis in range(3):
        others = [edge[k] for k in range(3) if k != axis and patch[k] > 1 and patch[axis] > 1]
        if rules.in_plane and axis == 0:
            others = []
        longest = edge[axis] * math.cos(angle) + max(others, default=0.0) * math.sin(angle) if others else edge[axis]
        voxels = max(longest, edge[axis]) * (1 + rules.scale) / spacing[axis] + 3 * rules.elastic
        reach.append(1 if patch[axis] == 1 else math.ceil(voxels))
    return tuple(reach)  # type: ignore[return-value]


def move(
    images: Tensor,
    targets: Tensor | None,
    patch: Shape,
    rules: Augmentation,
    spacing: tuple[float, float, float],
    random: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """Rotate, scale, shift, bend and mirror; one resample per sample.

    images   (B, C, *region) float
    targets  (B, S, *region) uint8 labels, or None
    returns  (B, C, *patch) float, linear; (B, S, *patch) uint8, nearest
    """
    if rules.chance > 0:
        grid = _sampling_grid(images.shape[0], tuple(images.shape[2:]), patch, rules, spacing, random).to(images.device)  # type: ignore[arg-type]
        if images.shape[2] == 1:  # one slice: the plane resampler is several times faster
            flat = grid[:, 0, :, :, :2]
            images = F.grid_sample(images[:, :, 0], flat, mode="bilinear", align_corners=False)[:, :, None]
            if targets is not None:
                moved = F.grid_sample(targets[:, :, 0].to(images.dtype), flat, mode="nearest", align_corners=False)
                targets = moved.to(targets.dtype)[:, :, None]
        else:
            images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
            if targets is not None:
                targets = F.grid_sample(targets.to(images.dtype), grid, mode="nearest", align_corners=False).to(targets.dtype)
    return _mirror(images, targets, rules.mirror, random)


def _sampling_grid(
    count: int, region: Shape, patch: Shape, rules: Augmentation, spacing: tuple[float, float, float], random: torch.Generator
) -> Tensor:
    """(B, *patch, 3) positions in the region for `grid_sample`: x, y, z from -1 to 1 over its faces."""
    offsets = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch), indexing="ij")
    places = torch.stack(offsets, -1).reshape(1, -1, 3)
    matrices, shifts = _motions(count, patch, rules, spacing, random)
    moved = torch.baddbmm(shifts, places.expand(count, -1, -1), matrices.transpose(1, 2))
    if rules.elastic > 0:
        moved = moved + _bends(count, patch, rules, random).reshape(count, -1, 3)
    normalised = 2 * moved / torch.tensor(region, dtype=torch.float32)
    return normalised.flip(-1).reshape(count, *patch, 3)


def _motions(
    count: int, patch: Shape, rules: Augmentation, spacing: tuple[float, float, float], random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(B, 3, 3) maps of voxel offsets (z, y, x) and (B, 1, 3) shifts; rotation is done in millimetres."""
    spread = torch.rand(count, 9, generator=random) * 2 - 1
    active = (torch.rand(count, 2, generator=random) < rules.chance).float()
    angles = spread[:, :3] * math.radians(rules.rotation_degrees) * active[:, :1]
    if patch[0] == 1 or rules.in_plane:
        angles = angles * torch.tensor([1.0, 0.0, 0.0])
    rotation = _rotation(angles)
    common = torch.exp(spread[:, 3:4] * math.log1p(rules.scale) * active[:, 1:])
    zoom = torch.diag_embed(common.expand(-1, 3))
    size = torch.tensor(spacing, dtype=torch.float32)
    matrices = (rotation @ zoom) * size[None, None, :] / size[None, :, None]
    shifts = spread[:, 6:9] * rules.shift * torch.tensor(patch, dtype=torch.float32) * active[:, :1]
    if patch[0] == 1:
        shifts[:, 0] = 0
        matrices[:, 0, 0] = 1
    return matrices, shifts[:, None, :]


def _rotation(angles: Tensor) -> Tensor:
    """(B, 3) angles about the Z, Y, X axes -> (B, 3, 3) rotations of (z, y, x) vectors."""
    cos, sin = torch.cos(angles), torch.sin(angles)
    one, zero = torch.ones_like(cos[:, 0]), torch.zeros_like(cos[:, 0])

    def matrix(*rows: Tensor) -> Tensor:
        return torch.stack(rows, -1).reshape(-1, 3, 3)

    about_z = matrix(one, zero, zero, zero, cos[:, 0], -sin[:, 0], zero, sin[:, 0], cos[:, 0])
    about_y = matrix(cos[:, 1], zero, -sin[:, 1], zero, one, zero, sin[:, 1], zero, cos[:, 1])
    about_x = matrix(cos[:, 2], -sin[:, 2], zero, sin[:, 2], cos[:, 2], zero, zero, zero, one)
    return about_z @ about_y @ about_x


def _bends(count: int, patch: Shape, rules: Augmentation, random: torch.Generator) -> Tensor:
    """(B, *patch, 3) smooth displacements in voxels, from random vectors on a coarse grid."""
    coarse = [max(2, round(n / 12)) if n > 1 else 1 for n in patch]
    vectors = torch.randn(count, 3, *coarse, generator=random) * rules.elastic
    active = (torch.rand(count, generator=random) < rules.chance).float()
    vectors = vectors * active[:, None, None, None, None]
    if patch[0] == 1:
        vectors[:, 0] = 0
        smooth = F.interpolate(vectors[:, :, 0], patch[1:], mode="bicubic", align_corners=True)[:, :, None]
    else:
        smooth = F.interpolate(vectors, patch, mode="trilinear", align_corners=True)
    return smooth.movedim(1, -1)


def _mirror(
    images: Tensor, targets: Tensor | None, axes: tuple[int, ...], random: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    chosen = torch.rand(images.shape[0], 3, generator=random) < 0.5
    for axis in axes:
        which = chosen[:, axis].to(images.device)
        shape = (-1, 1, 1, 1, 1)
        images = torch.where(which.reshape(shape), images.flip(axis + 2), images)
        if targets is not None:
            targets = torch.where(which.reshape(shape), targets.flip(axis + 2), targets)
    return images, targets


def change_intensity(images: Tensor, rules: Augmentation, random: torch.Generator) -> Tensor:
    """Noise, blur, brightness, contrast, low resolution and gamma, each with its own chance per sample.

    images  (B, C, Z, Y, X) normalised
    Source: the list and chances follow Isensee et al., Nature Methods 18, 203 (2021), supplement; ranges times `intensity`.
    """
    strength = rules.intensity
    if strength == 0:
        return images
    count = images.shape[0]

    def drawn(low: float, high: float, chance: float, neutral: float) -> tuple[Tensor, bool]:
        value = low + (high - low) * torch.rand(count, generator=random)
        active = torch.rand(count, generator=random) < chance
        result = torch.where(active, value, torch.full((count,), neutral))
        return result.reshape(-1, 1, 1, 1, 1).to(images.device), bool(active.any())

    noise, some = drawn(0.0, 0.3 * strength, 0.15, 0.0)
    seed = int(torch.randint(2**31, (1,), generator=random))
    if some:
        device_random = torch.Generator(images.device).manual_seed(seed)
        images = images + noise * torch.randn(images.shape, generator=device_random, device=images.device, dtype=images.dtype)
    width, some = drawn(0.5, 0.5 + 0.5 * strength, 0.2, 0.0)
    if some:
        images = _blur(images, width)
    gain, some = drawn(1 - 0.25 * strength, 1 + 0.25 * strength, 0.15, 1.0)
    contrast, more = drawn(1 - 0.25 * strength, 1 + 0.35 * strength, 0.15, 1.0)
    if some or more:
        mean = images.mean((2, 3, 4), keepdim=True)
        images = (images - mean) * contrast + mean * gain
    images = _coarsen(images, strength, random)
    power, some = drawn(1 - 0.3 * strength, 1 + 0.5 * strength, 0.3, 1.0)
    if some:
        images = _gamma(images, power)
    return images


def _blur(images: Tensor, width: Tensor) -> Tensor:
    """Gaussian blur of the samples whose width (voxels) is above 0; three separable passes."""
    result = images.clone()
    for sample in torch.nonzero(width.flatten() > 0).flatten().tolist():
        sigma = float(width[sample])
        radius = max(1, math.ceil(2.5 * sigma))
        places = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
        kernel = torch.exp(-0.5 * (places / sigma) ** 2)
        kernel = kernel / kernel.sum()
        picture = images[sample][:, None]
        for axis in range(3):
            if picture.shape[axis + 2] <= radius:
                continue
            shape = [1, 1, 1, 1, 1]
            shape[axis + 2] = -1
            pad = [0] * 6
            pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = radius
            picture = F.conv3d(F.pad(picture, pad, mode="replicate"), kernel.reshape(shape))
        result[sample] = picture[:, 0]
    return result


def _coarsen(images: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Take some samples to a lower resolution and back, as a thicker slice or an older scanner would."""
    chosen = torch.rand(images.shape[0], generator=random) < 0.2
    factors = 1 + torch.rand(images.shape[0], generator=random) * min(1.0, strength)
    if not chosen.any():
        return images
    result = images.clone()
    for sample in torch.nonzero(chosen).flatten().tolist():
        full = images.shape[2:]
        low = [max(1, round(n / float(factors[sample]))) for n in full]
        small = F.interpolate(images[sample : sample + 1], low, mode="nearest")
        result[sample] = F.interpolate(small, full, mode="trilinear", align_corners=False)[0]
    return result


def _gamma(images: Tensor, power: Tensor) -> Tensor:
    """Bend intensities between each image's own extremes, keeping its mean and spread."""
    low, high = images.amin((2, 3, 4), keepdim=True), images.amax((2, 3, 4), keepdim=True)
    mean, std = images.mean((2, 3, 4), keepdim=True), images.std((2, 3, 4), keepdim=True)
    unit = ((images - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    bent = torch.where(power == 1, images, unit**power)
    spread = bent.std((2, 3, 4), keepdim=True).clamp_min(1e-6)
    return torch.where(power == 1, images, (bent - bent.mean((2, 3, 4), keepdim=True)) / spread * std + mean)
