"""Does a network that makes images begin to repeat those it learns from? A quick test of the images of a look, on small pictures.

`overread fidelity` makes the full test, of many images and by features; this one is there while there is time to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from overread.batches.cache import PreparedCase
from overread.batches.sampler import flatten
from overread.batches.windows import Shape, centred_start, cut

EDGE = 16  # voxels of a small picture along each axis
MOST = 512  # training images that are compared, spread evenly
SAME = 1e-6  # of the usual distance: nearer than that, the cohort holds an image twice


@dataclass(frozen=True)
class Repeats:
    """Small pictures of training images, and how near to them real images lie that are not among them.

    training  (T, F)
    held_out  the smallest distance that a tuning image keeps from them
    """

    training: Tensor
    held_out: float

    @classmethod
    def of(
        cls, training: Sequence[PreparedCase], tuning: Sequence[PreparedCase], patch: Shape, dimensions: int
    ) -> Repeats | None:
        """None where every tuning image is a training image, so that a copy cannot be told."""
        known, unknown = (_small_of(cases, patch, dimensions) for cases in (training, tuning))
        kept = _distances(unknown, known).min(1).values
        others = kept[kept > SAME * float(kept.median())]
        return cls(known, float(others.min())) if len(others) else None

    def nearest(self, made: Tensor) -> float:
        """Of images (N, C, [Z,] Y, X) as the network makes them: the smallest distance to a training image, over `held_out`."""
        return float(_distances(_small(made), self.training).min()) / self.held_out


def _small_of(cases: Sequence[PreparedCase], patch: Shape, dimensions: int) -> Tensor:
    chosen = cases[:: max(1, -(-len(cases) // MOST))]
    windows = (torch.from_numpy(cut(case.image, centred_start(case.image.shape[1:], patch), patch)[None]) for case in chosen)
    return torch.cat([_small(flatten(window.float(), dimensions)) for window in windows])


def _small(images: Tensor) -> Tensor:
    """(N, F): averages over a coarse grid."""
    sizes = tuple(min(EDGE, size) for size in images.shape[2:])
    return functional.interpolate(images.float(), sizes, mode="area").flatten(1).cpu()


def _distances(one: Tensor, other: Tensor) -> Tensor:
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
