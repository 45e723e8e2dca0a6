"""Regression: numbers with units, one or several per case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from overread.core.grid import Grid
from overread.core.kinds import Kind, Measurements
from overread.core.question import Decisions, Question
from overread.tasks.base import UNSCALED, Scaling
from overread.tasks.losses import regression as losses
from overread.tasks.target import Target


@dataclass(frozen=True)
class Regression:
    """A linear head on scaled numbers; answers come back in their units."""

    question: Question
    loss: str = "huber"
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED

    name: ClassVar[str] = "regression"
    serves: ClassVar[str] = "image"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {serves: tuple(losses.BY_NAME)}

    @property
    def outputs(self) -> int:
        return len(self.question.classes)

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """(K,) float32 in standard deviations of the training cases; NaN where not known."""
        assert isinstance(truth, Measurements)
        values = [truth.values.get(q) for q in self.question.classes]
        numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
        return ((numbers - np.array(self.scaling.centre)) / np.array(self.scaling.scale)).astype(np.float32)

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {self.loss: losses.BY_NAME[self.loss](network(images).float(), targets)}

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        """(B, K) in the quantities' units."""
        answer = network(images).float()
        scale = torch.tensor(self.scaling.scale, device=answer.device)
        return answer * scale + torch.tensor(self.scaling.centre, device=answer.device)

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """The number, in its unit."""
        return self.respond(network, images)[:, target.number]

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Measurements:
        values: dict[str, float | None] = {q: float(v) for q, v in zip(self.question.classes, raw, strict=True)}
        return Measurements(values, dict(zip(self.question.classes, self.question.units, strict=False)))

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        raise TypeError("regression answers per case, not per voxel")
