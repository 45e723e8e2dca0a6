"""Activation maximisation: a picture that excites a class or a channel as much as possible, made from noise.

It is climbed by the gradient, and kept from noise that no image has by jitter, blurred steps and decay towards the mean. Such a
picture answers "what would please the network most", and is no patient. Sources: Yosinski et al., 2015, arXiv:1506.06579 (decay,
blur); Olah, Mordvintsev and Schubert, Feature Visualization, Distill 2017 (jitter, smoothed gradients).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.methods.layers import chosen_layer, watched
from overread.networks.anatomy.body import CentreBody, body_of
from overread.networks.layout import memory_format

LONGEST = {2: 256, 3: 48}  # edge of the picture where the network takes any size
STEPS = (16, 64)
WORK = 6e10  # multiplications that one picture may cost
SECONDS = 60.0  # after which a picture is left as it is, which is then said
START = 0.1  # spread of the noise that it begins with, in normalised units
STEP = (0.2, 0.05)  # spread of a step, at the first and at the last one
DECAY = 0.02  # share by which values go towards the mean, 0, at each step
BLUR = (2.0, 0.5)  # voxels by which a step is blurred, at the first and at the last one

Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Excited:
    """values   (C, Z, Y, X) float32 normalised picture
    start      the objective on the noise before the first step, reached on the picture
    steps      that were made, of `planned`: fewer where time was over
    """

    name: str
    values: np.ndarray
    start: float
    reached: float
    steps: int
    planned: int


def class_objective(asked: Asked) -> Objective:
    """The number behind the class of the window's target: its logit, or the mean of a map of logits; a list has none."""
    body = body_of(asked.network)
    if isinstance(body, CentreBody):
        return lambda images: body(_laid(images, asked))[:, asked.target.number].flatten(1).mean(1)
    if asked.task.serves == "objects":
        raise OverreadError(
            "This detector gives a class only to objects that it has listed, so no class can be maximised from noise.",
            "name a layer with --layer: its channels are maximised",
        )
    voxels = np.ones((1, *picture_shape(asked))[-3:], dtype=bool)
    whole = replace(asked, target=replace(asked.target, voxels=voxels))
    return lambda images: whole.score(_laid(images, asked))


def channel_objective(asked: Asked, layer: str, channel: int) -> Objective:
    """The mean of one channel of a layer over the picture."""
    chosen_layer(asked, layer)
    body = body_of(asked.network)

    def mean(images: Tensor) -> Tensor:
        with watched(asked.network, layer, images) as kept:
            body(_laid(images, asked))
        return max(kept, key=lambda maps: maps[0, 0].numel())[:, channel].float().flatten(1).mean(1)

    return mean


def picture_shape(asked: Asked) -> tuple[int, ...]:
    """([Z,] Y, X) of the picture: the whole input for an answer per case; else no longer than need be to see a pattern."""
    shape = tuple(asked.images.shape[2:])
    if asked.task.serves == "image":
        return shape
    divisor = getattr(asked.network, "divisor", (1,) * len(shape))
    longest = LONGEST[asked.dimensions]
    # two units at the bottom of a U-Net at least: it refuses one
    return tuple(min(n, max(2 * by, ceil(min(n, longest) / by) * by)) for n, by in zip(shape, divisor, strict=True))


def steps_for(macs: int) -> int:
    """As many as the work allows, so that the same picture comes out on any machine."""
    return int(min(STEPS[1], max(STEPS[0], WORK // (4 * max(1, macs)))))


def excite(
    name: str, objective: Objective, shape: tuple[int, ...], steps: int, bounds: tuple[float, float], seed: int = 0
) -> Excited:
    """Climb from noise, and keep the best picture on the way.

    shape   (C, [Z,] Y, X)
    bounds  lowest and highest normalised value that images have
    Where nothing responds there is no slope, as behind a ReLU: noise takes its place until something does.
    """
    random = torch.Generator().manual_seed(seed)
    picture = torch.randn((1, *shape), generator=random) * START
    start = reached = _value(objective, picture)
    begun, best, done = time.monotonic(), picture, 0
    while done < steps and time.monotonic() - begun < SECONDS:
        share = done / max(1, steps - 1)
        moved, back = _jittered(picture, random)
        slope = _slope(objective, moved).roll(back, dims=tuple(range(2, picture.ndim)))
        if not slope.any():
            slope = torch.randn(slope.shape, generator=random)
        way = blurred(slope, BLUR[0] + (BLUR[1] - BLUR[0]) * share)
        size = STEP[0] + (STEP[1] - STEP[0]) * share
        picture = ((1 - DECAY) * picture + size * way / (way.std() + 1e-12)).clamp(*bounds)
        done += 1
        value = _value(objective, picture)
        if value > reached:
            best, reached = picture, value
    values = best[0].numpy() if len(shape) == 4 else best[0].numpy()[:, None]
    return Excited(name, np.ascontiguousarray(values, dtype=np.float32), start, reached, done, steps)


def blurred(picture: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of (B, C, [Z,] Y, X) along every axis; the border is repeated."""
    radius = max(1, round(3 * sigma))
    place = torch.arange(-radius, radius + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (place / sigma) ** 2)
    weights = weights / weights.sum()
    for axis in range(2, picture.ndim):
        size = picture.shape[axis]
        rows = picture.movedim(axis, -1)
        flat = rows.reshape(-1, 1, size)
        flat = functional.conv1d(functional.pad(flat, (radius, radius), mode="replicate"), weights[None, None])
        picture = flat.reshape(rows.shape).movedim(-1, axis)
    return picture


def _jittered(picture: Tensor, random: torch.Generator) -> tuple[Tensor, tuple[int, ...]]:
    """The picture rolled by a few voxels, and the way back."""
    most = [max(1, n // 16) for n in picture.shape[2:]]
    way = [int(torch.randint(-m, m + 1, (1,), generator=random)) for m in most]
    return picture.roll(way, dims=tuple(range(2, picture.ndim))), tuple(-w for w in way)


def _value(objective: Objective, picture: Tensor) -> float:
    with torch.no_grad():
        return float(objective(picture))


def _slope(objective: Objective, picture: Tensor) -> Tensor:
    given = picture.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(objective(given).sum(), given)
    return slope


def _laid(images: Tensor, asked: Asked) -> Tensor:
    """Where the network lies, in the layout that it reads."""
    return images.to(asked.images.device).contiguous(memory_format=memory_format(images.ndim))
