"""Losses for findings: exclusive classes, several findings at once, and grades. Unknown truths weigh nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """logits (B, K); target (B, K) 0 or 1, rows summing to 1; weights (K,)."""
    return F.cross_entropy(logits, target.argmax(1), weight=weights)


def label_smoothing(logits: Tensor, target: Tensor, weights: Tensor | None = None, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy against 0.9 and 0.1 / K instead of 1 and 0. Source: Szegedy et al., CVPR 2016."""
    return F.cross_entropy(logits, target.argmax(1), weight=weights, label_smoothing=smoothing)


def focal(logits: Tensor, target: Tensor, weights: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Cross-entropy with easy cases weighted down. Source: Lin et al., ICCV 2017."""
    picked = F.log_softmax(logits, 1).gather(1, target.argmax(1)[:, None])[:, 0]
    value = -((1 - picked.exp()) ** gamma) * picked
    if weights is None:
        return value.mean()
    chosen = weights[target.argmax(1)]
    return (value * chosen).sum() / chosen.sum()


def _sigmoid(per_value: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    def loss(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        known = ~torch.isnan(target)
        truth = torch.nan_to_num(target)
        value = per_value(logits, truth) * known
        if weights is not None:  # weight of the positive finding; absence weighs 1
            value = value * torch.where(truth > 0.5, weights, torch.ones_like(weights))
        return value.sum() / known.sum().clamp_min(1)

    return loss


def _entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def _smoothed(logits: Tensor, truth: Tensor) -> Tensor:
    return _entropy(logits, truth * 0.9 + 0.05)


def _focal(logits: Tensor, truth: Tensor) -> Tensor:
    entropy = _entropy(logits, truth)
    return (1 - torch.exp(-entropy)) ** 2 * entropy


Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
EXCLUSIVE: dict[str, Loss] = {"cross_entropy": cross_entropy, "focal": focal, "label_smoothing": label_smoothing}
SEVERAL: dict[str, Loss] = {
    "cross_entropy": _sigmoid(_entropy),
    "focal": _sigmoid(_focal),
    "label_smoothing": _sigmoid(_smoothed),
}
