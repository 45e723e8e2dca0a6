"""Batches of images whose truth nobody asks for, in one or several views of the same places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from overread.batches.augment import Augmentation, change_intensity
from overread.batches.motion import draw_motion, move, region_shape
from overread.batches.sampler import flatten
from overread.batches.windows import Shape, centred_start, cut

NOISE = 0.1  # standard deviations of a normalised image, on every disturbed look


class Unlabelled:
    """Images by step number; deterministic by seed and step, so that a stopped training resumes to the same curve.

    images   (C, Z, Y, X) prepared images
    patch    (Z, Y, X) window that the network sees
    batch    images per step, each in turn, in a new order every pass
    roams    windows lie at random places; else the middle of the image is taken
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        patch: Shape,
        batch: int,
        rules: Augmentation,
        *,
        roams: bool,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        dimensions: int = 3,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.images, self.patch, self.batch, self.rules, self.roams = images, patch, batch, rules, roams
        self.spacing, self.dimensions, self.seed, self.device = spacing, dimensions, seed, torch.device(device)
        self.region = region_shape(patch, rules, spacing)

    def views(self, step: int, count: int = 1) -> tuple[list[Tensor], torch.Generator]:
        """`count` views of one batch, each (B, C, [Z,] Y, X) float32, moved and changed independently.

        Returned with them: the random numbers of this step, for what is drawn after the views.
        """
        random = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        regions = [self._region(self.images[k], random) for k in self._chosen(step)]
        stacked = torch.from_numpy(np.stack(regions)).to(self.device).float()
        return [self._view(stacked, generator) for _ in range(count)], generator

    def looks(self, step: int) -> tuple[Tensor, Tensor]:
        """One batch of the same places twice, each (B, C, [Z,] Y, X) float32: moved alike, and with intensities changed too.

        The changes are as strong as in training, and noise is always among them: two looks that are equal teach nothing. Where
        there is no image, both looks keep the 0 that was put there.
        """
        random = np.random.default_rng([self.seed, 2, step])
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        regions = [self._region(self.images[k], random) for k in self._chosen(step)]
        stacked = torch.from_numpy(np.stack(regions)).to(self.device).float()
        motion = draw_motion(len(stacked), self.region, self.patch, self.rules, self.spacing, generator)
        calm, _ = move(stacked, None, motion)
        changed = change_intensity(calm, self.rules, generator)
        noise = torch.randn(calm.shape, generator=generator).to(calm.device)
        disturbed = torch.where(calm == 0, calm, changed + NOISE * noise)
        return flatten(calm, self.dimensions), flatten(disturbed, self.dimensions)

    def _view(self, regions: Tensor, generator: torch.Generator) -> Tensor:
        motion = draw_motion(len(regions), self.region, self.patch, self.rules, self.spacing, generator)
        moved, _ = move(regions, None, motion)
        return flatten(change_intensity(moved, self.rules, generator), self.dimensions)

    def _chosen(self, step: int) -> list[int]:
        count = len(self.images)
        positions = step * self.batch + np.arange(self.batch)
        orders = {int(turn): self._order(int(turn)) for turn in np.unique(positions // count)}
        return [int(orders[int(p) // count][int(p) % count]) for p in positions]

    def _order(self, turn: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 1_000_003, turn]).permutation(len(self.images))

    def _region(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        shape: Shape = image.shape[1:]
        start = self._start(shape, random) if self.roams else centred_start(shape, self.region)
        return cut(image, start, self.region)

    def _start(self, shape: Shape, random: np.random.Generator) -> Shape:
        """A random place of the patch inside the image; in its middle along an axis that is shorter than the patch."""
        start = []
        for size, patch, region in zip(shape, self.patch, self.region, strict=True):
            room = size - patch
            low = room // 2 if room <= 0 else int(random.integers(room + 1))
            start.append(low - (region - patch) // 2)
        return tuple(start)  # type: ignore[return-value]
