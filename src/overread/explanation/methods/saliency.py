"""Saliency: how much the score changes with each voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from overread.explanation.asked import Asked
from overread.explanation.methods.method import one_channel


@dataclass(frozen=True)
class Saliency:
    """The size of the gradient of the score with respect to the input; of several channels the largest."""

    name: ClassVar[str] = "saliency"
    title: ClassVar[str] = "Saliency"
    source: ClassVar[str] = "Simonyan, ICLR Workshop 2014, arXiv:1312.6034"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        return asked.volume(one_channel(input_gradient(asked, asked.images)[0]).abs())


def input_gradient(asked: Asked, images: Tensor) -> Tensor:
    """(B, C, [Z,] Y, X): how the score of each window changes with each of its values."""
    with torch.enable_grad():
        given = images.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(asked.score(given).sum(), given)
    return gradient.detach()
