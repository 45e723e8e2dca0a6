"""Learning in turns: a step may have several phases, in each of which one part of the network is taught.

What is drawn at random in a step comes from (seed, step, phase) alone, so that a resumed run follows the same curve and a look
at tuning cases is always the same look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

WHOLE = "whole"  # the one phase of a task that teaches all of its network at once
CRITIC, GENERATOR = "critic", "generator"


@dataclass(frozen=True)
class Turn:
    """When a loss is asked for.

    phase     one that the task named for this step; "" at a look at tuning cases, which teaches nothing
    step      from 0
    progress  share of the budget that is spent, 0 to 1
    seed      of the run
    """

    phase: str = ""
    step: int = 0
    progress: float = 1.0
    seed: int = 0

    @property
    def is_look(self) -> bool:
        return not self.phase

    def random(self) -> torch.Generator:
        """Random numbers of this phase of this step."""
        words = np.random.SeedSequence([self.seed, self.step, crc32(self.phase.encode())]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0] >> 1))


LOOKING = Turn()


@runtime_checkable
class TakesTurns(Protocol):
    """A task that is taught in turns, or whose losses draw random numbers."""

    def phases(self, step: int, progress: float) -> tuple[str, ...]:
        """What is taught at a step, in this order; progress is the share of the budget that is spent."""
        ...

    def parameters(self, network: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        """The weights that a phase teaches; all others stand still."""
        ...

    def losses(self, network: nn.Module, images: Tensor, targets: Tensor, turn: Turn = LOOKING) -> Mapping[str, Tensor]:
        """Named terms of the phase, with their weights in them; their sum is minimised. Without a turn: the tuning loss."""
        ...

    def signs(self, network: nn.Module, images: Tensor, targets: Tensor) -> Mapping[str, float]:
        """What alarms rest on, from some tuning images; nothing of it is minimised."""
        ...
