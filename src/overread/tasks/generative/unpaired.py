"""Unpaired translation: images of one kind become images of another, learned from two heaps of images without pairs.

Source: Zhu et al., ICCV 2017, arXiv:1703.10593 (CycleGAN): least-squares critics, weight 10 of the way there and back, half of it
for images that are of the wanted kind already. The store of earlier made images is left out: a resumed run must follow its curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from overread.tasks.generative.pictures import PICTURES, PictureTask
from overread.tasks.generative.turns import CRITIC, GENERATOR, LOOKING, Turn
from overread.tasks.losses.adversarial import LEAST_SQUARES
from overread.tasks.losses.pictures import l1

CYCLE = "cycle"
BACK_AGAIN, UNTOUCHED = 10.0, 5.0
PARTS = {GENERATOR: ("forth", "back"), CRITIC: ("critic_a", "critic_b")}


@dataclass(frozen=True)
class CycleTranslating(PictureTask):
    """Images of kind A, which are read, become images of kind B, and come back.

    losses takes images (B, C, [Z,] Y, X) of kind A and targets (B, K, [Z,] Y, X) of kind B; which belong to one case does not
    matter. The term "identity" is asked only where both kinds have equally many channels.
    """

    loss: str = CYCLE

    name: ClassVar[str] = "translate"
    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {PICTURES: (CYCLE,)}

    @property
    def term_weights(self) -> Mapping[str, float]:
        terms = {"critic a": 0.5, "critic b": 0.5, "adversarial forth": 1.0, "adversarial back": 1.0, "cycle": BACK_AGAIN}
        return terms | ({"identity": UNTOUCHED} if self._has_identity else {})

    @property
    def _has_identity(self) -> bool:
        return len(self.question.given) == len(self.question.classes)

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        return (CRITIC, GENERATOR)

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        return chain.from_iterable(network.get_submodule(name).parameters() for name in PARTS[phase])

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        parts: Any = network
        if turn.phase == CRITIC:
            with torch.no_grad():
                made_a, made_b = parts.back(targets), parts.forth(images)
            return {
                "critic a": _judged(parts.critic_a, images, made_a),
                "critic b": _judged(parts.critic_b, targets, made_b),
            }
        made_b, made_a = parts.forth(images), parts.back(targets)
        there_and_back = l1(parts.back(made_b), images) + l1(parts.forth(made_a), targets)
        terms = {"cycle": BACK_AGAIN * there_and_back}
        if self._has_identity:
            terms["identity"] = UNTOUCHED * (l1(parts.forth(targets), targets) + l1(parts.back(images), images))
        if turn.is_look:
            return terms
        forth, back = LEAST_SQUARES.fools(parts.critic_b(made_b)), LEAST_SQUARES.fools(parts.critic_a(made_a))
        return {"adversarial forth": forth, "adversarial back": back, **terms}


def _judged(critic: nn.Module, real: Tensor, made: Tensor) -> Tensor:
    """Slowed by half, as published."""
    return 0.5 * (LEAST_SQUARES.real(critic(real)) + LEAST_SQUARES.made(critic(made)))
