"""What an explanation is asked about: a finding, a quantity, a structure, or one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from overread.networks.objects.box_ops import box_iou

SAME_OBJECT = 0.1  # intersection over union from which what a network lists is taken for the object that is asked about


@dataclass(frozen=True)
class Target:
    """What a map is asked about.

    name    as it is shown: "pneumonia", "liver", "metastasis 2 (0.87)"
    number  of the class, quantity or structure, from 0
    voxels  structures, and objects with voxels: (Z, Y, X) bool, those of the answer on the grid that the network sees
    box     objects: (6,) z0, y0, x0, z1, y1, x1 on that grid, index coordinates
    """

    name: str
    number: int
    voxels: np.ndarray | None = None
    box: np.ndarray | None = None

    def within(self, start: Sequence[int], patch: Sequence[int]) -> Target:
        """The target in the window at `start` (z, y, x), which may reach out of the grid."""
        voxels = None
        if self.voxels is not None:
            voxels = np.zeros(tuple(patch), bool)
            spans = [(max(0, s), min(s + p, n)) for s, p, n in zip(start, patch, self.voxels.shape, strict=True)]
            there = tuple(slice(a, b) for a, b in spans)
            voxels[tuple(slice(a - s, b - s) for (a, b), s in zip(spans, start, strict=True))] = self.voxels[there]
        box = None if self.box is None else (self.box - np.tile(np.asarray(start, dtype=np.float64), 2)).astype(np.float32)
        return Target(self.name, self.number, voxels, box)


def mean_over(logits: Tensor, target: Target) -> Tensor:
    """(B, [Z,] Y, X) -> (B,): the mean over the voxels of the target. Source: Vinogradova, AAAI 2020 (Seg-Grad-CAM)."""
    assert target.voxels is not None
    mask = torch.from_numpy(target.voxels).to(logits.device).reshape(logits.shape[1:])
    return (logits * mask).flatten(1).sum(1) / max(1, int(target.voxels.sum()))


def listed_score(network: nn.Module, images: Tensor, target: Target) -> Tensor:
    """(B,): how sure the network is of this object: the largest score times overlap among what it lists of the class.

    0 where it lists nothing near. A gradient goes through the score alone; the overlap says only which object is meant.
    Source: Petsiuk et al., CVPR 2021 (D-RISE), equation 3, with one class.
    """
    assert target.box is not None
    box = torch.from_numpy(np.asarray(target.box, dtype=np.float32)).to(images.device)[None]
    answers: Sequence[Mapping[str, Any]] = network(images)
    found = []
    for image, answer in zip(images, answers, strict=True):
        overlap = box_iou(box, answer["boxes"].detach().float())[0]
        near = (answer["classes"] == target.number) & (overlap >= SAME_OBJECT)
        worth = answer["scores"].float()[near] * overlap[near]
        found.append(worth.max() if len(worth) else image.sum() * 0)
    return torch.stack(found)
