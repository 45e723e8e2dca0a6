"""What this machine does with this network: seconds per step in each number format and memory layout, and peak memory."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch
from torch import nn

from overread.batches.sampler import Targets
from overread.networks.count import cost
from overread.networks.layout import memory_format, to_channels_last
from overread.networks.small_maps import SmallMaps
from overread.tasks.base import Task, Teaches
from overread.training.phases import rehearsed


@dataclass(frozen=True)
class Speed:
    """Seconds of one training step in one setting, the best of `repeats`."""

    precision: str
    channels_last: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


SETTINGS = (("bfloat16", True), ("float32", False), ("float32", True))
HOPELESS = 3.0  # a setting whose first step takes so many times the best of another is not tried further


def measure_step(
    task: Teaches, network: nn.Module, images: torch.Tensor, targets: Targets, *, precision: str = "auto", repeats: int = 2
) -> list[Speed]:
    """Time forward and backward on this machine, fastest first; the network given is left as it was.

    images, targets  one batch as training will see it, on the device
    precision        "auto" tries every setting, else only those of that precision
    """
    found: list[Speed] = []
    for name, channels_last in SETTINGS:
        if precision in ("auto", name):
            limit = HOPELESS * min((s.seconds for s in found), default=float("inf"))
            trial = copy.deepcopy(network)
            seconds = _seconds(task, trial, images, targets, name, channels_last, repeats, limit)
            found.append(Speed(name, channels_last, seconds))
    return sorted(found, key=lambda speed: speed.seconds)


def _seconds(
    task: Teaches,
    network: nn.Module,
    images: torch.Tensor,
    targets: Targets,
    precision: str,
    channels_last: bool,
    repeats: int,
    limit: float,
) -> float:
    network = network.to(images.device).train()
    if channels_last:
        network = to_channels_last(network)
        images = images.contiguous(memory_format=memory_format(images.ndim))
    best = float("inf")
    for turn in range(repeats + 1):  # the first one warms up: kernels are chosen, memory is taken
        start = time.perf_counter()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"), SmallMaps():
            loss = rehearsed(task, network, images, targets)
        loss.backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        network.zero_grad(set_to_none=True)
        if turn == 0 and seconds > limit:
            return seconds
        best = min(best, seconds) if turn > 0 else best
    return best


def expected_memory_gib(network: nn.Module, images: torch.Tensor, precision: str, *, deep_supervision: bool = False) -> float:
    """Memory of a training step: activations, and the weights five times (gradient, two moments, average)."""
    counted = cost(network, images.shape, bytes_per_value=2 if precision == "bfloat16" else 4, deep_supervision=deep_supervision)
    return (counted.parameters * 4 * 5 + counted.activation_bytes) / 2**30


def memory_with_objects_gib(task: Task, network: nn.Module, images: torch.Tensor, targets: Targets, precision: str) -> float:
    """The same for a network of objects, whose answer hangs on what it sees: one image is taken through the losses, and
    what they keep is counted. images, targets: one batch."""
    trial = copy.deepcopy(network).to(images.device)
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        terms = task.losses(trial, images[:1], targets[:1])
    own = sum(p.untyped_storage().nbytes() for p in trial.parameters())
    activations = max(0, sum(kept.values()) - own) * len(images) * (0.5 if precision == "bfloat16" else 1.0)
    del terms
    return (own * 5 + activations) / 2**30


def free_memory_gib(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) / 2**30
    return float(psutil.virtual_memory().available) / 2**30
