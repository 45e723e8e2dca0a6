"""Images made by a generator that a critic cannot tell from real ones.

Sources: Goodfellow et al., NeurIPS 2014, arXiv:1406.2661 (the non-saturating loss, section 3); Radford et al., ICLR 2016,
arXiv:1511.06434 (DCGAN); Gulrajani et al., NeurIPS 2017, arXiv:1704.00028 (WGAN-GP, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from overread.tasks.generative.asked import Asked, asked_of
from overread.tasks.generative.draws import normal
from overread.tasks.generative.making import MADE, MakingTask, refuse_guide, refuse_steps
from overread.tasks.generative.signs import DIVERSITY, diversity, energy_distance
from overread.tasks.generative.turns import CRITIC, GENERATOR, LOOKING, Turn
from overread.tasks.losses.adversarial import NON_SATURATING, WASSERSTEIN, Rule, gradient_penalty

WGAN_GP, DCGAN = "wgan_gp", "dcgan"
RULES: Mapping[str, Rule] = {WGAN_GP: WASSERSTEIN, DCGAN: NON_SATURATING}
PENALTY = 10.0
CRITIC_STEPS = 5  # of WGAN-GP for one of its generator


@dataclass(frozen=True)
class Adversarial(MakingTask):
    """A generator and a critic in turns.

    loss  "wgan_gp": the critic learns at every step, the generator at every fifth, and the slope of the critic is held near 1;
          "dcgan": both learn at every step

    The tuning loss is the energy distance between tuning images and images made of the same random numbers each time: the
    critic's own opinion cannot be compared from look to look.
    """

    loss: str = WGAN_GP

    losses_by_route: ClassVar[Mapping[str, tuple[str, ...]]] = {MADE: tuple(RULES)}

    @property
    def term_weights(self) -> Mapping[str, float]:
        weights = {"critic real": 1.0, "critic made": 1.0, "generator": 1.0}
        return weights | ({"penalty": PENALTY} if self.loss == WGAN_GP else {})

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        if self.loss == WGAN_GP and (step + 1) % CRITIC_STEPS:
            return (CRITIC,)
        return (CRITIC, GENERATOR)

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        return network.get_submodule(phase).parameters()

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> dict[str, Tensor]:
        parts: Any = network
        asked, random, rule = asked_of(targets, network), turn.random(), RULES[self.loss]
        with torch.set_grad_enabled(turn.phase != CRITIC and torch.is_grad_enabled()):
            made = _made(network, len(images), asked, random)
        if turn.is_look:
            return {"energy distance": energy_distance(made, images)}
        if turn.phase == GENERATOR:
            return {"generator": rule.fools(parts.critic(made, asked.condition))}
        terms = {
            "critic real": rule.real(parts.critic(images, asked.condition)),
            "critic made": rule.made(parts.critic(made, asked.condition)),
        }
        if self.loss == WGAN_GP:
            steepness = gradient_penalty(lambda between: parts.critic(between, asked.condition), images, made, random)
            terms["penalty"] = PENALTY * steepness
        return terms

    @torch.no_grad()
    def signs(self, network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, float]:
        made = _made(network, len(images), asked_of(targets, network), LOOKING.random())
        return {DIVERSITY: diversity(made, images)}

    @torch.no_grad()
    def make(
        self,
        network: nn.Module,
        count: int,
        random: torch.Generator,
        *,
        condition: Tensor | None = None,
        guide: Tensor | None = None,
        steps: int | None = None,
    ) -> Tensor:
        """Of every class in turn where none is asked for."""
        refuse_guide(guide, self.loss)
        refuse_steps(steps, self.loss)
        parts: Any = network
        if condition is None and parts.classes:
            condition = functional.one_hot(torch.arange(count) % parts.classes, parts.classes).float()
        return _made(network, count, Asked(condition), random).float()


def _made(network: nn.Module, count: int, asked: Asked, random: torch.Generator) -> Tensor:
    parts: Any = network
    device = next(network.parameters()).device
    condition = None if asked.condition is None else asked.condition.to(device)
    made: Tensor = parts.generator(normal((count, parts.latent), random, device), condition)
    return made
