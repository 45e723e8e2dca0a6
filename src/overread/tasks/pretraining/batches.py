"""Batches for learning without labels, by step number, as the training loop asks for them."""

from __future__ import annotations

import torch
from torch import Tensor

from overread.batches.unlabelled import Unlabelled
from overread.tasks.pretraining.masks import block_mask


def masked_batch(source: Unlabelled, step: int) -> tuple[Tensor, Tensor]:
    """Images with gaps (B, C, [Z,] Y, X), and the whole ones with the mask behind them (B, C + 1, [Z,] Y, X)."""
    (images,), random = source.views(step)
    mask = block_mask(len(images), images.shape[2:], random).to(images.device)
    return images * (1 - mask), torch.cat([images, mask], dim=1)


def contrastive_batch(source: Unlabelled, step: int) -> tuple[Tensor, Tensor]:
    """Two views of each image, (2B, C, [Z,] Y, X), and the number of the image that each row shows."""
    (one, other), _ = source.views(step, 2)
    return torch.cat([one, other]), torch.arange(len(one)).repeat(2)
