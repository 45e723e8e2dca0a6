"""What alarms rest on: numbers of some tuning images that nobody minimises, by name."""

from __future__ import annotations

import torch
from torch import Tensor

DIVERSITY = "diversity"  # mean distance between two made images (or answers), over that between two real ones (or truths)
NEAREST = "nearest to training"  # smallest distance of a made image to a training image, over that of a tuning image
KL = "kl nats"  # of an image's code beyond the normal distribution
ACTIVE = "active numbers"  # of the code, that differ from image to image
MOVES = 0.01  # variance over images from which a number of the code is active. Source: Burda et al., arXiv:1509.00519, 5.2


def mean_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean Euclidean distance between an image of one set and an image of the other, each (B, C, [Z,] Y, X)."""
    values = one.float().flatten(1), other.float().flatten(1)
    return torch.cdist(*values, compute_mode="donot_use_mm_for_euclid_dist").mean()


def energy_distance(one: Tensor, other: Tensor) -> Tensor:
    """How far two sets of images lie apart, per root of the number of values: 2 E|a - b| - E|a - a'| - E|b - b'|.

    0 for the same set. It rises with images that are unlike, and with images that are too much alike.
    Source: Szekely and Rizzo, J. Stat. Plan. Inference 143, 1249 (2013), with the mean over all pairs.
    """
    apart = 2 * mean_distance(one, other) - mean_distance(one, one) - mean_distance(other, other)
    return apart / one[0].numel() ** 0.5


def diversity(made: Tensor, real: Tensor) -> float:
    """Mean distance between two made images, over that between two real ones; 1 where there are no two to compare."""
    count = min(len(made), len(real))
    if count < 2:
        return 1.0
    spread = float(mean_distance(made[:count], made[:count]))
    return spread / max(float(mean_distance(real[:count], real[:count])), 1e-6)


def active_numbers(means: Tensor) -> int:
    """How many numbers of the codes (B, L) vary from image to image."""
    if len(means) < 2:
        return means.shape[1]
    return int((means.float().var(0) > MOVES).sum())
