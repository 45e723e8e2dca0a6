"""How far codes are from a normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from overread.tasks.generative.draws import normal_like


def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B,) nats by which the code of each image exceeds the standard normal distribution.

    mean, log_variance  (B, ...) of independent normal numbers

    Source: Kingma and Welling, ICLR 2014, arXiv:1312.6114, appendix B.
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


def drawn_code(mean: Tensor, log_variance: Tensor, random: torch.Generator) -> Tensor:
    """A code at random, through which a gradient reaches mean and spread. Source: arXiv:1312.6114, section 2.4."""
    return mean.float() + (0.5 * log_variance.float()).exp() * normal_like(mean.float(), random)
