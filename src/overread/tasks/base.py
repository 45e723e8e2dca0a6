"""What a task is asked for. Loops, predictor and evaluator know this and name no task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

from overread.core.grid import Grid
from overread.core.kinds import Kind
from overread.core.question import Decisions, Question


@dataclass(frozen=True)
class Scaling:
    """How the numbers of a regression are centred and scaled for the network; fitted on training cases.

    centre, scale  one per quantity, in its unit
    """

    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()


UNSCALED = Scaling()


class Task(Protocol):
    """A task, made for one question.

    serves   "dense" (an answer per voxel) or "image" (one per case): what it asks of a network
    losses_by_name  the losses that it can be taught with; the first is the default
    """

    name: ClassVar[str]
    serves: ClassVar[str]
    losses_by_name: ClassVar[tuple[str, ...]]
    question: Question
    loss: str
    scaling: Scaling

    @property
    def outputs(self) -> int:
        """Channels that the network must give."""
        ...

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """A truth as the array that the losses compare with.

        layers  for label maps: the (L, Z, Y, X) layers on the prepared grid
        """
        ...

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Named terms; their sum is minimised. images (B, C, [Z,] Y, X); targets as encoded, batched."""
        ...

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        """Probabilities, or numbers in their units: (B, K, [Z, Y, X]) for windows, (B, K) per case."""
        ...

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        """The raw answer of one case (K,) as a kind; dense tasks are decoded by `decode_map`."""
        ...

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        """A map of class indices (Z, Y, X), or of structure bits (S, Z, Y, X), on the source grid as a kind."""
        ...
