"""What all tasks share whose answer to a case is an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from overread.cohort.pictures import answered_units
from overread.core.grid import Grid
from overread.core.kinds import Kind, Picture
from overread.core.question import Decisions, Question
from overread.tasks.base import UNSCALED, Scaling
from overread.tasks.generative.signs import DIVERSITY, diversity
from overread.tasks.generative.turns import CRITIC, LOOKING, WHOLE, Turn
from overread.tasks.target import Target, mean_over

PICTURES, DENSE = "pictures", "dense"  # what can be asked of a network: images of one size, or an answer per voxel


@dataclass(frozen=True)
class PictureTask(ABC):
    """An image of a case, made of another one. What it learns by, its heirs say.

    loss  by name, one of `losses_by_route`
    """

    question: Question
    loss: str = "l1"
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED

    name: ClassVar[str]
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]]

    @property
    def serves(self) -> str:
        return PICTURES

    @property
    def outputs(self) -> int:
        return len(self.question.classes)

    @property
    @abstractmethod
    def term_weights(self) -> Mapping[str, float]:
        """Term -> its weight, which its curve has in it."""

    @abstractmethod
    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        """images (B, C, [Z,] Y, X), targets (B, K, [Z,] Y, X), both normalised."""

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        return (WHOLE,)

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        return network.parameters()

    @torch.no_grad()
    def signs(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, float]:
        """A critic can be pleased by the same answer to every image."""
        is_judged = CRITIC in self.phases(0, 0.0)
        return {DIVERSITY: diversity(self.respond(network, images), targets)} if is_judged else {}

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """(K, Z, Y, X) float32: a picture is compared as it is."""
        assert isinstance(truth, Picture)
        return truth.array

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        """(B, K, [Z,] Y, X) normalised intensities."""
        answer: Tensor = network(images)
        return answer.float()

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """(B,) the mean intensity of a channel that is answered, in the voxels that are asked about, else in all."""
        channel = self.respond(network, images)[:, target.number]
        return channel.flatten(1).mean(1) if target.voxels is None else mean_over(channel, target)

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        raise TypeError("a picture is answered per voxel, not per case")

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Picture:
        """raw: (K, Z, Y, X) intensities on the grid, in the units of the image."""
        return Picture(np.ascontiguousarray(raw, dtype=np.float32), grid, answered_units(self.question))
