"""Seconds that a network takes for one image on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from overread.networks.device import best_device
from overread.networks.generative.parts import OfParts
from overread.networks.layout import memory_format, to_channels_last
from overread.networks.memory import keep_freed_memory
from overread.networks.objects.centre_detector import CentreDetector
from overread.networks.small_maps import SmallMaps
from overread.networks.torchvision_objects.adapter import ObjectsAdapter

BATCH = 2  # images of a training step that is measured: batch normalisation learns nothing from one
REPEATS = 5


def measured(network: nn.Module, shape: tuple[int, ...], *, repeats: int = REPEATS) -> dict[str, Any]:
    """Median seconds per image of reading (forward) and of training (forward and backward), in float32, as they are read.

    shape  (C, [Z,] Y, X) of one image
    A network of objects is timed with one object in the middle of each image, one of several parts learns with all of them.
    """
    keep_freed_memory()
    device = torch.device(best_device())
    network = to_channels_last(network.to(device))
    images = torch.randn((BATCH, *shape), generator=torch.Generator().manual_seed(0)).to(device)
    images = images.contiguous(memory_format=memory_format(images.ndim))

    def read() -> None:
        with torch.no_grad():
            network(images[:1])

    def learn() -> None:
        with SmallMaps():
            _loss(network, images).backward()
        network.zero_grad(set_to_none=True)

    network.eval()
    reading = _seconds(read, repeats, device)
    network.train()
    learning = [seconds / BATCH for seconds in _seconds(learn, repeats, device)]
    return {
        "device": device.type,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "repeats": repeats,
        "forward": statistics.median(reading),
        "forward_range": [min(reading), max(reading)],
        "step": statistics.median(learning),
        "step_range": [min(learning), max(learning)],
    }


def _loss(network: nn.Module, images: Tensor) -> Tensor:
    if isinstance(network, CentreDetector | ObjectsAdapter):
        terms: dict[str, Tensor] = network(images, [_object(images) for _ in images])
        return torch.stack(list(terms.values())).sum()
    if isinstance(network, OfParts):
        return network.whole(images).float().mean()
    ask: Any = network.forward_scales if hasattr(network, "forward_scales") else network
    answers = ask(images)
    return torch.stack([answer.float().mean() for answer in (answers if isinstance(answers, list) else [answers])]).sum()


def _object(images: Tensor) -> dict[str, Tensor]:
    """One object in the middle half of the image."""
    size = images.shape[2:]
    middle = tuple(slice(edge // 4, edge // 4 + max(1, edge // 2)) for edge in size)
    numbers = torch.zeros((1, *size), dtype=torch.int64, device=images.device)
    numbers[(slice(0, 1), *middle)] = 1
    low = [0.0] * (3 - len(size)) + [float(part.start) for part in middle]
    high = [0.0] * (3 - len(size)) + [float(part.stop - 1) for part in middle]
    box = torch.tensor([[v - 0.5 for v in low] + [v + 0.5 for v in high]], device=images.device)
    return {"boxes": box, "whole": box, "classes": torch.zeros(1, dtype=torch.int64, device=images.device), "numbers": numbers}


def _seconds(run: Callable[[], None], repeats: int, device: torch.device) -> list[float]:
    found = []
    for turn in range(repeats + 1):  # the first one warms up
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if turn:
            found.append(time.perf_counter() - start)
    return found
