"""Slices of a volume: which of them hold an image, and each with its neighbours as channels."""

import torch
from torch import Tensor


def present(volumes: Tensor) -> Tensor:
    """Which slices hold an image: (B, C, S, H, W) to (B, S) bool.

    A volume shorter than the input is padded with slices of one value, and so are these told: a slice whose every channel is
    constant is no image. Where all slices of a volume are constant, all count. A tensor without values (device "meta") says
    nothing of its slices: all count.
    """
    if volumes.is_meta:
        return torch.ones(volumes.shape[0], volumes.shape[2], dtype=torch.bool, device=volumes.device)
    pixels = volumes.detach().flatten(3)
    holds = (pixels.amax(3) > pixels.amin(3)).any(1)
    return holds | ~holds.any(1, keepdim=True)


def with_neighbours(volumes: Tensor, holds: Tensor, cases: Tensor, places: Tensor, neighbours: int) -> Tensor:
    """Some slices, each with those before and after it as further channels: (N, C * (2 * neighbours + 1), H, W).

    volumes        (B, C, S, H, W)
    holds          (B, S) bool, which slices hold an image; beyond the first and the last of them that one is repeated
    cases, places  (N,) the volume and the number of each slice that is wanted
    """
    if not neighbours:
        return volumes[cases, :, places]
    last_place = holds.shape[1] - 1
    first = holds.int().argmax(1)[cases]
    last = last_place - holds.flip(1).int().argmax(1)[cases]
    steps = range(-neighbours, neighbours + 1)
    near = [torch.minimum(torch.maximum(places + step, first), last) for step in steps]
    return torch.cat([volumes[cases, :, place] for place in near], 1)
