"""Random numbers for losses and made images: drawn on the generator's device, so that a seed means the same on any other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normal(shape: Sequence[int], random: torch.Generator, device: torch.device) -> Tensor:
    """Standard normal numbers, float32."""
    return torch.randn(tuple(shape), generator=random, device=random.device).to(device)


def normal_like(images: Tensor, random: torch.Generator) -> Tensor:
    return normal(images.shape, random, images.device)


def uniform(shape: Sequence[int], random: torch.Generator, device: torch.device) -> Tensor:
    """Numbers from 0 to below 1, float32."""
    return torch.rand(tuple(shape), generator=random, device=random.device).to(device)


def spread_times(count: int, steps: int, random: torch.Generator, device: torch.device) -> Tensor:
    """(B,) times 0 to steps - 1, spread evenly over all with one shift, in random order: less noise than independent draws.

    Source: Kingma et al., Variational Diffusion Models, NeurIPS 2021, arXiv:2107.00630, appendix I.1.
    """
    shift = torch.rand((), generator=random, device=random.device)
    order = torch.randperm(count, generator=random, device=random.device)
    times = ((torch.arange(count, device=random.device) + shift) / count * steps).long().clamp_max(steps - 1)
    return times[order].to(device)
