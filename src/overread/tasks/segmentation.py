"""Semantic segmentation: which voxels belong to which structure; structures exclude each other or overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from overread.core.grid import Grid
from overread.core.kinds import Kind, LabelMap, Structure
from overread.core.question import Decisions, Question
from overread.metrics.components import clean
from overread.tasks.base import UNSCALED, Scaling
from overread.tasks.losses import segmentation as losses
from overread.tasks.target import Target, mean_over


@dataclass(frozen=True)
class Segmentation:
    """Softmax over background and structures, or a sigmoid per structure where they may overlap.

    deep_supervision  the loss is also asked of the network's coarser answers, each at half the weight
                      of the finer one. Source: Lee et al., AISTATS 2015; weights as in nnU-Net.
    """

    question: Question
    loss: str = "dice_ce"
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED
    deep_supervision: bool = True

    name: ClassVar[str] = "segmentation"
    serves: ClassVar[str] = "dense"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {serves: tuple(losses.EXCLUSIVE)}

    @property
    def outputs(self) -> int:
        return len(self.question.classes) + (1 if self.question.exclusive else 0)

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """Exclusive: (Z, Y, X) uint8, 0 background, k + 1 for structure k. Overlapping: (S, Z, Y, X) uint8 bits."""
        assert isinstance(truth, LabelMap)
        assert layers is not None
        if self.question.exclusive:
            return numbered(truth, layers, self.question.classes)
        bits = np.zeros((len(self.question.classes), *layers.shape[1:]), dtype=np.uint8)
        for k, structure in _places(truth, self.question.classes):
            bits[k] = layers[structure.layer] == structure.value
        return bits

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        if not self.deep_supervision or not hasattr(network, "forward_scales"):
            return {self.loss: self._loss(network(images), targets)}
        scales: list[Tensor] = network.forward_scales(images)  # type: ignore[operator]
        if len(scales) > 2 and scales[-1].shape != scales[0].shape:
            scales = scales[:-1]  # the coarsest says too little
        parts = [self._loss(scale, _to_size(targets, scale)) for scale in scales]
        shares = [0.5**k for k in range(len(parts))]
        total = sum(shares)
        names = [self.loss, *(f"{self.loss} {_place(k, scales)}" for k in range(1, len(scales)))]
        return {name: part * (share / total) for name, part, share in zip(names, parts, shares, strict=True)}

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.question.exclusive:
            weights = torch.tensor(self.weights, device=logits.device) if self.weights else None
            return losses.EXCLUSIVE[self.loss](logits, targets[:, 0].long(), weights)
        return losses.overlapping(self.loss)(logits.float(), targets)

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        """(B, K, [Z,] Y, X) probabilities; class 0 is background where structures exclude each other."""
        logits = network(images).float()
        return logits.softmax(1) if self.question.exclusive else torch.sigmoid(logits)

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """The mean logit of the structure over the voxels that were answered as it."""
        return mean_over(network(images).float()[:, target.number + (1 if self.question.exclusive else 0)], target)

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        raise TypeError("segmentation answers per voxel, not per case")

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> LabelMap:
        """raw: (Z, Y, X) class index, or (S, Z, Y, X) bits; post-processing of the decisions applied."""
        values = self.question.values or tuple(range(1, len(self.question.classes) + 1))
        masks = [raw == k + 1 if raw.ndim == 3 else raw[k] > 0 for k in range(len(values))]
        dtype = np.uint8 if max(values) < 256 else np.uint16
        layers = np.zeros((1 if raw.ndim == 3 else len(values), *grid.shape), dtype=dtype)
        structures = []
        for k, (mask, value, name) in enumerate(zip(masks, values, self.question.classes, strict=True)):
            layer = 0 if raw.ndim == 3 else k
            layers[layer][mask] = value
            structures.append(Structure(name, value, layer))
        return clean(LabelMap(layers, tuple(structures), grid), decisions)


def _place(number: int, scales: list[Tensor]) -> str:
    """Which of several answers it is: by its resolution, or by its number where it has the full one (UNet++)."""
    return f"of answer {number + 1}" if scales[number].shape == scales[0].shape else f"at 1/{2**number}"


def _to_size(targets: Tensor, like: Tensor) -> Tensor:
    if targets.shape[2:] == like.shape[2:]:
        return targets
    return F.interpolate(targets.float(), like.shape[2:], mode="nearest-exact").to(targets.dtype)


def numbered(truth: LabelMap, layers: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(Z, Y, X) uint8 of label layers (L, Z, Y, X): 0 background, k + 1 for structure k; where two lie, the later."""
    encoded = np.zeros(layers.shape[1:], dtype=np.uint8)
    for k, structure in _places(truth, names):
        encoded[layers[structure.layer] == structure.value] = k + 1
    return encoded


def _places(truth: LabelMap, names: Sequence[str]) -> Iterator[tuple[int, Structure]]:
    """The structures that a truth knows, with their places among the names."""
    by_name = {s.name: s for s in truth.structures}
    return ((k, by_name[n]) for k, n in enumerate(names) if n in by_name)
