"""Slices with which a volume was padded stay slices of one value in training, whatever augmentation does to the batch.

A network over slices knows padding by its one value (`networks.exam.slices.present`), and leaves it out. A turn mixes the field
of view's rim into such a slice, and noise, blur and a lower resolution spread over it: it would be taken for an image, and the
network would learn from slices that it never sees when it reads.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from overread.batches.motion import Motion
from overread.batches.windows import centred_start

LEAST = 1e-3  # of a slice: less of the image than that comes of rounding where a slice is moved


def put_back(changed: Tensor, regions: Tensor, motion: Motion, axis: int | None) -> Tensor:
    """(B, C, *patch) after all changes, in which slices made of nothing but padding have one value per channel, their mean.

    regions  (B, C, *region) as they were cut, before the motion, about the middle of images as large as the patch
    axis     along which slices follow each other: 0 Z, 1 Y, 2 X; None: the network does not read slices, and nothing is done
    """
    if axis is None:
        return changed
    across = tuple(2 + other for other in range(3) if other != axis)
    keeps = _reaches(_held(regions, motion, axis), motion, axis)
    shape = [len(changed), 1, 1, 1, 1]
    shape[2 + axis] = -1
    return torch.where(keeps.reshape(shape), changed, changed.mean(across, keepdim=True))


def _held(regions: Tensor, motion: Motion, axis: int) -> Tensor:
    """(B, S) bool: slices of the regions with several values inside the field of view; around it lies the 0 of `cut`."""
    starts = centred_start(motion.patch, motion.region)
    seen = regions.movedim(2 + axis, 2)
    for place, other in enumerate((k for k in range(3) if k != axis), start=3):
        seen = seen.narrow(place, max(0, -starts[other]), motion.patch[other])
    return (seen.amax((3, 4)) > seen.amin((3, 4))).any(1)


def _reaches(held: Tensor, motion: Motion, axis: int) -> Tensor:
    """(B, S) bool: slices of the patch into which some slice of the region that is held was mixed.

    held  (B, S') of the region
    A turn takes a plane to a plane, so its corners say how far it reaches along the axis; what bends it reaches as far at most.
    """
    low, high = (reach.to(held.device)[..., None] for reach in _reach(motion, axis))
    places = torch.arange(held.shape[1], device=held.device)
    near = (places > low - 1 + LEAST) & (places < high + 1 - LEAST)
    reached = (near & held[:, None]).any(2)
    return torch.where(motion.mirrored[:, axis : axis + 1].to(held.device), reached.flip(1), reached)


def _reach(motion: Motion, axis: int) -> tuple[Tensor, Tensor]:
    """(B, S), (B, S): from where to where each slice of the patch lies along the axis of the region, in its slices."""
    edges = [(-(n - 1) / 2, (n - 1) / 2) for n in motion.patch]
    own = torch.arange(motion.patch[axis], dtype=torch.float32) + edges[axis][0]
    corners = torch.tensor(list(itertools.product(*edges)))[:, None].repeat(1, len(own), 1)
    corners[..., axis] = own
    if motion.matrices is None or motion.shifts is None:
        moved = corners[None].expand(len(motion.mirrored), -1, -1, -1)
    else:
        moved = torch.einsum("bij,csj->bcsi", motion.matrices, corners) + motion.shifts[:, None]
    along = moved[..., axis] + (motion.region[axis] - 1) / 2
    low, high = along.amin(1), along.amax(1)
    if motion.bends is not None:
        bent = motion.bends[..., axis].movedim(1 + axis, 1).flatten(2)
        low, high = low + bent.amin(2), high + bent.amax(2)
    return low, high
