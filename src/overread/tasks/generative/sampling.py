"""From noise to an image, step by step.

Sources: Ho et al., NeurIPS 2020, arXiv:2006.11239, algorithm 2 (DDPM); Song et al., ICLR 2021, arXiv:2010.02502, equation 12
(DDIM).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from overread.core.errors import OverreadError
from overread.tasks.generative.draws import normal, normal_like
from overread.tasks.generative.schedule import Schedule

STEPS = 50  # usual; Song et al. lose little beyond it
Denoise = Callable[[Tensor, Tensor], Tensor]  # noisy images (B, ...) and times (B,) -> what the denoiser says


def ddpm_step(schedule: Schedule, noisy: Tensor, clean: Tensor, time: int, noise: Tensor) -> Tensor:
    """From a time to the one before, with fresh noise: equations 6 and 7, with the smaller of the two variances.

    clean  the image, as the denoiser has it at this time
    """
    left, before, added = (float(v) for v in (schedule.left[time + 1], schedule.left[time], schedule.added[time]))
    mean = before**0.5 * added / (1 - left) * clean + (1 - added) ** 0.5 * (1 - before) / (1 - left) * noisy
    return mean + ((1 - before) / (1 - left) * added) ** 0.5 * noise


def ddim_step(schedule: Schedule, clean: Tensor, noise: Tensor, before: int) -> Tensor:
    """To an earlier time, however far, along what the denoiser has for image and noise; nothing is drawn."""
    left = float(schedule.left[before + 1])
    return left**0.5 * clean + (1 - left) ** 0.5 * noise


def times_of(schedule: Schedule, steps: int) -> list[int]:
    """The times of so many steps, from the last, evenly spaced; then -1."""
    if not 1 <= steps <= schedule.times:
        raise OverreadError(
            f"An image cannot be made in {steps} steps: the diffusion has {schedule.times}.",
            f"give a number from 1 to {schedule.times}, e.g. {STEPS}",
        )
    times = torch.linspace(schedule.times - 1, 0, steps).round().long().tolist()
    return [*times, -1]


@torch.no_grad()
def from_noise(
    denoise: Denoise,
    shape: Sequence[int],
    schedule: Schedule,
    prediction: str,
    random: torch.Generator,
    device: torch.device,
    *,
    steps: int | None,
    limits: tuple[float, float],
) -> Tensor:
    """Images of this shape (B, C, [Z,] Y, X), made of noise.

    steps   as many as the schedule has times: DDPM, with fresh noise in each; fewer: DDIM, which draws only the first noise
    limits  lowest and highest intensity of an image; the denoiser's idea of it is clipped to them at each step
    """
    times = times_of(schedule, steps or STEPS)
    noisy = normal(shape, random, device)
    for time, before in pairwise(times):
        now = torch.full((len(noisy),), time, device=device)
        clean = schedule.clean(prediction, denoise(noisy, now).float(), noisy, now).clamp(*limits)
        if len(times) == schedule.times + 1:
            noisy = ddpm_step(schedule, noisy, clean, time, normal_like(noisy, random))
        else:
            noisy = ddim_step(schedule, clean, schedule.noise_in(noisy, clean, now), before)
    return noisy
