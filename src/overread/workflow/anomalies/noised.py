"""Anomalies by diffusion: noise is added part of the way and taken away again by a network that knows normal images alone.

Source: Wyatt et al., AnoDDPM, CVPR Workshops 2022, doi:10.1109/CVPRW56347.2022.00080. They add simplex noise, which also takes
large anomalies away; here the noise is the Gaussian one that the network learned with, so that large anomalies may stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from overread.batches.sampler import flatten
from overread.reading.predictor import Predictor
from overread.tasks.generative.diffusing import Diffusing, asked_from, guided
from overread.tasks.generative.draws import normal_like
from overread.tasks.generative.sampling import ddim_step
from overread.tasks.generative.schedule import Schedule

PART = 0.25  # of the way to pure noise: 250 of 1000 times, as AnoDDPM
STEPS = 12  # in which the noise is taken away
DRAWS = 4  # of the noise, over which the answer is averaged


def is_denoiser(reader: object) -> bool:
    """Whether a reader's network learned to take noise away from images themselves."""
    return isinstance(reader, Predictor) and isinstance(reader.task, Diffusing)


@torch.no_grad()
def made_normal(predictor: Predictor, array: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(C, Z, Y, X) normalised image -> what the network makes of it after noise was added; the same each time."""
    images = flatten(torch.from_numpy(array[None]).float(), predictor.preparation.dimensions)
    random = torch.Generator().manual_seed(seed)
    noisy = images.expand(DRAWS, *images.shape[1:])
    noise = normal_like(noisy, random)
    with torch.autocast(predictor.device.partition(":")[0], torch.bfloat16, enabled=predictor.precision == "bfloat16"):
        made = _back(predictor, noisy.to(predictor.device), noise.to(predictor.device))
    return np.asarray(made.mean(0).reshape(array.shape).float().cpu().numpy(), np.float32)


def _back(predictor: Predictor, images: Tensor, noise: Tensor) -> Tensor:
    """Images (B, C, [Z,] Y, X) under noise, and back to images by DDIM."""
    task: Any = predictor.task
    schedule = Schedule(task.schedule)
    network = predictor.network.eval()
    nothing = torch.zeros(len(images), len(task.question.conditions)) if task.question.conditions else None
    guides = task.question.guides
    unguided = torch.zeros(len(images), 1 + len(guides), *images.shape[2:]) if guides else None
    denoise = guided(network, asked_from(network, nothing, unguided, images.device), task.guidance)
    times = times_back(schedule)
    noisy = schedule.noisy(images, noise, torch.full((len(images),), times[0], device=images.device))
    for time, before in pairwise(times):
        now = torch.full((len(noisy),), time, device=noisy.device)
        clean = schedule.clean(task.loss, denoise(noisy, now).float(), noisy, now).clamp(*task.limits)
        noisy = ddim_step(schedule, clean, schedule.noise_in(noisy, clean, now), before)
    return noisy


def times_back(schedule: Schedule) -> Sequence[int]:
    """From the time to which noise is added down to -1, the image."""
    return [*torch.linspace(round(PART * schedule.times) - 1, 0, STEPS).round().long().tolist(), -1]
