"""What a task is asked for. Loops, predictor and evaluator know this and name no task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

from overread.batches.prepare import PreparedObjects
from overread.core.grid import Grid
from overread.core.kinds import Kind
from overread.core.question import Decisions, Question
from overread.tasks.objects import Found
from overread.tasks.target import Target


@dataclass(frozen=True)
class Scaling:
    """How the numbers of a regression are centred and scaled for the network; fitted on training cases.

    centre, scale  one per quantity, in its unit
    """

    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()


UNSCALED = Scaling()


class Teaches(Protocol):
    """All that the training loop asks of what it teaches."""

    def losses(self, network: nn.Module, images: Tensor, targets: Any) -> Mapping[str, Tensor]:
        """Named terms whose sum is minimised."""
        ...


class Task(Protocol):
    """A task, made for one question.

    serves   what it asks of a network: "image" (an answer per case), "dense" (per voxel), "objects" (a list of boxes or masks
             per image) or "centres" (per voxel: class, heat of centres, way to the centre)
    losses_by_route  for every `serves` that the task can have, the losses that it can be taught with; the first is the default
    """

    name: ClassVar[str]
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]]

    @property
    def question(self) -> Question: ...

    @property
    def loss(self) -> str: ...

    @property
    def scaling(self) -> Scaling: ...

    @property
    def serves(self) -> str: ...

    @property
    def outputs(self) -> int:
        """Channels that the network must give."""
        ...

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """A truth as the array that the losses compare with.

        layers  for label maps: the (L, Z, Y, X) layers on the prepared grid
        """
        ...

    def losses(self, network: nn.Module, images: Tensor, targets: Any) -> dict[str, Tensor]:
        """Named terms; their sum is minimised. images (B, C, [Z,] Y, X); targets as encoded, batched: a tensor, or for
        "objects" and "centres" one dict per image (boxes, whole, classes, numbers; see `object_target`)."""
        ...

    def respond(self, network: nn.Module, images: Tensor) -> Any:
        """Probabilities, or numbers in their units: (B, K, [Z, Y, X]) for windows, (B, K) per case; "objects": one dict per
        image (boxes, scores, classes, and masks where the network gives them)."""
        ...

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """(B,) one differentiable number per image, which rises with what the target asks about; explanations rest on it.

        target  in the window that the images show
        """
        ...

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        """The raw answer of one case (K,) as a kind; dense tasks are decoded by `decode_map`."""
        ...

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        """A map of class indices (Z, Y, X), or of structure bits (S, Z, Y, X), on the source grid as a kind."""
        ...


class ObjectTask(Task, Protocol):
    """A task whose answer is a list of objects: boxes, or instances with their voxels."""

    def encode_objects(self, objects: PreparedObjects, shape: tuple[int, int, int]) -> np.ndarray:
        """A truth on the prepared grid of this shape as the array that is kept beside the image."""
        ...

    def turned_back(self, answers: Tensor, axes: list[int]) -> Tensor:
        """Answers per voxel to images mirrored over these axes of the batch, mirrored back."""
        ...

    def found(self, raw: np.ndarray) -> Found:
        """The merged map (C, Z, Y, X) of a whole grid, of answers per voxel, as objects."""
        ...
