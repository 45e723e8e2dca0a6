"""What a critic and a generator want of each other, by three rules; and how a critic is kept from cheating.

Scores are of any shape: (B,) for whole images, (B, 1, ...) for patches of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from overread.tasks.generative.draws import uniform


def _softly(scores: Tensor) -> Tensor:
    return functional.softplus(scores.float()).mean()


def _near(scores: Tensor, wanted: float) -> Tensor:
    return (scores.float() - wanted).square().mean()


@dataclass(frozen=True)
class Rule:
    """Three numbers of scores, each to be made small.

    real   the critic's, of images that were taken
    made   the critic's, of images that were made
    fools  the generator's, of the images that it made
    """

    real: Callable[[Tensor], Tensor]
    made: Callable[[Tensor], Tensor]
    fools: Callable[[Tensor], Tensor]


NON_SATURATING = Rule(  # -log D(real), -log(1 - D(made)), -log D(made), D the sigmoid. Source: Goodfellow, arXiv:1406.2661
    real=lambda scores: _softly(-scores), made=_softly, fools=lambda scores: _softly(-scores)
)
LEAST_SQUARES = Rule(  # Source: Mao et al., ICCV 2017, arXiv:1611.04076
    real=lambda scores: _near(scores, 1.0), made=lambda scores: _near(scores, 0.0), fools=lambda scores: _near(scores, 1.0)
)
WASSERSTEIN = Rule(  # Source: Arjovsky et al., ICML 2017, arXiv:1701.07875
    real=lambda scores: -scores.float().mean(),
    made=lambda scores: scores.float().mean(),
    fools=lambda scores: -scores.float().mean(),
)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, random: torch.Generator) -> Tensor:
    """Mean squared distance from 1 of the slope of a critic, between pairs of a real and a made image; in float32.

    critic      images (B, C, [Z,] Y, X) to (B,)
    real, made  (B, C, [Z,] Y, X)

    Source: Gulrajani et al., NeurIPS 2017, arXiv:1704.00028, equation 3.
    """
    with torch.autocast(real.device.type, enabled=False):
        share = uniform((len(real), *[1] * (real.ndim - 1)), random, real.device)
        between = (share * real.float() + (1 - share) * made.detach().float()).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        steepness = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
        return (steepness - 1).square().mean()
