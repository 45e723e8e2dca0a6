"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from overread.core.errors import OverreadError
from overread.training.muon import Muon
from overread.training.rates import SHARE, split_by_rate

# name -> (default learning rate, default weight decay)
OPTIMIZERS: dict[str, tuple[float, float]] = {
    "muon": (2e-3, 1e-2),
    "adamw": (1e-3, 1e-2),
    "adam": (1e-3, 0.0),
    "adam_gan": (2e-4, 0.0),
    "adam_wgan": (1e-4, 0.0),
    "sgd": (1e-2, 3e-5),
    "rmsprop": (1e-3, 0.0),
}

# Adam with a short memory, for a critic and a generator that chase each other: Radford, arXiv:1511.06434, section 4; without
# any memory of directions: Gulrajani, arXiv:1704.00028, algorithm 1
BETAS: dict[str, tuple[float, float]] = {"adam": (0.9, 0.999), "adam_gan": (0.5, 0.999), "adam_wgan": (0.0, 0.9)}


def optimizer(
    name: str,
    network: nn.Module,
    rate: float,
    decay: float,
    precision: str = "float32",
    shares: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """The optimizer by name; `precision` is the plan's number format.

    shares  name of a parameter -> its share of the rate; None where all have the full one
    Weight decay is kept from biases and norms, which have one dimension.
    """
    if name not in OPTIMIZERS:
        raise OverreadError(f"'{name}' is no optimizer.", f"choose one of {', '.join(OPTIMIZERS)} in [training] optimizer")
    if name == "muon":
        return Muon(network, rate, decay, torch.bfloat16 if precision == "bfloat16" else torch.float32, shares)
    kinds = [
        {"params": [p for p in network.parameters() if p.requires_grad and p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in network.parameters() if p.requires_grad and p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = split_by_rate(kinds, network, shares)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=_can_fuse(network))
    if name in BETAS:
        return torch.optim.Adam(groups, lr=rate, betas=BETAS[name], fused=_can_fuse(network))
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=rate, momentum=0.9)
    return torch.optim.SGD(groups, lr=rate, momentum=0.99, nesterov=True)


def _can_fuse(network: nn.Module) -> bool:
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in network.parameters())


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _polynomial(progress: float) -> float:
    return (1 - progress) ** 0.9


SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": _cosine,  # Loshchilov and Hutter, ICLR 2017
    "polynomial": _polynomial,  # as in nnU-Net
    "linear": lambda progress: 1 - progress,
    "constant": lambda progress: 1.0,
}


def rate_at(schedule: str, peak: float, progress: float, step: int, warmup_steps: int) -> float:
    """Learning rate at a share of the way, 0 to 1, after a linear warm-up counted in steps."""
    if schedule not in SCHEDULES:
        raise OverreadError(f"'{schedule}' is no schedule.", f"choose one of {', '.join(SCHEDULES)} in [training] schedule")
    warm = min(1.0, (step + 1) / max(1, warmup_steps))
    return peak * warm * SCHEDULES[schedule](min(1.0, max(0.0, progress)))


def set_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    for each in optimizers:
        for group in each.param_groups:
            group["lr"] = rate * group.get(SHARE, 1.0)
