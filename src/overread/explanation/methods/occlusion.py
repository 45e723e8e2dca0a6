"""Occlusion: how far the score falls when a patch of the image is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.batching import batch_for, in_batches
from overread.explanation.methods.nearby import Changed, Nearby

SHARE = 8  # the patch is this part of the window's longest edge, where nothing else is said
FILLS = ("mean", "blur")
Box = tuple[slice, ...]


@dataclass(frozen=True)
class Occlusion:
    """The mean fall of the score over the patches that cover a voxel.

    patch_mm   edge of the patch in mm, in pixels where the spacing is unknown; None: an eighth of the window's longest edge
    stride_mm  from patch to patch; None: half a patch in 2D, a whole one in 3D, where there would be eight times as many
    fill       what stands in place of the patch: "mean", the mean of the normalised image, or "blur", the image itself blurred
               by a Gaussian of half a patch
    """

    patch_mm: float | None = None
    stride_mm: float | None = None
    fill: str = "mean"

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    source: ClassVar[str] = "Zeiler and Fergus, ECCV 2014, arXiv:1311.2901"
    is_signed: ClassVar[bool] = True

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        places = self.places(asked)
        instead = self._instead(asked)
        (base,) = in_batches(asked.score, [asked.images[0]], 1)
        nearby = Nearby.of(asked)
        falls = np.empty(len(places))
        for same in _by_size(places):
            some = [places[k] for k in same]
            if nearby is None:
                falls[same] = in_batches(asked.score, _occluded(asked.images[0], instead, some), batch_for(asked.images))
            else:
                falls[same] = _near(nearby, instead, some, batch_for(asked.images))
        total, count = np.zeros(asked.patch), np.zeros(asked.patch)
        for place, fall in zip(places, base - falls, strict=True):
            total[place] += fall
            count[place] += 1
        return np.asarray(total / count, dtype=np.float32)

    def places(self, asked: Asked) -> list[Box]:
        """Where the patches lie in the (Z, Y, X) window; together they cover it, the last ones cut at its edge."""
        if self.fill not in FILLS:
            raise OverreadError(f"Occlusion cannot fill with '{self.fill}'.", f"it fills with {' or '.join(FILLS)}")
        patch, stride = self.voxels(asked)
        return [
            tuple(slice(a, min(a + p, n)) for a, p, n in zip(start, patch, asked.patch, strict=True))
            for start in product(*(_starts(n, p, s) for n, p, s in zip(asked.patch, patch, stride, strict=True)))
        ]

    def voxels(self, asked: Asked) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Patch and stride in voxels of the window (Z, Y, X)."""
        spacing = asked.spacing_mm or (1.0, 1.0, 1.0)
        spatial = range(3 - asked.dimensions, 3)
        patch_mm = max(asked.patch[k] * spacing[k] for k in spatial) / SHARE if self.patch_mm is None else self.patch_mm
        usual = patch_mm / 2 if asked.dimensions == 2 else patch_mm
        stride_mm = usual if self.stride_mm is None else self.stride_mm
        if not 0 < stride_mm <= patch_mm < inf:
            raise OverreadError(
                f"A patch of {patch_mm:g} moved by {stride_mm:g} does not cover the image.",
                "patch_mm must be above 0, and stride_mm above 0 and at most patch_mm",
            )
        patch = tuple(_whole(patch_mm, spacing[k], asked.patch[k]) if k in spatial else 1 for k in range(3))
        stride = tuple(min(p, _whole(stride_mm, spacing[k], p)) if k in spatial else 1 for k, p in enumerate(patch))
        return patch, stride

    def _instead(self, asked: Asked) -> Tensor:
        """(C, [Z,] Y, X): what stands where a patch was taken away."""
        window = asked.images[0]
        if self.fill == "mean":
            return torch.zeros_like(window)
        patch, _ = self.voxels(asked)
        sigma = [0.0, *(p / 2 for p in patch[3 - asked.dimensions :])]
        return torch.from_numpy(ndimage.gaussian_filter(window.cpu().numpy(), sigma, mode="nearest")).to(window)


def _by_size(places: list[Box]) -> list[list[int]]:
    """Numbers of the patches of each size: those that are cut at the edge are smaller."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for number, place in enumerate(places):
        sizes.setdefault(tuple(one.stop - one.start for one in place), []).append(number)
    return list(sizes.values())


def _near(nearby: Nearby, instead: Tensor, places: list[Box], batch: int) -> np.ndarray:
    """The score without each patch, of a network of which only what a patch reaches is computed again."""
    spatial = [place[4 - instead.ndim :] for place in places]

    def scores(numbers: Tensor) -> Tensor:
        some = [spatial[int(k)] for k in numbers]
        values = torch.stack([instead[(slice(None), *place)] for place in some])
        return nearby.scores(Changed(values, [tuple(one.start for one in place) for place in some]))

    return in_batches(scores, torch.arange(len(places)), batch)


def _occluded(window: Tensor, instead: Tensor, places: list[Box]) -> Iterator[Tensor]:
    """The window (C, [Z,] Y, X) without each patch in turn."""
    for place in places:
        changed = window.clone()
        here = (slice(None), *place[4 - window.ndim :])
        changed[here] = instead[here]
        yield changed


def _starts(length: int, patch: int, stride: int) -> list[int]:
    """First voxels of patches that cover an edge."""
    return list(range(0, max(1, length - patch + stride), stride))


def _whole(mm: float, spacing: float, most: int) -> int:
    return int(np.clip(round(mm / spacing), 1, most))
