"""Losses of centres and offsets per voxel. What a network of objects is taught by, it says itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from overread.core.errors import OverreadError
from overread.networks.objects.losses import modified_focal
from overread.tasks.losses.segmentation import dice_ce

NETWORKS_OWN = "own"  # the terms that a network of objects names itself
OFFSET_WEIGHT = 0.1  # per voxel of distance: a miss of 10 voxels costs 1
SPREAD = 8.0  # an object's extent over the standard deviation of its heat
NARROWEST = 1.0  # voxels: standard deviation of the heat of the smallest objects


def squared(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error of the heat, at places near centres as heavy as all others together.

    logits, truth (B, [Z,] Y, X). Source: Cheng et al., Panoptic-DeepLab, CVPR 2020, with the balance added.
    """
    error = (logits.sigmoid() - truth) ** 2
    near = truth > 0.01
    return _mean(error, near) + _mean(error, ~near)


HEAT: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"focal": modified_focal, "squared": squared}


def centres_and_offsets(
    answers: Tensor, targets: Sequence[Mapping[str, Tensor]], heat_loss: str, weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Dice and cross-entropy of the classes, the heat of centres, and the way to the centre inside objects (L1, voxels).

    answers  (B, K + 1 + 1 + D, [Z,] Y, X)
    targets  one per image: boxes (N, 6), classes (N,), numbers (L, [Z,] Y, X) with k + 1 where object k is, and where the
             image is a window whole (N, 6), the boxes as they go on beyond it
    """
    axes = answers.ndim - 2
    with torch.autocast(answers.device.type, enabled=False):
        answers = answers.float()
        truths = [centre_truth(one, tuple(answers.shape[2:])) for one in targets]
        classes, heat, offsets = (torch.stack(parts) for parts in zip(*truths, strict=True))
        inside = (classes > 0)[:, None].expand_as(offsets)
        return {
            "classes": dice_ce(answers[:, : -1 - axes], classes, weights),
            "centres": HEAT[heat_loss](answers[:, -1 - axes], heat),
            "offsets": OFFSET_WEIGHT * _mean((answers[:, -axes:] - offsets).abs(), inside),
        }


def centre_truth(target: Mapping[str, Tensor], shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """What the network should answer: class (*shape) int64, heat (*shape), offsets (D, *shape) in voxels.

    A centre is the middle of the object's whole box, so that it stays where it is when the edge of a window cuts the object;
    its heat is a Gaussian, as wide as an eighth of the object's extent along each axis and 1 voxel at least, and 1 at the
    voxel nearest to the centre. A centre outside the window has no such voxel in it.
    """
    if "numbers" not in target:
        raise OverreadError(
            "The truth has boxes without outlines, and this network is taught from voxels.",
            "ask for detection, or give masks or outlines as truth",
        )
    numbers = torch.zeros(shape, dtype=torch.int64, device=target["numbers"].device)
    for layer in target["numbers"]:
        numbers = torch.where(layer > 0, layer.long(), numbers)
    classes = torch.cat([numbers.new_zeros(1), target["classes"].long() + 1])[numbers]
    places = numbers.nonzero()  # (V, D)
    heat, offsets = torch.zeros(shape, device=numbers.device), torch.zeros((len(shape), *shape), device=numbers.device)
    boxes, axes = target.get("whole", target["boxes"]).float(), len(shape)
    first, last = boxes[:, 3 - axes : 3], boxes[:, 6 - axes :]
    middle, extent = (first + last) / 2, last - first
    offsets[(slice(None), *places.T)] = (middle[numbers[tuple(places.T)] - 1] - places).T
    ranges = [torch.arange(size, device=numbers.device, dtype=torch.float32) for size in shape]
    for centre, size in zip(middle.round(), (extent / SPREAD).clamp_min(NARROWEST), strict=True):
        one = torch.ones((), device=numbers.device)
        for axis, places_of_axis in enumerate(ranges):
            bell = torch.exp(-0.5 * ((places_of_axis - centre[axis]) / size[axis]) ** 2)
            one = one[..., None] * bell
        heat = torch.maximum(heat, one)
    return classes, heat, offsets


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean where a mask holds; 0 where it holds nowhere."""
    where = where.to(values.dtype)
    return (values * where).sum() / where.sum().clamp_min(1)
