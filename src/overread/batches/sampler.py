"""Which cases and which places make up a training batch; deterministic by seed and step.

Every step has its own random numbers, made from (seed, step), so that a resumed run needs no
saved random state to follow the same curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from overread.batches.augment import Augmentation, change_intensity
from overread.batches.cache import PreparedCase
from overread.batches.chosen import Pick, Pools, pick_objects
from overread.batches.clinical import hidden, stacked, with_clinical
from overread.batches.copy_paste import paste_objects
from overread.batches.motion import draw_motion, move, region_shape
from overread.batches.object_targets import ObjectTarget, object_target, object_targets, stacked_numbers
from overread.batches.padding import put_back
from overread.batches.windows import Shape, centred_start, cut
from overread.core.clinical import Clinical

CASES, PARTNERS = 1_000_003, 1_000_033  # what tells the orders of two heaps apart


@dataclass(frozen=True)
class Sampling:
    """How cases and places are chosen.

    batch       cases (or patches) per step
    foreground  share of the patches centred on a structure, or of those with an object centred on one, of each class equally
                often; 0 takes places at random
    is_balanced each class equally often; else each case in turn, at natural frequencies
    clean       objects: share of the images without any object; None leaves it as it is in the cases
    """

    batch: int
    foreground: float = 0.0
    is_balanced: bool = False
    clean: float | None = None


Targets = Tensor | list[ObjectTarget]


class Batches:
    """Training batches by step number.

    patch    (Z, Y, X) window that the network sees
    spacing  (Z, Y, X) of the prepared grid; only ratios matter
    clinical variables whose values the cases hold, to be read beside the image; one answer per case only
    slices   array axis along which the network reads slices, which leaves padding out; None for other networks
    partners translation without pairs: cases whose pictures are the targets. Both heaps are gone through, each in an order and at
             places of its own, so that which picture stands beside which image is left to chance
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
        clinical: Clinical | None = None,
        slices: int | None = None,
        partners: Sequence[PreparedCase] = (),
    ) -> None:
        self.clinical, self.slices = clinical, slices
        self.cases, self.patch, self.sampling, self.rules, self.partners = cases, patch, sampling, rules, partners
        self.spacing, self.dimensions, self.seed, self.device = spacing, dimensions, seed, torch.device(device)
        self.region = region_shape(patch, rules, spacing)
        self.is_of_objects = is_of_objects(cases[0])
        self.is_dense = cases[0].target.ndim >= 3
        self.is_of_pictures = is_picture(cases[0])
        self.pools = Pools.of(cases) if cases[0].objects is not None else None
        self.weights = _balanced(cases) if sampling.is_balanced else None

    def __call__(self, step: int) -> tuple[Tensor, Targets]:
        """Images (B, C, [Z,] Y, X) float32 and targets.

        Targets are uint8 on the same grid for an answer per voxel, float32 there for a picture, (B, K) float32 for one per case,
        and for one per object a list with boxes, classes and, where known, numbers of voxels (see `object_targets`).
        """
        random = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        if self.is_of_objects:
            return self._with_objects(step, random, generator)
        images, targets, values = self._regions(step, random)
        motion = draw_motion(len(images), self.region, self.patch, self.rules, self.spacing, generator)
        labels: Tensor | None
        if self.is_of_pictures:  # a picture moves as the image does: linearly
            both, _ = move(torch.cat([images, targets.float()], 1), None, motion)
            moved, labels = both[:, : images.shape[1]], both[:, images.shape[1] :]
        else:
            moved, labels = move(images, targets if self.is_dense else None, motion)
        moved = put_back(change_intensity(moved, self.rules, generator), images, motion, self.slices)
        pictures = with_clinical(flatten(moved, self.dimensions), values)
        return pictures, flatten(labels, self.dimensions) if labels is not None else targets

    def _with_objects(
        self, step: int, random: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, list[ObjectTarget]]:
        images, numbers, tables = [], [], []
        for pick in self._picks(step, random):
            image, layers, boxes, classes = self._region_of(pick, random)
            images.append(image)
            numbers.append(layers)
            tables.append((boxes, classes))
        regions = torch.from_numpy(np.stack(images)).to(self.device).float()
        known = torch.from_numpy(stacked_numbers(numbers)).to(self.device) if len(numbers[0]) else None
        motion = draw_motion(len(images), self.region, self.patch, self.rules, self.spacing, generator)
        moved, known = move(regions, known, motion)
        targets = object_targets(tables, known, motion, self.dimensions, self.device)
        return flatten(change_intensity(moved, self.rules, generator), self.dimensions), targets

    def _picks(self, step: int, random: np.random.Generator) -> list[Pick]:
        assert self.pools is not None
        rules = self.sampling
        return pick_objects(self.cases, self.pools, step, rules.batch, rules.clean, rules.foreground, self.seed, random)

    def _region_of(self, pick: Pick, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Image (C, *region), numbers (L, *region), boxes (N, 6) in the region's coordinates, classes (N,)."""
        assert self.pools is not None
        case = self.cases[pick.case]
        assert case.objects is not None
        shape: Shape = case.image.shape[1:]
        start = self._inside(shape, self._centre(case, pick, random))
        image, numbers = cut(case.image, start, self.region), cut(case.target, start, self.region)
        boxes, classes = case.objects.boxes - np.tile(np.array(start, np.float32), 2), case.objects.classes
        if len(numbers) and len(self.pools.found) and random.random() < self.rules.copy_paste:
            giver = self.cases[int(random.choice(self.pools.found))]
            return paste_objects(image, numbers, boxes, classes, start, shape, giver, random)
        return image, numbers, boxes, classes

    def _regions(self, step: int, random: np.random.Generator) -> tuple[Tensor, Tensor, np.ndarray | None]:
        images, targets, values = [], [], []
        for place, pick in enumerate(self._choose(step, random)):
            case = self.cases[pick.case]
            start = self._start(case, place, pick, random)
            images.append(cut(_one_of(case, random), start, self.region))
            if self.is_dense and not self.partners:
                target = case.target if case.target.ndim == 4 else case.target[None]
                targets.append(cut(target, start, self.region))
            elif not self.partners:
                targets.append(np.array(case.target))
            values.append(case.clinical)
        for place, number in enumerate(self._in_turn(step, len(self.partners), PARTNERS)):
            partner = self.partners[number]
            targets.append(cut(partner.target, self._start(partner, place, Pick(number), random), self.region))
        regions = torch.from_numpy(np.stack(images)).to(self.device).float()
        return regions, torch.from_numpy(np.stack(targets)).to(self.device), self._values(stacked(values), step)

    def _values(self, values: np.ndarray | None, step: int) -> np.ndarray | None:
        """Clinical numbers (B, D) of the step, some of them hidden; from random numbers of their own."""
        if values is None or self.clinical is None:
            return None
        return hidden(values, self.clinical, self.rules.hide_clinical, np.random.default_rng([self.seed, step, 1]))

    def _choose(self, step: int, random: np.random.Generator) -> list[Pick]:
        """The cases of this step: each case once per pass in a new order, or by weight."""
        if self.pools is not None:
            return self._picks(step, random)
        batch, count = self.sampling.batch, len(self.cases)
        if self.weights is not None:
            return [Pick(int(c)) for c in random.choice(count, batch, p=self.weights)]
        return [Pick(number) for number in self._in_turn(step, count, CASES)]

    def _in_turn(self, step: int, count: int, heap: int) -> list[int]:
        """Of so many each once per pass, in a new order of the heap's own."""
        if not count:
            return []
        positions = step * self.sampling.batch + np.arange(self.sampling.batch)
        turns = np.unique(positions // count)
        orders = {int(turn): np.random.default_rng([self.seed, heap, int(turn)]).permutation(count) for turn in turns}
        return [int(orders[int(p) // count][int(p) % count]) for p in positions]

    def _start(self, case: PreparedCase, place: int, pick: Pick, random: np.random.Generator) -> Shape:
        """Start of the region: centred on an object, on a voxel of a random structure, or on a random place of the grid."""
        shape: Shape = case.image.shape[1:]
        if case.objects is not None:
            return self._inside(shape, self._centre(case, pick, random))
        if not self.is_dense:
            return centred_start(shape, self.region)
        wants_foreground = (place + 0.5) / self.sampling.batch > 1 - self.sampling.foreground
        if wants_foreground and case.points:
            value = random.choice(sorted(case.points))
            centre = case.points[value][random.integers(len(case.points[value]))]
        else:
            centre = np.array([random.integers(n) for n in shape])
        return self._inside(shape, centre)

    def _centre(self, case: PreparedCase, pick: Pick, random: np.random.Generator) -> np.ndarray:
        if pick.row is None or case.objects is None:
            return np.array([random.integers(n) for n in case.image.shape[1:]])
        box = case.objects.boxes[pick.row]
        return np.rint((box[:3] + box[3:]) / 2).astype(int)

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


def is_of_objects(case: PreparedCase) -> bool:
    """Whether the target of the case is a list of objects; a route by an answer per voxel has a map of classes instead."""
    return case.objects is not None and case.target.ndim == 4


def _one_of(case: PreparedCase, random: np.random.Generator) -> np.ndarray:
    """The image of a case, or one of the ways in which chance made it worse."""
    if case.further is None:
        return case.image
    number = int(random.integers(1 + len(case.further)))
    return np.asarray(case.further[number - 1]) if number else case.image


def is_picture(case: PreparedCase) -> bool:
    """Whether the target of the case is an image."""
    return case.target.ndim == 4 and case.target.dtype.kind == "f"


def is_list(targets: Targets) -> TypeGuard[list[ObjectTarget]]:
    """Targets of objects, one per image."""
    return isinstance(targets, list)


def fixed_patches(
    cases: Sequence[PreparedCase], patch: Shape, dimensions: int, limit: int = 64, partners: Sequence[PreparedCase] = ()
) -> tuple[Tensor, Targets]:
    """The same patch of the same cases every time, for the tuning loss: centred on the middle of what is asked for.

    partners  as those of `Batches`: each case keeps one of them
    """
    images, values = [], []
    dense: list[np.ndarray] = []
    objects: list[ObjectTarget] = []
    for number, case in enumerate(cases[:: max(1, len(cases) // limit)][:limit]):
        start = _middle_start(case, patch)
        images.append(cut(case.image, start, patch).astype(np.float32))
        values.append(case.clinical)
        if is_of_objects(case) and case.objects is not None:
            boxes = torch.from_numpy(case.objects.boxes - np.tile(np.array(start, np.float32), 2))
            layers = torch.from_numpy(cut(case.target, start, patch).astype(np.int32)) if len(case.target) else None
            objects.append(object_target(boxes, case.objects.classes, layers, patch, dimensions))
        elif partners:
            partner = partners[number % len(partners)]
            dense.append(cut(partner.target, _middle_start(partner, patch), patch))
        elif case.target.ndim >= 3:
            dense.append(cut(case.target if case.target.ndim == 4 else case.target[None], start, patch))
        else:
            dense.append(np.array(case.target))
    pictures = flatten(torch.from_numpy(np.stack(images)), dimensions)
    if objects:
        return pictures, objects
    pictures = with_clinical(pictures, stacked(values))
    targets = torch.from_numpy(np.stack(dense))
    targets = targets.float() if is_picture(cases[0]) else targets
    return pictures, flatten(targets, dimensions) if cases[0].target.ndim >= 3 else targets


def _middle_start(case: PreparedCase, patch: Shape) -> Shape:
    """Start of the patch about the middle of the structures, or about the object in the middle of the list."""
    shape: Shape = case.image.shape[1:]
    if case.points:
        middle = np.concatenate(list(case.points.values())).mean(0)
    elif case.objects is not None and len(case.objects):
        box = case.objects.boxes[len(case.objects) // 2]
        middle = (box[:3] + box[3:]) / 2
    else:
        return centred_start(shape, patch)
    z, y, x = (
        (n - p) // 2 if n <= p else int(np.clip(m - p // 2, 0, n - p)) for n, p, m in zip(shape, patch, middle, strict=True)
    )
    return z, y, x
