"""How a region of a prepared case becomes the patch that the network is shown: turned, scaled, shifted, bent, mirrored.

One motion is drawn for a batch and then applied to everything that lies on it: images, labels, numbers of objects, boxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from overread.batches.augment import Augmentation, Shape


@dataclass(frozen=True)
class Motion:
    """One motion per sample.

    region, patch  (Z, Y, X) what is cut, and what comes out
    matrices       (B, 3, 3) offsets (z, y, x) from the middle of the patch -> from the middle of the region; None: nothing
                   is turned, scaled or shifted, and region and patch are one
    shifts         (B, 1, 3) added to that, voxels
    bends          (B, *patch, 3) added to that, voxels; None where nothing is bent
    mirrored       (B, 3) bool: the axes that are mirrored at last
    """

    region: Shape
    patch: Shape
    matrices: Tensor | None
    shifts: Tensor | None
    bends: Tensor | None
    mirrored: Tensor


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


def draw_motion(
    count: int, region: Shape, patch: Shape, rules: Augmentation, spacing: tuple[float, float, float], random: torch.Generator
) -> Motion:
    """Draw `count` motions; spacing (Z, Y, X) of the prepared grid, of which only ratios matter."""
    matrices = shifts = bends = None
    if rules.chance > 0:
        matrices, shifts = _motions(count, patch, rules, spacing, random)
        bends = _bends(count, patch, rules, random) if rules.elastic > 0 else None
    allowed = torch.tensor([axis in rules.mirror for axis in range(3)])
    mirrored = (torch.rand(count, 3, generator=random) < 0.5) & allowed
    return Motion(region, patch, matrices, shifts, bends, mirrored)


def move(images: Tensor, targets: Tensor | None, motion: Motion) -> tuple[Tensor, Tensor | None]:
    """Apply a motion to a batch; one resample per sample.

    images   (B, C, *region) float
    targets  (B, S, *region) labels or numbers of objects, or None
    returns  (B, C, *patch) float, linear; (B, S, *patch) of the type given, nearest
    """
    if motion.matrices is not None:
        grid = _sampling_grid(motion).to(images.device)
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
    return _mirrored(images, motion), _mirrored(targets, motion) if targets is not None else None


def move_boxes(boxes: Tensor, motion: Motion, place: int) -> Tensor:
    """(N, 6) boxes of one sample in index coordinates of the region -> of the patch, not cut to it; bends are not followed.

    place  of the sample in the batch
    The box of a turned object is taken as the box of the turned ellipse that the old box holds, for the box of the turned
    corners grows with every turn. Source: Kalra et al., ICCV 2021, arXiv:2105.03371.
    """
    middle = (boxes[:, :3] + boxes[:, 3:]) / 2 - (torch.tensor(motion.region, dtype=torch.float32) - 1) / 2
    half = (boxes[:, 3:] - boxes[:, :3]) / 2
    if motion.matrices is not None and motion.shifts is not None:
        back = torch.linalg.inv(motion.matrices[place])
        middle = (middle - motion.shifts[place]) @ back.T
        half = (half**2 @ (back**2).T).sqrt()
    middle = torch.where(motion.mirrored[place], -middle, middle) + (torch.tensor(motion.patch, dtype=torch.float32) - 1) / 2
    return torch.cat([middle - half, middle + half], dim=1)


def _sampling_grid(motion: Motion) -> Tensor:
    """(B, *patch, 3) positions in the region for `grid_sample`: x, y, z from -1 to 1 over its faces."""
    assert motion.matrices is not None
    assert motion.shifts is not None
    count, patch = len(motion.matrices), motion.patch
    offsets = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch), indexing="ij")
    places = torch.stack(offsets, -1).reshape(1, -1, 3)
    moved = torch.baddbmm(motion.shifts, places.expand(count, -1, -1), motion.matrices.transpose(1, 2))
    if motion.bends is not None:
        moved = moved + motion.bends.reshape(count, -1, 3)
    normalised = 2 * moved / torch.tensor(motion.region, dtype=torch.float32)
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


def _mirrored(batch: Tensor, motion: Motion) -> Tensor:
    for axis in range(3):
        which = motion.mirrored[:, axis]
        if which.any():
            batch = torch.where(which.to(batch.device).reshape(-1, 1, 1, 1, 1), batch.flip(axis + 2), batch)
    return batch
