"""Which cases and which places make up a training batch; deterministic by seed and step.

Every step has its own random numbers, made from (seed, step), so that a resumed run needs no
saved random state to follow the same curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from overread.batches.augment import Augmentation, change_intensity, move, region_shape
from overread.batches.cache import PreparedCase
from overread.batches.windows import Shape, centred_start, cut


@dataclass(frozen=True)
class Sampling:
    """How cases and places are chosen.

    batch       cases (or patches) per step
    foreground  share of the patches centred on a structure; 0 takes places at random
    is_balanced each class equally often; else each case in turn, at natural frequencies
    """

    batch: int
    foreground: float = 0.0
    is_balanced: bool = False


class Batches:
    """Training batches by step number.

    patch    (Z, Y, X) window that the network sees
    spacing  (Z, Y, X) of the prepared grid; only ratios matter
    """

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        patch: Shape,
        sampling: Sampling,
        rules: Augmentation,
        *,
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        dimensions: int = 3,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.cases, self.patch, self.sampling, self.rules = cases, patch, sampling, rules
        self.spacing, self.dimensions, self.seed, self.device = spacing, dimensions, seed, torch.device(device)
        self.region = region_shape(patch, rules, spacing)
        self.is_dense = cases[0].target.ndim >= 3
        self.weights = _balanced(cases) if sampling.is_balanced else None

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (B, C, [Z,] Y, X) float32 and targets (dense: uint8 on the same grid; else (B, K) float32)."""
        random = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        images, targets = self._regions(step, random)
        moved, labels = move(images, targets if self.is_dense else None, self.patch, self.rules, self.spacing, generator)
        moved = change_intensity(moved, self.rules, generator)
        return flatten(moved, self.dimensions), flatten(labels, self.dimensions) if labels is not None else targets

    def _regions(self, step: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        images, targets = [], []
        for place, chosen in enumerate(self._choose(step, random)):
            case = self.cases[chosen]
            start = self._start(case, place, random)
            images.append(cut(case.image, start, self.region))
            if self.is_dense:
                target = case.target if case.target.ndim == 4 else case.target[None]
                targets.append(cut(target, start, self.region))
            else:
                targets.append(np.array(case.target))
        stacked = torch.from_numpy(np.stack(images)).to(self.device).float()
        return stacked, torch.from_numpy(np.stack(targets)).to(self.device)

    def _choose(self, step: int, random: np.random.Generator) -> np.ndarray:
        """Indices of the cases of this step: each case once per pass in a new order, or by weight."""
        batch, count = self.sampling.batch, len(self.cases)
        if self.weights is not None:
            return random.choice(count, batch, p=self.weights)
        positions = step * batch + np.arange(batch)
        orders = {int(turn): self._order(int(turn)) for turn in np.unique(positions // count)}
        return np.array([orders[int(p) // count][int(p) % count] for p in positions])

    def _order(self, turn: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 1_000_003, turn]).permutation(len(self.cases))

    def _start(self, case: PreparedCase, place: int, random: np.random.Generator) -> Shape:
        """Start of the region: centred on a voxel of a random structure, or on a random place of the grid."""
        shape: Shape = case.image.shape[1:]
        if not self.is_dense:
            return centred_start(shape, self.region)
        wants_foreground = (place + 0.5) / self.sampling.batch > 1 - self.sampling.foreground
        if wants_foreground and case.points:
            value = random.choice(sorted(case.points))
            centre = case.points[value][random.integers(len(case.points[value]))]
        else:
            centre = np.array([random.integers(n) for n in shape])
        return self._inside(shape, centre)

    def _inside(self, shape: Shape, centre: np.ndarray) -> Shape:
        """Keep the patch (not the wider region) inside the grid; centre it where the grid is smaller."""
        start = []
        for axis, (size, patch, region) in enumerate(zip(shape, self.patch, self.region, strict=True)):
            room = size - patch
            low = room // 2 if room <= 0 else int(np.clip(centre[axis] - patch // 2, 0, room))
            start.append(low - (region - patch) // 2)
        return tuple(start)  # type: ignore[return-value]


def _balanced(cases: Sequence[PreparedCase]) -> np.ndarray:
    """Chance of each case so that every class comes equally often; classes exclude each other."""
    classes = np.array([int(np.argmax(case.target)) for case in cases])
    shares = 1.0 / np.bincount(classes)[classes]
    return shares / shares.sum()


def flatten(batch: Tensor, dimensions: int) -> Tensor:
    """(B, C, 1, Y, X) -> (B, C, Y, X) for a network of two dimensions."""
    return batch[:, :, 0] if dimensions == 2 else batch


def fixed_patches(cases: Sequence[PreparedCase], patch: Shape, dimensions: int, limit: int = 64) -> tuple[Tensor, Tensor]:
    """The same patch of the same cases every time, for the tuning loss: centred on the middle of the structures."""
    images, targets = [], []
    for case in cases[:: max(1, len(cases) // limit)][:limit]:
        shape: Shape = case.image.shape[1:]
        start = centred_start(shape, patch)
        if case.points:
            middle = np.concatenate(list(case.points.values())).mean(0)
            z, y, x = (
                (n - p) // 2 if n <= p else int(np.clip(m - p // 2, 0, n - p))
                for n, p, m in zip(shape, patch, middle, strict=True)
            )
            start = (z, y, x)
        images.append(cut(case.image, start, patch).astype(np.float32))
        if case.target.ndim >= 3:
            target = case.target if case.target.ndim == 4 else case.target[None]
            targets.append(cut(target, start, patch))
        else:
            targets.append(np.array(case.target))
    stacked = torch.from_numpy(np.stack(targets))
    dense = cases[0].target.ndim >= 3
    return flatten(torch.from_numpy(np.stack(images)), dimensions), flatten(stacked, dimensions) if dense else stacked
