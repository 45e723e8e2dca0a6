"""Losses per voxel and per structure. An empty structure in a batch neither breaks nor distorts them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 1e-5


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy. logits (B, K, ...), target (B, ...) class index, weights (K,)."""
    return F.cross_entropy(logits.float(), target, weight=weights)


def focal(logits: Tensor, target: Tensor, weights: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Cross-entropy with easy voxels weighted down. Source: Lin et al., ICCV 2017."""
    log = F.log_softmax(logits.float(), 1)
    picked = log.gather(1, target[:, None])[:, 0]
    value = -((1 - picked.exp()) ** gamma) * picked
    return (value * weights[target]).mean() if weights is not None else value.mean()


def dice(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """1 minus the soft Dice of each structure over the whole batch, background left out.

    Sums over the batch, so that a patch without a structure counts its false voxels and no more.
    Source: Milletari et al., 3DV 2016; batch form as in Isensee et al., Nature Methods 18, 203 (2021).
    """
    overlap, sizes = _overlaps(logits, target)
    score = (2 * overlap + SMOOTH) / (sizes + SMOOTH).clamp_min(1e-8)
    return 1 - _weighted_mean(score, weights)


def tversky(logits: Tensor, target: Tensor, weights: Tensor | None = None, alpha: float = 0.3, beta: float = 0.7) -> Tensor:
    """Like Dice, with false negatives (beta) dearer than false positives (alpha). Source: Salehi et al., MLMI 2017."""
    probabilities, truth = _probabilities(logits), _one_hot(target, logits.shape[1])
    axes = [0, *range(2, logits.ndim)]
    overlap = (probabilities * truth).sum(axes)
    false_positive = (probabilities * (1 - truth)).sum(axes)
    false_negative = ((1 - probabilities) * truth).sum(axes)
    score = (overlap + SMOOTH) / (overlap + alpha * false_positive + beta * false_negative + SMOOTH)
    return 1 - _weighted_mean(score[1:], weights)


def dice_ce(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Dice plus cross-entropy. The softmax is computed once for both."""
    log = F.log_softmax(logits.float(), 1)
    truth = _one_hot(target, logits.shape[1], log.dtype)
    axes = [0, *range(2, logits.ndim)]
    entropy = F.nll_loss(log, target, weight=weights)
    probabilities = log.exp()
    overlap = (probabilities * truth).sum(axes)[1:]
    sizes = (probabilities.sum(axes) + truth.sum(axes))[1:]
    return entropy + 1 - _weighted_mean((2 * overlap + SMOOTH) / (sizes + SMOOTH), weights)


def _probabilities(logits: Tensor) -> Tensor:
    return logits.float().softmax(1)


def _one_hot(target: Tensor, classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    shape = (target.shape[0], classes, *target.shape[1:])
    return torch.zeros(shape, dtype=dtype, device=target.device).scatter_(1, target[:, None], 1)


def _overlaps(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Per structure without background: summed product, and sum of both sizes."""
    probabilities, truth = _probabilities(logits), _one_hot(target, logits.shape[1])
    axes = [0, *range(2, logits.ndim)]
    return (probabilities * truth).sum(axes)[1:], (probabilities.sum(axes) + truth.sum(axes))[1:]


def _weighted_mean(scores: Tensor, weights: Tensor | None) -> Tensor:
    return scores.mean() if weights is None else (scores * weights[1:]).sum() / weights[1:].sum()


Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
EXCLUSIVE: dict[str, Loss] = {
    "dice_ce": dice_ce,
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "tversky": tversky,
}


def overlapping(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The named loss for structures that may overlap: each is a question of its own, by sigmoid.

    logits, target  (B, S, ...), target 0 or 1
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        structures = logits.shape[1]
        total = logits.new_zeros(())
        for k in range(structures):
            pair = torch.stack((torch.zeros_like(logits[:, k]), logits[:, k]), 1)
            total = total + EXCLUSIVE[name](pair, target[:, k].long(), None)
        return total / structures

    return loss
