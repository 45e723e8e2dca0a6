"""How high may the learning rate be? It is raised step by step from next to nothing while the loss is watched.

The loss falls where the rate is high enough to learn, and rises where it is too high: rates between are worth a search.
Source: Smith, Cyclical learning rates for training neural networks, WACV 2017, arXiv:1506.01186, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from overread.batches.sampler import Targets
from overread.core.errors import OverreadError
from overread.networks.small_maps import SmallMaps
from overread.tasks.base import Task
from overread.training.loop import Recipe
from overread.training.optimizers import optimizer as make_optimizer
from overread.training.optimizers import set_rate
from overread.training.scales import format_scales

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 100
MEMORY = 0.9  # share of the running mean of the loss that is kept at each step
TOO_HIGH = 3.0  # times the lowest mean so far, at which the rate is plainly too high
FEWEST = 10  # steps that a curve needs
BELOW = 100.0  # the rates worth a search reach from this part of the highest useful one up to it


@dataclass(frozen=True)
class RangeTest:
    """rates     of each step, rising by one factor
    losses    running mean of the training loss after each step
    steepest  the rate at which the loss fell fastest
    highest   the rate at which the loss was lowest; above it, it rises
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    steepest: float
    highest: float

    @property
    def worth_searching(self) -> tuple[float, float]:
        """Lowest and highest rate, three digits each."""
        return float(f"{self.highest / BELOW:.3g}"), float(f"{self.highest:.3g}")


def range_test(
    task: Task,
    network: nn.Module,
    batches: Callable[[int], tuple[Tensor, Targets]],
    recipe: Recipe,
    *,
    steps: int = STEPS,
    tell: Callable[[float, str], None] = lambda share, note: None,
) -> RangeTest:
    """Train with a rate that rises from 0.000001 to 1; the network is spoiled by it.

    recipe  its optimizer, weight decay, number format and seed are taken
    tell    share of the steps done, and a note
    """
    torch.manual_seed(recipe.seed)
    fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if recipe.precision == "bfloat16" else "32-true")
    optimizer = make_optimizer(recipe.optimizer, network, LOWEST, recipe.weight_decay, recipe.precision)
    taught, optimizer = fabric.setup(network, optimizer)
    format_scales(network, fabric)
    taught.train()
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for step in range(steps):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1))
        set_rate([optimizer], rate)
        images, targets = (fabric.to_device(part) for part in batches(step))
        optimizer.zero_grad(set_to_none=True)
        with SmallMaps():
            loss = torch.stack(list(task.losses(taught, images, targets).values())).sum()
        fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
        value = float(loss.detach())
        if not math.isfinite(value):
            break
        optimizer.step()
        mean = MEMORY * mean + (1 - MEMORY) * value
        rates.append(rate)
        losses.append(mean / (1 - MEMORY ** (step + 1)))
        tell((step + 1) / steps, f"rate {rate:.1e}, loss {losses[-1]:.3f}")
        if step >= FEWEST and losses[-1] > TOO_HIGH * min(losses):
            break
    return read_curve(rates, losses)


def read_curve(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Where the curve falls fastest, and where it turns."""
    if len(losses) < FEWEST:
        raise OverreadError(
            f"The loss was not finite after {len(losses)} steps at the lowest learning rates.",
            'set [training] precision = "float32", and look at the images with `overread plan`',
        )
    lowest = min(range(len(losses)), key=losses.__getitem__)
    falls = [later - earlier for earlier, later in pairwise(losses[: lowest + 1])]
    steepest = min(range(len(falls)), key=falls.__getitem__) if falls else 0
    return RangeTest(tuple(rates), tuple(losses), rates[steepest], rates[lowest])
