"""What a network is taught of the objects in one patch: boxes, classes, and where they are known the voxels by number."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from overread.batches.motion import Motion, move_boxes
from overread.batches.objects import boxes_of_numbers
from overread.batches.windows import Shape

ObjectTarget = dict[str, Tensor]
LEAST_LEFT = 0.25  # of an object's box must be left in the patch, or it is not asked for: nobody names a lesion from its rim


def object_target(boxes: Tensor, classes: np.ndarray, numbers: Tensor | None, patch: Shape, dimensions: int) -> ObjectTarget:
    """The target of one patch.

    boxes    (N, 6) float in index coordinates of the patch, not yet cut to it
    classes  (N,) integers
    numbers  (L, *patch) integers, k + 1 where object k is; None where boxes are all that is known
    returns  boxes (M, 6) float32, classes (M,) int64 and, with numbers, numbers (L, [Z,] Y, X) int16 of the objects that stay

    An object stays where at least `LEAST_LEFT` of its box's volume lies in the patch, and a voxel of it where voxels are
    known: then its box is the smallest around the voxels that are left.
    """
    faces = torch.tensor(patch, dtype=torch.float32) - 0.5
    cut = torch.cat([boxes[:, :3].clamp(min=-0.5), torch.minimum(boxes[:, 3:], faces)], dim=1)
    share = (cut[:, 3:] - cut[:, :3]).clamp(min=0).prod(1) / (boxes[:, 3:] - boxes[:, :3]).prod(1).clamp(min=1e-6)
    stays = share.numpy() >= LEAST_LEFT
    if numbers is None:
        return {"boxes": cut[stays], "classes": torch.from_numpy(classes[stays].astype(np.int64))}
    layers = numbers.cpu().numpy()
    tight = boxes_of_numbers(layers, len(boxes))
    stays &= np.isfinite(tight[:, 0])
    rows = np.zeros(len(boxes) + 1, dtype=np.int16)
    rows[1:][stays] = np.arange(1, stays.sum() + 1)
    kept = rows[layers]
    used = [layer for layer in kept if layer.any()] or [np.zeros_like(kept[0])]
    flat = np.stack(used)[:, 0] if dimensions == 2 else np.stack(used)
    return {
        "boxes": torch.from_numpy(tight[stays]),
        "classes": torch.from_numpy(classes[stays].astype(np.int64)),
        "numbers": torch.from_numpy(flat),
    }


def object_targets(
    tables: list[tuple[np.ndarray, np.ndarray]], numbers: Tensor | None, motion: Motion, dimensions: int, device: torch.device
) -> list[ObjectTarget]:
    """Targets of a batch.

    tables   per sample boxes (N, 6) in index coordinates of its region, and classes (N,)
    numbers  (B, L, *patch) integers, moved already; None where boxes are all that is known
    """
    targets = []
    for place, (boxes, classes) in enumerate(tables):
        moved = move_boxes(torch.from_numpy(boxes.astype(np.float32)), motion, place)
        target = object_target(moved, classes, None if numbers is None else numbers[place], motion.patch, dimensions)
        targets.append({name: values.to(device) for name, values in target.items()})
    return targets


def stacked_numbers(numbers: list[np.ndarray]) -> np.ndarray:
    """(L, *region) per sample, L of its own -> (B, largest L, *region) int32; a missing layer is empty."""
    most = max(len(layers) for layers in numbers)
    stacked = np.zeros((len(numbers), most, *numbers[0].shape[1:]), dtype=np.int32)
    for place, layers in enumerate(numbers):
        stacked[place, : len(layers)] = layers
    return stacked
