"""One step of learning: all of a network at once, or the parts of it in turns, each by its own losses.

There is one optimizer. In a phase the other parts get no gradient, and an optimizer leaves what has none as it is, its moments
too. Source: Goodfellow et al., NeurIPS 2014, arXiv:1406.2661, algorithm 1 (critic and generator in turns).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from overread.networks.small_maps import SmallMaps
from overread.tasks.base import Teaches
from overread.tasks.generative.turns import TakesTurns, Turn

REHEARSED = 10  # steps, among which every phase comes
Further = Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Lesson:
    """What a step has come to.

    value      the losses that were minimised, summed over its phases
    gradient   largest norm of the gradient among its phases, before it was clipped
    is_finite  False where the loss or the gradient of a phase was not; that phase changed nothing
    """

    value: float
    gradient: float
    is_finite: bool


class Lessons:
    """Teaches a network step by step.

    taught  the network as Fabric has set it up
    terms   the latest value of each term of the loss, by name; a phase that does not come at every step keeps its last one
    """

    def __init__(
        self, task: Teaches, network: nn.Module, taught: nn.Module, optimizer: Any, fabric: Fabric, *, clip: float, seed: int
    ) -> None:
        self.task, self.network, self.taught = task, network, taught
        self.optimizer, self.fabric, self.clip, self.seed = optimizer, fabric, clip, seed
        self.terms: dict[str, Tensor] = {}

    def give(self, images: Tensor, targets: Any, step: int, progress: float, further: Further | None) -> Lesson:
        """Learn from one batch.

        further  terms beside those of the task, asked for after these, in the last phase
        """
        if not isinstance(self.task, TakesTurns):
            self.terms = self._asked(partial(self.task.losses, self.taught, images, targets), further)
            return self._follow(self.terms)
        lessons = []
        phases = self.task.phases(step, progress)
        for phase in phases:
            turn = Turn(phase, step, progress, self.seed)
            with self._only(self.task, phase):
                terms = self._asked(partial(self._in_turn, images, targets, turn), further if phase == phases[-1] else None)
                self.terms |= terms
                lessons.append(self._follow(terms))
        value, gradient = sum(lesson.value for lesson in lessons), max(lesson.gradient for lesson in lessons)
        return Lesson(value, gradient, all(lesson.is_finite for lesson in lessons))

    def _asked(self, losses: Callable[[], Mapping[str, Tensor]], further: Further | None) -> dict[str, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        with SmallMaps():
            terms = dict(losses())
            if further is not None:
                with self.fabric.autocast():
                    terms |= further()
        return terms

    def _in_turn(self, images: Tensor, targets: Any, turn: Turn) -> Mapping[str, Tensor]:
        """Parts of a network are asked by themselves, past Fabric's wrapper; so the number format is set here."""
        assert isinstance(self.task, TakesTurns)
        with self.fabric.autocast():
            return self.task.losses(self.network, images, targets, turn)

    def _follow(self, terms: Mapping[str, Tensor]) -> Lesson:
        """Change what has a gradient; nothing where a number is not finite."""
        loss = torch.stack(list(terms.values())).sum()
        self.fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        value = float(loss.detach())
        is_finite = math.isfinite(value) and bool(torch.isfinite(norm))
        if is_finite:
            self.optimizer.step()
        return Lesson(value, float(norm), is_finite)

    @contextmanager
    def _only(self, task: TakesTurns, phase: str) -> Iterator[None]:
        """Only the weights of the phase learn, of those that are not frozen anyway."""
        learning = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        chosen = {id(parameter) for parameter in task.parameters(self.network, phase)}
        for parameter in learning:
            parameter.requires_grad_(id(parameter) in chosen)
        try:
            yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)


def rehearsed(task: Teaches, network: nn.Module, images: Tensor, targets: Any) -> Tensor:
    """All that is minimised in one step, as one number: what time is measured on.

    Of a task in turns it is a step in the middle of the training, one with as many phases as there are.
    """
    if not isinstance(task, TakesTurns):
        return torch.stack(list(task.losses(network, images, targets).values())).sum()
    phases = max((task.phases(step, 0.5) for step in range(REHEARSED)), key=len)
    terms = [term for phase in phases for term in task.losses(network, images, targets, Turn(phase, progress=0.5)).values()]
    return torch.stack(terms).sum()
