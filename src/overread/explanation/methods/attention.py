"""Attention rollout: how much of each patch of the image reaches the answer of a transformer by its attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from overread.explanation.asked import Asked
from overread.explanation.methods.grad_cam import upsampled
from overread.explanation.methods.transformers import Transformer, attentions, transformer_of


@dataclass(frozen=True)
class AttentionRollout:
    """Attention of every layer, mean over heads, half of it what skips the layer, multiplied from the first to the last.

    It is the same for every target: attention says what was looked at, not what for.
    """

    name: ClassVar[str] = "attention_rollout"
    title: ClassVar[str] = "Attention rollout"
    source: ClassVar[str] = "Abnar and Zuidema, ACL 2020, arXiv:2005.00928"
    is_signed: ClassVar[bool] = False

    def refusal(self, asked: Asked) -> str | None:
        transformer = transformer_of(asked)
        return transformer if isinstance(transformer, str) else None

    def __call__(self, asked: Asked) -> np.ndarray:
        transformer = transformer_of(asked)
        assert isinstance(transformer, Transformer), "refused"
        shares = rollout(attentions(asked, transformer))
        rows = shares[:1] if transformer.reads_first else shares[transformer.prefix :]
        return asked.volume(upsampled([rows.mean(0)[transformer.prefix :].reshape(transformer.grid)], asked.images))


def rollout(layers: list[Tensor]) -> Tensor:
    """(heads, N, N) per layer, rows that add up to 1 -> (N, N): the share of each first token in each last one."""
    whole = torch.eye(layers[0].shape[-1], device=layers[0].device)
    for heads in layers:
        mixed = heads.mean(0) / 2 + torch.eye(len(whole), device=whole.device) / 2
        whole = (mixed / mixed.sum(1, keepdim=True)) @ whole
    return whole
