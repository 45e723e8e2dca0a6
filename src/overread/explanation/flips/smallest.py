"""The smallest change, voxel by voxel, that turns an answer: projected gradient steps in a ball, and the ball made smaller.

Sources: Madry et al., ICLR 2018, arXiv:1706.06083 (steps and projection); Moosavi-Dezfooli et al., CVPR 2016, arXiv:1511.04599
(that the smallest such change is what is to be found). What is found is an upper bound: a still smaller change may exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from overread.explanation.flips.answered import Answered

Norm = Literal["largest", "mean"]
LEAST = 2.0**-12  # size from which is sought, in SD; up to the whole range of the window's values
STEPS, LOOK = 12, 4  # of gradient, in one ball; after every so many the answer is looked at
ROUNDS = 4  # of bisection between a ball with a flip and one without
SHRINKS = 8  # of bisection along the change that was found
DRAWS = 20  # of random noise of the same size


@dataclass(frozen=True)
class Change:
    """A change of the window that turns the answer.

    norm    "largest": size is the largest change of any voxel (L-infinity); "mean": its root mean square over voxels (L2)
    values  (1, C, [Z,] Y, X), in units of the prepared image, whose intensities spread by about 1
    """

    norm: Norm
    values: Tensor

    @property
    def size(self) -> float:
        return size_of(self.values, self.norm)


def smallest_change(answered: Answered, norm: Norm) -> Change | None:
    """The smallest change found; None where none turns the answer that keeps within the window's range of values."""
    most = float(answered.asked.images.max() - answered.asked.images.min())
    low, high, found = 0.0, min(_likely(answered, norm), most) / 2, None
    while found is None and low < most:
        found = _attack(answered, norm, high)
        low, high = (low, high) if found is not None else (high, min(2 * high, most))
    if found is None:
        return None
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        tried = _attack(answered, norm, middle)
        if tried is None:
            low = middle
        else:
            found = _shrunk(answered, tried)
            high = size_of(found, norm)
    return Change(norm, _shrunk(answered, found))


def noise_flips(answered: Answered, change: Change, seed: int) -> int:
    """How many of 20 draws of random noise of the same size turn the answer as well.

    "largest": every voxel up or down by the size, by chance; "mean": normal noise of that root mean square
    """
    images, generator = answered.asked.images, torch.Generator().manual_seed(seed)
    flips = 0
    for _ in range(DRAWS):
        noise = torch.randn(images.shape, generator=generator)
        noise = noise.sign() if change.norm == "largest" else noise / noise.square().mean().sqrt()
        flips += answered.flipped(images + change.size * noise.to(images))
    return flips


def size_of(values: Tensor, norm: Norm) -> float:
    return float(values.abs().max() if norm == "largest" else values.square().mean().sqrt())


def _gradient(answered: Answered, images: Tensor) -> tuple[float, Tensor]:
    """The lead of the answer, and how it changes with every voxel."""
    with torch.enable_grad():
        given = images.detach().clone().requires_grad_()
        lead = answered.lead(given).sum()
        (gradient,) = torch.autograd.grad(lead, given)
    return float(lead.detach()), gradient


def _likely(answered: Answered, norm: Norm) -> float:
    """The size that would bring the lead to 0 if the network were a plane: DeepFool's step."""
    lead, gradient = _gradient(answered, answered.asked.images)
    fall = float((gradient * _direction(gradient, norm)).sum())
    return max(abs(lead) / fall, 2 * LEAST) if fall > 0 else 2 * LEAST


def _attack(answered: Answered, norm: Norm, size: float) -> Tensor | None:
    """A change of at most this size that turns the answer, by steps against the lead of the answer; None where none is met.

    Values stay between the lowest and the highest of the window: a change that no image could have is none.
    """
    images = answered.asked.images
    low, high = images.amin(), images.amax()
    step, change = 2.5 * size / STEPS, torch.zeros_like(images)
    for number in range(1, STEPS + 1):
        _, gradient = _gradient(answered, images + change)
        change = _projected(change - step * _direction(gradient, norm), norm, size)
        change = (images + change).clamp(low, high) - images
        if number % LOOK == 0 and answered.flipped(images + change):
            return change
        if not bool(gradient.any()):
            return None
    return None


def _direction(gradient: Tensor, norm: Norm) -> Tensor:
    """The steepest way up, of size 1."""
    return gradient.sign() if norm == "largest" else gradient / gradient.square().mean().sqrt().clamp_min(1e-30)


def _projected(change: Tensor, norm: Norm, size: float) -> Tensor:
    """The nearest change of at most this size."""
    if norm == "largest":
        return change.clamp(-size, size)
    return change * min(1.0, size / max(size_of(change, norm), 1e-30))


def _shrunk(answered: Answered, change: Tensor) -> Tensor:
    """The change, made as much weaker as it can be while it still turns the answer."""
    low, high = 0.0, 1.0
    for _ in range(SHRINKS):
        middle = (low + high) / 2
        if answered.flipped(answered.asked.images + middle * change):
            high = middle
        else:
            low = middle
    return high * change
