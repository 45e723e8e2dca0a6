"""Repeatability: the same finding gets the same map, when the image moves a little and when the training is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from overread.explanation.methods.method import Method
from overread.explanation.trial.alike import HALF, KEPT, WHY_HALF, measured
from overread.explanation.trial.criterion import Bound, Measured, Tell
from overread.explanation.trial.maps import Maps
from overread.explanation.trial.posed import Posed, moved
from overread.explanation.trial.similarity import Likeness, likeness, mean_likeness
from overread.reading.predictor import Predictor

MOST = 3  # voxels by which the image moves, where it is wide enough
SHARE = 64  # it moves by this part of its width: less than any finding that can be seen
THIN = 16  # slices; windows with fewer are not moved across them


@dataclass(frozen=True)
class Shifts:
    """The image is moved by a few voxels, and the map moved back."""

    key: ClassVar[str] = "repeatability_shift"
    title: ClassVar[str] = "Repeatability, image moved"
    what: ClassVar[str] = "likeness kept when the image moves"
    rule: ClassVar[str] = (
        f"{KEPT} Passed where the map of the image moved by a {SHARE}th of its width (1 to {MOST} voxels), moved back, keeps "
        "more than half, with the whole interval."
    )
    reason: ClassVar[str] = f"Nobody positions a patient to the voxel, and no finding goes away with that. {WHY_HALF}"
    bound: ClassVar[Bound] = Bound("above", HALF)
    version: ClassVar[int] = 1
    is_essential: ClassVar[bool] = True

    @property
    def identity(self) -> str:
        return ""

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        return None

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        steps = shifts(maps.posed[0].asked.patch)
        found: list[Likeness | None] = []
        for number, each in enumerate(maps.posed):
            pairs = []
            for step in steps:
                back = moved(each.shifted(step).map(maps.method), (-step[0], -step[1], -step[2]))
                pairs.append(likeness(_inner(maps.of(number), step), _inner(back, step)))
                tell(1 / (len(steps) * len(maps.posed)))
            found.append(mean_likeness(pairs))
        return measured(maps, found, {"steps": [list(step) for step in steps]})


def shifts(patch: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """(z, y, x) in voxels: down, to one side, and back along the diagonal."""
    by = min(MOST, max(1, min(patch[1:]) // SHARE))
    through = by if patch[0] >= THIN else 0
    return ((0, by, 0), (0, 0, by), (-through, -by, -by))


def _inner(volume: np.ndarray, step: tuple[int, int, int]) -> np.ndarray:
    """Without the rim, which the moved image does not show."""
    return volume[tuple(slice(abs(by), n - abs(by)) for by, n in zip(step, volume.shape, strict=True))]


@dataclass(frozen=True)
class Seeds:
    """Maps of other trainings for the same question.

    models  their networks, each with the digest that names it; without them the members of an ensemble are compared
    """

    models: tuple[tuple[str, tuple[tuple[Predictor, float], ...]], ...] = ()

    key: ClassVar[str] = "repeatability_seeds"
    title: ClassVar[str] = "Repeatability, another training"
    what: ClassVar[str] = "likeness kept by another training"
    rule: ClassVar[str] = f"{KEPT} Passed where the map of another training keeps more than half, with the whole interval."
    reason: ClassVar[str] = (
        f"Where trainings that answer alike differ in their maps, these show an accident of training. {WHY_HALF}"
    )
    bound: ClassVar[Bound] = Bound("above", HALF)
    version: ClassVar[int] = 1
    is_essential: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        return " ".join(digest for digest, _ in self.models)

    def refusal(self, method: Method, posed: Sequence[Posed]) -> str | None:
        if not self.models and len(posed[0].voices) < 2:
            return "there is one training only; name other runs for the same question with --seeds"
        return None

    def measure(self, maps: Maps, tell: Tell) -> Measured:
        found: list[Likeness | None] = []
        for number, each in enumerate(maps.posed):
            if self.models:
                others = [each.with_models(members) for _, members in self.models]
                known = [other.map(maps.method) for other in others if other.has_question()]
                pairs = [likeness(maps.of(number), other) for other in known]
            else:
                alone = [each.one_voice(voice).map(maps.method) for voice in range(len(each.voices))]
                pairs = [likeness(one, other) for one, other in combinations(alone, 2)]
            found.append(mean_likeness(pairs))
            tell(1 / len(maps.posed))
        trainings = len(self.models) + 1 if self.models else len(maps.posed[0].voices)
        return measured(maps, found, {"trainings": trainings}, "the other trainings list no such object")
