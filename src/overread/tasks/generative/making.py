"""What all tasks share that make images of random numbers and answer no case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Kind, LabelMap
from overread.core.question import Decisions, Question
from overread.tasks.base import UNSCALED, Scaling
from overread.tasks.generative.turns import LOOKING, Turn
from overread.tasks.segmentation import numbered
from overread.tasks.target import Target

MADE = "made"  # what is asked of a network: to make images


@dataclass(frozen=True)
class MakingTask(ABC):
    """Images like those of the cohort. What it learns by, its heirs say.

    The classes of the question are the channels of the images that are made.
    """

    question: Question
    loss: str
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED

    name: ClassVar[str] = "synthesize"
    serves: ClassVar[str] = MADE
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]]

    @property
    def outputs(self) -> int:
        return len(self.question.classes)

    @property
    @abstractmethod
    def term_weights(self) -> Mapping[str, float]:
        """Term -> its weight, which its curve has in it."""

    @abstractmethod
    def phases(self, step: int, progress: float) -> tuple[str, ...]: ...

    @abstractmethod
    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]: ...

    @abstractmethod
    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        """images (B, C, [Z,] Y, X) normalised, which are to be learned; targets what is known of them (see `Asked`)."""

    @abstractmethod
    def make(
        self,
        network: nn.Module,
        count: int,
        random: torch.Generator,
        *,
        condition: Tensor | None = None,
        guide: Tensor | None = None,
        steps: int | None = None,
    ) -> Tensor:
        """(count, C, [Z,] Y, X) float32 made images, normalised.

        random     all that is drawn comes from it; on the processor, so that a seed means the same everywhere
        condition  (count, K), 1 where the class is asked for
        guide      (count, G, [Z,] Y, X) masks on the grid of the images
        steps      diffusion: from noise to image; None for the usual number
        """

    def signs(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, float]:
        return {}

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """Nothing is compared with a truth; a mask, (Z, Y, X) uint8 numbers of structures, is what the image is made along."""
        if isinstance(truth, LabelMap) and layers is not None:
            return numbered(truth, layers, self.question.guides)
        return np.zeros(0, np.float32)

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        raise TypeError("images are made of random numbers; no case is answered")

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        raise TypeError("images are made of random numbers; there is no answer to explain")

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Kind:
        raise TypeError("images are made of random numbers; no case is answered")

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        raise TypeError("images are made of random numbers; no case is answered")


def refuse_guide(guide: Tensor | None, name: str) -> None:
    """A mask that would be ignored is refused."""
    if guide is not None:
        raise OverreadError(
            f"{name} makes images of random numbers and a class; it cannot follow a mask.",
            'take architecture = "diffusion_unet", which can be guided by masks, or ask without one',
        )


def refuse_steps(steps: int | None, name: str) -> None:
    """A number of steps that would be ignored is refused."""
    if steps is not None:
        raise OverreadError(f"{name} makes an image at once, not in {steps} steps.", "leave the number of steps out")
