"""Instance segmentation: the voxels of each object apart, with a class and a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from overread.batches.prepare import PreparedObjects
from overread.core.grid import Grid
from overread.core.kinds import Kind
from overread.core.question import Decisions, Question
from overread.tasks.base import UNSCALED, Scaling
from overread.tasks.encoding import label_map, numbers
from overread.tasks.grouping import grouped
from overread.tasks.losses import objects as losses
from overread.tasks.losses import segmentation as dense_losses
from overread.tasks.objects import Found
from overread.tasks.segments import connected
from overread.tasks.target import Target, listed_score, mean_over


@dataclass(frozen=True)
class InstanceSegmentation:
    """Voxels gathered around centres ("centres"), a network of masks ("objects"), or connected voxels ("dense").

    route  what is asked of the network
    "centres": channels are the classes with background first, the heat of centres, and the way to the centre in voxels.
    Source: Cheng et al., Panoptic-DeepLab, CVPR 2020.
    """

    question: Question
    loss: str = "focal"
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED
    route: str = "centres"

    name: ClassVar[str] = "instances"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "centres": tuple(losses.HEAT),
        "objects": (losses.NETWORKS_OWN,),
        "dense": tuple(dense_losses.EXCLUSIVE),
    }

    @property
    def serves(self) -> str:
        return self.route

    @property
    def outputs(self) -> int:
        """ "centres" and "objects": number of classes, from which the network knows its channels; "dense": and background."""
        return len(self.question.classes) + (1 if self.route == "dense" else 0)

    def channels(self, dimensions: int) -> int:
        """Channels of an answer per voxel."""
        return len(self.question.classes) + 1 + (1 + dimensions if self.route == "centres" else 0)

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        raise TypeError("objects are encoded from their table, by encode_objects")

    def encode_objects(self, objects: PreparedObjects, shape: tuple[int, int, int]) -> np.ndarray:
        """(L, Z, Y, X) object numbers; "dense": (Z, Y, X) uint8, 0 background, k + 1 class k."""
        return label_map(objects, shape) if self.route == "dense" else numbers(objects, shape)

    def losses(self, network: nn.Module, images: Tensor, targets: Any) -> dict[str, Tensor]:
        """targets: one dict per image (boxes, classes, numbers); for "dense" (B, 1, [Z,] Y, X)."""
        weights = torch.tensor(self.weights, device=images.device) if self.weights else None
        if self.route == "objects":
            terms: dict[str, Tensor] = network(images, targets=targets)
            return terms
        if self.route == "dense":
            return {self.loss: dense_losses.EXCLUSIVE[self.loss](network(images), targets[:, 0].long(), weights)}
        return losses.centres_and_offsets(network(images), targets, self.loss, weights)

    def respond(self, network: nn.Module, images: Tensor) -> Any:
        """ "objects": one dict per image; "dense": (B, K + 1, [Z,] Y, X) probabilities; "centres": those, the heat of
        centres 0 to 1, and offsets in voxels."""
        if self.route == "objects":
            return network(images)
        answers = network(images).float()
        classes = len(self.question.classes) + 1
        semantic = answers[:, :classes].softmax(1)
        if self.route == "dense":
            return semantic
        return torch.cat([semantic, answers[:, classes : classes + 1].sigmoid(), answers[:, classes + 1 :]], 1)

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """ "objects": how sure the network is of this object; else the mean logit of its class over its voxels."""
        if self.route == "objects":
            return listed_score(network, images, target)
        return mean_over(network(images).float()[:, target.number + 1], target)

    def turned_back(self, answers: Tensor, axes: list[int]) -> Tensor:
        """The answers to images that were mirrored over these axes of the batch, mirrored back; offsets change their sign."""
        back = answers.flip(axes)
        if self.route == "centres":
            first = len(self.question.classes) + 2
            signs = torch.ones(back.shape[1], device=back.device)
            signs[[first + axis - 2 for axis in axes]] = -1
            back = back * signs.view(1, -1, *[1] * (back.ndim - 2))
        return back

    def found(self, raw: np.ndarray) -> Found:
        """(C, Z, Y, X) merged map of the whole grid -> objects with their voxels."""
        return grouped(raw, len(self.question.classes)) if self.route == "centres" else connected(raw)

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        raise TypeError("objects are answered as a list, not as numbers per case")

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        raise TypeError("objects are answered as a list, not per voxel")
