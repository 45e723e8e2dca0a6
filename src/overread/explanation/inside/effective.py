"""The effective receptive field: how much each voxel really changes the unit in the middle of a map.

The energy of a voxel is the mean square of the derivative of the middle unit's channels with respect to it, over several images.
A sum over all channels is drawn with random signs of the channels, whose mean square is the sum of squares.
Source: Luo, Li, Urtasun and Zemel, Understanding the Effective Receptive Field, NeurIPS 2016, arXiv:1701.04128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from overread.explanation.asked import Asked
from overread.explanation.methods.layers import chosen_layer, watched

DRAWS = 4  # of signs per image
SHARE = 0.95


@dataclass(frozen=True)
class Effective:
    """energy  (Z, Y, X) float64 of the window, sums to 1
    centre     (z, y, x) middle of the energy, in voxels of the window
    radius     within which SHARE of the energy lies, in mm, or in pixels where the spacing is unknown
    is_mm      unit of the radius
    images     over which the mean was taken
    """

    layer: str
    energy: np.ndarray
    centre: tuple[float, float, float]
    radius: float
    is_mm: bool
    images: int


def effective_field(several: Sequence[Asked], layer: str, seed: int = 0) -> Effective:
    """Of one layer, over windows of several cases (or of noise) of one network."""
    first = several[0]
    chosen_layer(first, layer)
    random = torch.Generator().manual_seed(seed)
    energy = np.zeros(first.patch)
    for asked in several:
        for _ in range(DRAWS):
            energy += _squared(asked, layer, random)
    total = energy.sum()
    energy = energy / total if total > 0 else energy
    steps = first.spacing_mm
    centre = _middle(energy)
    return Effective(layer, energy, centre, radius_of(energy, centre, steps or (1.0, 1.0, 1.0)), steps is not None, len(several))


def radius_of(energy: np.ndarray, centre: Sequence[float], steps: Sequence[float], share: float = SHARE) -> float:
    """The distance from the centre within which this share of the energy lies.

    steps  (Z, Y, X) size of a voxel
    """
    squares = sum(((g - c) * s) ** 2 for g, c, s in zip(np.indices(energy.shape), centre, steps, strict=True))
    distance = np.sqrt(np.asarray(squares)).ravel()
    order = np.argsort(distance, kind="stable")
    gathered = np.cumsum(energy.ravel()[order])
    if not gathered[-1] > 0:
        return 0.0
    return float(distance[order][np.searchsorted(gathered, share * gathered[-1])])


def _middle(energy: np.ndarray) -> tuple[float, float, float]:
    if not energy.sum() > 0:
        z, y, x = ((n - 1) / 2 for n in energy.shape)
        return z, y, x
    z, y, x = (float((g * energy).sum() / energy.sum()) for g in np.indices(energy.shape))
    return z, y, x


def _squared(asked: Asked, layer: str, random: torch.Generator) -> np.ndarray:
    """(Z, Y, X) squared derivative of the middle unit, its channels summed with random signs; channels of the image summed."""
    given = asked.images.detach().clone().requires_grad_()
    with torch.enable_grad(), watched(asked.network, layer, given) as kept:
        asked.score(given)
        maps = max(kept, key=lambda m: m[0, 0].numel())
        unit: Tensor = maps[0].float()
        for n in maps.shape[2:]:
            unit = unit[:, n // 2]
        signs = torch.randint(0, 2, unit.shape, generator=random).to(unit) * 2 - 1
        (gradient,) = torch.autograd.grad((unit * signs).sum(), given)
    return gradient[0].double().square().sum(0).cpu().numpy().reshape(asked.patch)
