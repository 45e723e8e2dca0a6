"""Detection: a box, a class and a score around each object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from overread.tasks.losses import segmentation as dense_losses
from overread.tasks.losses.objects import NETWORKS_OWN
from overread.tasks.objects import Found
from overread.tasks.segments import connected
from overread.tasks.target import Target, listed_score, mean_over


@dataclass(frozen=True)
class Detection:
    """Boxes from a network of boxes ("objects"), or around the connected voxels of a segmentation ("dense").

    route  what is asked of the network
    """

    question: Question
    loss: str = NETWORKS_OWN
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED
    route: str = "objects"

    name: ClassVar[str] = "detection"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "objects": (NETWORKS_OWN,),
        "dense": tuple(dense_losses.EXCLUSIVE),
    }

    @property
    def serves(self) -> str:
        return self.route

    @property
    def outputs(self) -> int:
        return len(self.question.classes) + (1 if self.route == "dense" else 0)

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        raise TypeError("objects are encoded from their table, by encode_objects")

    def encode_objects(self, objects: PreparedObjects, shape: tuple[int, int, int]) -> np.ndarray:
        """(L, Z, Y, X) object numbers, L = 0 without voxels; "dense": (Z, Y, X) uint8, 0 background, k + 1 class k."""
        return label_map(objects, shape) if self.route == "dense" else numbers(objects, shape)

    def losses(self, network: nn.Module, images: Tensor, targets: Any) -> dict[str, Tensor]:
        """targets: for "objects" one dict per image (boxes, classes, numbers); for "dense" (B, 1, [Z,] Y, X)."""
        if self.route == "objects":
            terms: dict[str, Tensor] = network(images, targets=targets)
            return terms
        weights = torch.tensor(self.weights, device=images.device) if self.weights else None
        return {self.loss: dense_losses.EXCLUSIVE[self.loss](network(images), targets[:, 0].long(), weights)}

    def respond(self, network: nn.Module, images: Tensor) -> Any:
        """ "objects": one dict per image (boxes, scores, classes); "dense": (B, K + 1, [Z,] Y, X) probabilities."""
        return network(images) if self.route == "objects" else network(images).float().softmax(1)

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """ "objects": how sure the network is of this object; "dense": the mean logit of its class over its voxels."""
        if self.route == "objects":
            return listed_score(network, images, target)
        return mean_over(network(images).float()[:, target.number + 1], target)

    def turned_back(self, answers: Tensor, axes: list[int]) -> Tensor:
        """ "dense": the answers to images that were mirrored over these axes of the batch, mirrored back."""
        return answers.flip(axes)

    def found(self, raw: np.ndarray) -> Found:
        """ "dense": (K + 1, Z, Y, X) probabilities of the whole grid -> boxes around connected voxels."""
        return replace(connected(raw), pieces=None)

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        raise TypeError("objects are answered as a list, not as numbers per case")

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        raise TypeError("objects are answered as a list, not per voxel")
