"""What a network of centres is taught by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 1.0  # voxels: in the Dice of places, so that a patch without an object does not say more than it knows


def modified_focal(logits: Tensor, heat: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Focal loss of a heat map, gentler near the centres, per object.

    logits, heat  same shape; heat is 1 at centres and a Gaussian around them
    Sources: Law and Deng, CornerNet, ECCV 2018; Zhou et al., Objects as Points, 2019 (arXiv:1904.07850).
    """
    logits = logits.float()
    hot, cold = F.logsigmoid(logits), F.logsigmoid(-logits)  # log p and log (1 - p)
    is_centre = heat >= 1
    at_centre = -((1 - logits.sigmoid()) ** alpha) * hot
    elsewhere = -((1 - heat) ** beta) * logits.sigmoid() ** alpha * cold
    return torch.where(is_centre, at_centre, elsewhere).sum() / is_centre.sum().clamp_min(1)


def shares(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of shares, per class by sigmoid. logits, truth (B, K, ...), truth 0 to 1.

    The auxiliary task of Jaeger et al., Retina U-Net, 2018 (arXiv:1811.08661).
    """
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth)
    answer, axes = logits.sigmoid(), [0, *range(2, logits.ndim)]
    overlap, sizes = (answer * truth).sum(axes), (answer + truth).sum(axes)
    return entropy + 1 - ((2 * overlap + SMOOTH) / (sizes + SMOOTH)).mean()
