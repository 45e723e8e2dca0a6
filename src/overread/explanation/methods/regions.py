"""Shapley values of regions: what each part of the image, cut along its own edges, brought to the score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor

from overread.core.errors import OverreadError
from overread.explanation.asked import Asked
from overread.explanation.batching import batch_for, in_batches
from overread.explanation.shapley import Shapley, exact, sampled

EVERY_COALITION = 8  # regions up to which all of them are asked, 256 at most
COMPACTNESS, SMOOTHING = 0.3, 1.0  # of regions, against edges of intensities from 0 to 1; Gaussian, in voxels, against noise


@dataclass(frozen=True)
class Regions:
    """Shapley values of superpixels (2D) or supervoxels (3D); a region's value is shared out among its voxels.

    regions       how many are asked for; the image may hold fewer or more
    permutations  orders in which regions join, in pairs of an order and its reverse
    seed          of the orders
    A region that is left out has the mean of the normalised image. The sum of the map over all voxels is the score of the image
    less that of an image of which every region is left out.
    """

    regions: int = 32
    permutations: int = 16
    seed: int = 0

    name: ClassVar[str] = "shapley_regions"
    title: ClassVar[str] = "Shapley values of regions"
    source: ClassVar[str] = "Lundberg and Lee, NeurIPS 2017, arXiv:1705.07874; Achanta, IEEE PAMI 2012;34:2274 (regions)"
    is_signed: ClassVar[bool] = True

    def refusal(self, asked: Asked) -> str | None:
        return None

    def __call__(self, asked: Asked) -> np.ndarray:
        labels = self.labels(asked)
        values = self.shapley(asked, labels).values
        per_voxel = values / np.bincount(labels.ravel(), minlength=len(values))
        return np.asarray(per_voxel[labels], dtype=np.float32)

    def labels(self, asked: Asked) -> np.ndarray:
        """(Z, Y, X) integers from 0: the region of each voxel of the window."""
        if self.regions < 2 or self.permutations < 2:
            raise OverreadError(
                f"Shapley values of {self.regions} regions by {self.permutations} orders cannot be computed.",
                "regions and permutations must be 2 or more",
            )
        window = asked.images[0].cpu().numpy().astype(np.float64)
        low, high = window.min(), window.max()
        grey = np.moveaxis((window - low) / max(high - low, 1e-6), 0, -1)
        spacing = (asked.spacing_mm or (1.0, 1.0, 1.0))[3 - asked.dimensions :]
        share = [s / min(spacing) for s in spacing]
        found = slic(
            grey, self.regions, COMPACTNESS, sigma=SMOOTHING, spacing=share, channel_axis=-1, start_label=0, convert2lab=False
        )
        return np.unique(found, return_inverse=True)[1].reshape(asked.patch)

    def shapley(self, asked: Asked, labels: np.ndarray) -> Shapley:
        """One value per region, with the standard error of the sampling; few regions are computed exactly."""
        count = int(labels.max()) + 1
        spatial = torch.from_numpy(labels.reshape(asked.images.shape[2:])).to(asked.images.device)

        def worth(coalitions: np.ndarray) -> np.ndarray:
            return in_batches(asked.score, _kept(asked.images[0], spatial, coalitions), batch_for(asked.images))

        return exact(worth, count) if count <= EVERY_COALITION else sampled(worth, count, self.permutations, self.seed)


def _kept(window: Tensor, labels: Tensor, coalitions: np.ndarray) -> Iterator[Tensor]:
    """The window (C, [Z,] Y, X) with the regions of each coalition; the others at the mean of the normalised image."""
    for coalition in coalitions:
        there = torch.from_numpy(coalition).to(window.device)[labels]
        yield window * there
