"""Losses for numbers, on scaled values; a number that is not known weighs nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def _over_known(per_value: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(answer: Tensor, target: Tensor) -> Tensor:
        known = ~torch.isnan(target)
        return (per_value(answer, torch.nan_to_num(target)) * known).sum() / known.sum().clamp_min(1)

    return loss


BY_NAME: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "huber": _over_known(lambda a, t: F.smooth_l1_loss(a, t, reduction="none")),
    "l1": _over_known(lambda a, t: F.l1_loss(a, t, reduction="none")),
    "mse": _over_known(lambda a, t: F.mse_loss(a, t, reduction="none")),
}
