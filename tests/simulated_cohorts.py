"""Cohorts for the audit, made of numbers alone: patients with several cases, columns, and pictures that are noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overread.audit.audited import Audited, AuditedCase
from overread.audit.sketch import Sketch
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.question import Question

ILL = Question("classification", ("healthy", "ill"), positive="ill")


@dataclass(frozen=True)
class Films:
    """case_id -> image, as `Audited.open_image` wants it."""

    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, case_id: str) -> Image:
        picture = self.pictures[case_id][None, None]
        return Image(picture, Grid.from_spacing(picture.shape[1:], spacing_known=False, is_planar=True))


def noise(random: np.random.Generator) -> Sketch:
    """A bright body on a dark ground, and noise."""
    small = random.random((64, 64)).astype(np.float32) * 0.2
    small[14:50, 14:50] += 0.7
    numbers = {name: float(random.normal()) for name in ("mean", "sd", "p5", "p95")}
    edges, corners = random.random((4, 64)), random.random((4, 16, 16))
    return Sketch(np.zeros((8, 32), np.uint8), small, small[None], numbers, edges.astype("f4"), corners.astype("f4"), "", "uint8")


def cohort(
    seed: int,
    patients: int = 60,
    *,
    acquisition: Callable[[int, np.random.Generator], dict[str, Any]] = lambda ill, random: {},
    site: Callable[[int, np.random.Generator], str] = lambda ill, random: "",
    plant: Callable[[Sketch, int], None] = lambda sketch, ill: None,
    partition: Callable[[np.random.Generator], str] = lambda random: "training",
    pictures: bool = True,
) -> tuple[Audited, dict[str, Sketch]]:
    """Patients of one to three cases; disease, columns, site and partition are the patient's, pictures the case's."""
    random = np.random.default_rng(seed)
    cases, sketches = [], {}
    for number in range(patients):
        ill = int(number % 5 < 2)
        columns, place, part = acquisition(ill, random), site(ill, random), partition(random)
        for exam in range(int(random.integers(1, 4))):
            case_id = f"C{number}-{exam}"
            truth = {"healthy": 1.0 - ill, "ill": float(ill)}
            cases.append(AuditedCase(case_id, f"P{number}", part, truth=truth, acquisition=columns, site=place))
            if pictures:
                sketches[case_id] = noise(random)
                plant(sketches[case_id], ill)
    return Audited(tuple(cases), Films(), ILL), sketches
