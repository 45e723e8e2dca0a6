"""Classification: one of several classes, several findings at once, or grades in an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Findings, Kind
from overread.core.question import Decisions, Question
from overread.metrics.calibration import calibrated
from overread.tasks.base import UNSCALED, Scaling
from overread.tasks.losses import classification as losses
from overread.tasks.target import Target


@dataclass(frozen=True)
class Classification:
    """Softmax for exclusive classes, a sigmoid per finding otherwise; grades by cumulative sigmoids.

    Grades: K - 1 logits ask "above grade k?", so that a mistake by two grades costs more than by one.
    Source: Frank and Hall, ECML 2001; Cao et al., Pattern Recognition Letters 140, 325 (2020).
    """

    question: Question
    loss: str = "cross_entropy"
    weights: tuple[float, ...] = ()
    scaling: Scaling = UNSCALED

    name: ClassVar[str] = "classification"
    serves: ClassVar[str] = "image"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {serves: tuple(losses.EXCLUSIVE)}

    @property
    def is_graded(self) -> bool:
        return self.question.exclusive and self.question.ordered and len(self.question.classes) > 2

    @property
    def outputs(self) -> int:
        return len(self.question.classes) - (1 if self.is_graded else 0)

    def encode(self, truth: Kind, layers: np.ndarray | None) -> np.ndarray:
        """(K,) float32: 1, 0 or NaN (not known) per class."""
        assert isinstance(truth, Findings)
        values = [truth.probabilities.get(c) for c in self.question.classes]
        encoded = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
        if self.question.exclusive and not np.isclose(np.nansum(encoded), 1):
            raise OverreadError(f"Exactly one of {', '.join(self.question.classes)} must hold; the truth says {values}.")
        return encoded

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        logits = network(images).float()
        weights = torch.tensor(self.weights, device=logits.device) if self.weights else None
        if self.is_graded:
            above = targets.flip(1).cumsum(1).flip(1)[:, 1:]  # truth of "above grade k"
            return {self.loss: losses.SEVERAL[self.loss](logits, above, None)}
        family = losses.EXCLUSIVE if self.question.exclusive else losses.SEVERAL
        return {self.loss: family[self.loss](logits, targets, weights)}

    def respond(self, network: nn.Module, images: Tensor) -> Tensor:
        """(B, K) probabilities, before any temperature."""
        logits = network(images).float()
        if self.is_graded:
            above = torch.cummin(torch.sigmoid(logits), 1).values  # "above 2" is never likelier than "above 1"
            padded = F.pad(F.pad(above, (1, 0), value=1.0), (0, 1), value=0.0)
            return padded[:, :-1] - padded[:, 1:]
        return logits.softmax(1) if self.question.exclusive else torch.sigmoid(logits)

    def score(self, network: nn.Module, images: Tensor, target: Target) -> Tensor:
        """The logit of the class; of two exclusive classes its lead over the other; of a grade that of "this grade or above".

        For the lowest grade it is the logit of not being above it.
        """
        logits, k = network(images).float(), target.number
        if self.is_graded:
            return logits[:, k - 1] if k else -logits[:, 0]
        if self.question.exclusive and logits.shape[1] == 2:
            return logits[:, k] - logits[:, 1 - k]
        return logits[:, k]

    def decode(self, raw: np.ndarray, decisions: Decisions) -> Findings:
        values = calibrated(raw[None], self.question, decisions)[0]
        return Findings({c: float(v) for c, v in zip(self.question.classes, values, strict=True)})

    def decode_map(self, raw: np.ndarray, grid: Grid, decisions: Decisions) -> Kind:
        raise TypeError("classification answers per case, not per voxel")
