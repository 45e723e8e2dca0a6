"""Gradients of many changed windows, a few at once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor

from overread.explanation.asked import Asked
from overread.explanation.batching import batch_for, smaller
from overread.explanation.methods.saliency import input_gradient

LIGHTER = 4  # a gradient keeps every map of the network, so that fewer windows go through at once


def weighted_gradient(asked: Asked, windows: Iterable[tuple[Tensor, float]]) -> Tensor:
    """The weighted sum of the gradients of the score at each window: (C, [Z,] Y, X) float64.

    windows  (C, [Z,] Y, X) each with its weight; made one batch at a time
    """
    total = torch.zeros_like(asked.images[0], dtype=torch.float64)
    batch, waiting = max(1, batch_for(asked.images) // LIGHTER), iter(windows)
    while some := list(islice(waiting, batch)):
        while some:
            now = some[:batch]
            try:
                slopes = input_gradient(asked, torch.stack([window for window, _ in now])).double()
            except (RuntimeError, MemoryError) as error:
                batch = smaller(batch, error)
                continue
            weights = torch.tensor([weight for _, weight in now], dtype=torch.float64, device=slopes.device)
            total += torch.tensordot(weights, slopes, dims=1)
            some = some[batch:]
    return total
