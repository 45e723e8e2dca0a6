"""Boxes in torch: overlap, generalised overlap, and the pruning of duplicates; 2D and 3D alike.

A box is (z0, y0, x0, z1, y1, x1) in voxels; one of a 2D image is one voxel thick, so that its volume is its area.
"""

from __future__ import annotations

import torch
from torch import Tensor


def volume(boxes: Tensor) -> Tensor:
    """(..., 6) -> (...) voxels that the box holds; 0 where a last corner lies before the first."""
    return (boxes[..., 3:] - boxes[..., :3]).clamp_min(0).prod(-1)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, 6), (M, 6) -> (N, M) intersection over union, 0 to 1."""
    low = torch.maximum(a[:, None, :3], b[None, :, :3])
    high = torch.minimum(a[:, None, 3:], b[None, :, 3:])
    both = (high - low).clamp_min(0).prod(-1)
    return both / (volume(a)[:, None] + volume(b)[None] - both).clamp_min(1e-9)


def giou_loss(answers: Tensor, truths: Tensor) -> Tensor:
    """(N, 6), (N, 6) -> (N,) 1 minus the generalised intersection over union, 0 (equal) to 2 (far apart).

    Source: Rezatofighi et al., CVPR 2019.
    """
    low, high = torch.maximum(answers[:, :3], truths[:, :3]), torch.minimum(answers[:, 3:], truths[:, 3:])
    both = (high - low).clamp_min(0).prod(-1)
    union = volume(answers) + volume(truths) - both
    first, last = torch.minimum(answers[:, :3], truths[:, :3]), torch.maximum(answers[:, 3:], truths[:, 3:])
    around = (last - first).prod(-1)
    return 1 - both / union.clamp_min(1e-9) + (around - union) / around.clamp_min(1e-9)


def nms(boxes: Tensor, scores: Tensor, classes: Tensor, overlap: float) -> Tensor:
    """Numbers of the boxes that stay, highest score first: of two of one class that overlap by more, the better one.

    boxes (N, 6), scores (N,), classes (N,). All pairs at once, repeated until nothing changes, which gives exactly the boxes
    of the greedy rule, mostly after two or three rounds. Source: Zheng et al., Cluster-NMS, IEEE Trans. Cybern. 52, 8574 (2022).
    """
    order = scores.argsort(descending=True, stable=True)
    same = classes[order][:, None] == classes[order][None]
    above = ((box_iou(boxes[order], boxes[order]) > overlap) & same).triu(1)  # row: the better box
    stay = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    while True:
        now = ~(above & stay[:, None]).any(0)
        if torch.equal(now, stay):
            return order[stay]
        stay = now


def soft_nms(boxes: Tensor, scores: Tensor, classes: Tensor, sigma: float = 0.5, lowest: float = 0.01) -> tuple[Tensor, Tensor]:
    """Numbers of the boxes that stay, and their new scores, highest first.

    A score falls by exp(-iou^2 / sigma) with each better box of its class; below `lowest` a box is dropped.
    boxes (N, 6), scores (N,), classes (N,). Source: Bodla et al., ICCV 2017.
    """
    same = classes[:, None] == classes[None]
    factors = torch.where(same, (-(box_iou(boxes, boxes) ** 2) / sigma).exp(), 1.0)
    scores, left, order = scores.clone(), torch.ones(len(scores), dtype=torch.bool, device=scores.device), []
    for _ in range(len(scores)):
        best = int(torch.where(left, scores, -1.0).argmax())
        left[best] = False
        order.append(best)
        scores = torch.where(left, scores * factors[best], scores)
    ranked = torch.tensor(order, dtype=torch.long, device=scores.device)
    ranked = ranked[scores[ranked] >= lowest]
    return ranked, scores[ranked]
