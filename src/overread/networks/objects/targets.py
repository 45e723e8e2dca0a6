"""What the heads of the centre detector should answer, at every place of its coarser grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SPREAD = 6 / 0.54  # an object's extent over the standard deviation of its heat: 54 % of the object lie within 3 of them
NARROWEST = 0.5  # places: standard deviation of the heat of the smallest objects
NEAR = 0.1  # heat from which a place is asked for the box, too


@dataclass(frozen=True)
class Places:
    """The truth of one image on the coarser grid.

    heat    (K, *places) 1 at the centres of a class, a Gaussian around them, as wide along each axis as the object
    where   (P, D) places that are asked for a box;  boxes (P, 6) in voxels, whole also where the window cuts an object;
            weights (P,), summing to 1 per object
    """

    heat: Tensor
    where: Tensor
    boxes: Tensor
    weights: Tensor


def middles(size: Sequence[int], stride: Sequence[int], device: torch.device) -> list[Tensor]:
    """Per axis (places,): the voxel coordinate of the middle of each place."""
    return [
        torch.arange(n, device=device, dtype=torch.float32) * step + (step - 1) / 2 for n, step in zip(size, stride, strict=True)
    ]


def places_of(target: Mapping[str, Tensor], classes: int, size: Sequence[int], stride: Sequence[int]) -> Places:
    """The targets of one image.

    target  boxes (N, 6) and classes (N,) of a patch, and where its edges cut objects whole (N, 6);  size of the coarser grid;
            stride in voxels
    An object whose middle lies outside the patch has its peak at the place nearest to it.
    A place near several objects belongs to the one whose heat is highest there. Sources: Zhou et al., Objects as Points,
    2019; Liu et al., Training-Time-Friendly Network, AAAI 2020 (every place near the centre learns the box, weighted by its
    heat; here each object weighs the same, large or small).
    """
    boxes, named = target.get("whole", target["boxes"]).float(), target["classes"].long()
    axes = len(size)
    first, last = boxes[:, 3 - axes : 3], boxes[:, 6 - axes :]
    bells = _bells((first + last) / 2, last - first, size, stride)  # (N, *size)
    heat = torch.zeros(classes, *size, device=boxes.device)
    if not len(boxes):
        return Places(heat, boxes.new_zeros((0, axes), dtype=torch.int64), boxes, boxes.new_zeros(0))
    index = named.view(-1, *[1] * axes).expand_as(bells)
    heat = heat.scatter_reduce(0, index, bells, "amax")
    highest, owner = bells.max(0)
    where = (highest > NEAR).nonzero()
    owners, weights = owner[tuple(where.T)], highest[tuple(where.T)]
    totals = torch.zeros(len(boxes), device=boxes.device).scatter_add(0, owners, weights)
    return Places(heat, where, boxes[owners], weights / totals[owners])


def _bells(middle: Tensor, extent: Tensor, size: Sequence[int], stride: Sequence[int]) -> Tensor:
    """(N, D) middles and (N, D) extents in voxels -> (N, *size) Gaussians that are exactly 1 at the place of the middle."""
    total = torch.ones((len(middle),), device=middle.device)
    for axis, (n, step) in enumerate(zip(size, stride, strict=True)):
        place = ((middle[:, axis] + 0.5) / step).floor().clamp(0, n - 1)
        width = (extent[:, axis] / step / SPREAD).clamp_min(NARROWEST)
        away = (torch.arange(n, device=middle.device) - place[:, None]) / width[:, None]
        bell = torch.exp(-0.5 * away**2)
        total = total[..., None] * bell.view(len(middle), *[1] * axis, n)
    return total


def shares_of(target: Mapping[str, Tensor], classes: int, stride: Sequence[int]) -> Tensor | None:
    """(K, *places) share of each place's voxels that belong to a class, 0 to 1; None where the truth has no voxels."""
    if "numbers" not in target:
        return None
    named = torch.cat([target["classes"].new_zeros(1), target["classes"] + 1])
    masks = torch.stack([(named[target["numbers"].long()] == k + 1).any(0) for k in range(classes)]).float()
    pool = F.avg_pool2d if len(stride) == 2 else F.avg_pool3d
    return pool(masks[None], tuple(stride))[0]
