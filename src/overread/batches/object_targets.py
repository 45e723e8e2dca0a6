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
    returns  boxes (M, 6) float32 cut to the patch, whole (M, 6) float32 as if the patch had no edge, classes (M,) int64 and,
             with numbers, numbers (L, [Z,] Y, X) int16 of the objects that stay

    An object stays where at least `LEAST_LEFT` of its box's volume lies in the patch, and a voxel of it where voxels are
    known: then its box is the smallest around the voxels that are left, and beyond an edge that cuts it the whole box ends
    where the box given does.
    """
    faces = torch.tensor(patch, dtype=torch.float32) - 0.5
    cut = torch.cat([boxes[:, :3].clamp(min=-0.5), torch.minimum(boxes[:, 3:], faces)], dim=1)
    share = (cut[:, 3:] - cut[:, :3]).clamp(min=0).prod(1) / (boxes[:, 3:] - boxes[:, :3]).prod(1).clamp(min=1e-6)
    stays = share.numpy() >= LEAST_LEFT
    if numbers is None:
        return {"boxes": cut[stays], "whole": boxes[stays], "classes": torch.from_numpy(classes[stays].astype(np.int64))}
    layers = numbers.cpu().numpy()
    tight = torch.from_numpy(boxes_of_numbers(layers, len(boxes)))
    stays &= np.isfinite(tight[:, 0].numpy())
    rows = np.zeros(len(boxes) + 1, dtype=np.int16)
    rows[1:][stays] = np.arange(1, stays.sum() + 1)
    kept = rows[layers]
    used = [layer for layer in kept if layer.any()] or [np.zeros_like(kept[0])]
    flat = np.stack(used)[:, 0] if dimensions == 2 else np.stack(used)
    return {
        "boxes": tight[stays],
        "whole": _beyond_edges(tight, boxes, faces)[stays],
        "classes": torch.from_numpy(classes[stays].astype(np.int64)),
        "numbers": torch.from_numpy(flat),
    }


def _beyond_edges(tight: Tensor, boxes: Tensor, faces: Tensor) -> Tensor:
    """The tight boxes (N, 6), which end at an edge of the patch that cuts the object, continued there to the faces of `boxes`.

    faces  (3,) last faces of the patch; the first are at -0.5
    """
    low = torch.where(tight[:, :3] <= -0.5, torch.minimum(tight[:, :3], boxes[:, :3]), tight[:, :3])
    high = torch.where(tight[:, 3:] >= faces, torch.maximum(tight[:, 3:], boxes[:, 3:]), tight[:, 3:])
    return torch.cat([low, high], dim=1)


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
