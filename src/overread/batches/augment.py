"""Augmentation of whole batches in torch: its ranges, and the changes of intensity; `motion` moves.

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
    copy_paste        objects with voxels: chance that an image is given objects cut out of another one
    hide_clinical     clinical variables: chance that a value is hidden, and as often all of a case
    """

    mirror: tuple[int, ...] = ()
    rotation_degrees: float = 15.0
    scale: float = 0.2
    shift: float = 0.0
    elastic: float = 0.0
    chance: float = 0.5
    intensity: float = 1.0
    in_plane: bool = False
    copy_paste: float = 0.0
    hide_clinical: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Augmentation:
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


NONE = Augmentation(rotation_degrees=0.0, scale=0.0, chance=0.0, intensity=0.0)


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
