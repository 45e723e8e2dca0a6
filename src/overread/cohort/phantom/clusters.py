"""Metastases that touch: clusters in the liver, and nodules that overlap on a film, to learn to tell one from the next.

What is counted by connected voxels counts such a cluster as one; that is what they are planted for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from overread.cohort.phantom.lesions import Lesion, draw_lesion
from overread.cohort.phantom.shapes import Point

SEEDS = 4  # metastases of one liver that get company
LARGEST_MM = 26.0  # of a metastasis with company, so that a cluster finds room
CLOSE = 0.86  # distance of two centres in sums of their radii: they touch, and neither hides the other
TRIES = 60


def with_company(
    random: np.random.Generator, lesions: list[Lesion], places: np.ndarray, depths: np.ndarray, keep_off: np.ndarray
) -> list[Lesion]:
    """The lesions of one liver, with one to three metastases more around each of the first few; the others stay.

    places, depths, keep_off   as for `draw_lesions`
    """
    seeds = [k for k, lesion in enumerate(lesions) if lesion.kind == "metastasis"][:SEEDS]
    crowd = [_rounder(replace(x, diameter=min(x.diameter, LARGEST_MM))) if k in seeds else x for k, x in enumerate(lesions)]
    for k in seeds:
        for _ in range(int(random.integers(1, 4))):
            diameter = float(np.clip(crowd[k].diameter * random.uniform(0.55, 1.1), 9.0, LARGEST_MM))
            at = _beside(random, crowd[k], diameter, crowd, places, depths, keep_off)
            if at is not None:
                crowd.append(_rounder(replace(draw_lesion(random, "metastasis", at, diameter), hub=crowd[k].centre)))
    return crowd


def _rounder(lesion: Lesion) -> Lesion:
    """Nearer to a ball, so that two that are to touch do."""
    x, y, z = (s**0.4 for s in lesion.stretch)
    return replace(lesion, stretch=(x, y, z), edge_mm=min(lesion.edge_mm, 2.0))


def _beside(
    random: np.random.Generator,
    seed: Lesion,
    diameter: float,
    others: list[Lesion],
    places: np.ndarray,
    depths: np.ndarray,
    keep_off: np.ndarray,
) -> Point | None:
    """A centre at which a lesion touches `seed`, mostly within the slice; None where there is no room in the liver."""

    def is_free(point: np.ndarray) -> bool:
        nearest = int(np.linalg.norm(places - point, axis=1).argmin())
        if np.linalg.norm(places[nearest] - point) > 6 or depths[nearest] < 0.3 * diameter:
            return False
        if np.linalg.norm(keep_off - point, axis=1).min() < 0.4 * diameter + 6:
            return False
        return all(np.linalg.norm(point - o.centre) > _least(o, seed) * (o.diameter + diameter) / 2 for o in others)

    reach = CLOSE * (seed.diameter + diameter) / 2
    return _first(lambda: np.array(seed.centre) + reach * _direction(random, flat=0.5), is_free)


def _least(other: Lesion, seed: Lesion) -> float:
    """How near a new one may come, in sums of radii: those of its own cluster may touch."""
    same = other is seed or (other.hub is not None and other.hub == seed.centre)
    return 0.99 * CLOSE if same else 1.35


def _direction(random: np.random.Generator, flat: float) -> np.ndarray:
    direction = random.normal(size=3) * (1, 1, flat)
    return np.asarray(direction / np.linalg.norm(direction))


def _first(draw: Callable[[], np.ndarray], is_free: Callable[[np.ndarray], bool]) -> Point | None:
    for _ in range(TRIES):
        point = draw()
        if is_free(point):
            return float(point[0]), float(point[1]), float(point[2])
    return None


def overlapping_balls(random: np.random.Generator) -> list[tuple[Point, float]]:
    """(centre mm, diameter mm) of nodules in both lungs: in half of the patients, some in pairs that overlap on the film.

    On a film the beam sums up what lies behind each other, so the two of a pair may lie at any depth.
    """
    if random.random() >= 0.5:
        return []
    balls: list[tuple[Point, float]] = []

    def add(centre: Point, diameter: float) -> None:
        """Left out where it would vanish within another."""
        if all(np.hypot(centre[0] - c[0], centre[2] - c[2]) > 0.34 * (diameter + d) for c, d in balls):
            balls.append((centre, diameter))

    for _ in range(int(random.integers(2, 6))):
        side = int(random.choice([-1, 1]))
        high = float(random.uniform(-50, 85))
        across = side * float(random.uniform(42, 68) if high > 60 else random.uniform(60, 100))
        diameter = float(np.clip(np.exp(random.normal(np.log(19), 0.3)), 11, 34))
        add((across, float(random.uniform(-35, 40)), high), diameter)
        if random.random() < 0.6:
            other = float(np.clip(diameter * random.uniform(0.6, 1.2), 11, 34))
            angle, apart = random.uniform(0, 2 * np.pi), random.uniform(0.7, 0.95) * (diameter + other) / 2
            beside = (float(across + apart * np.cos(angle)), float(random.uniform(-35, 40)), float(high + apart * np.sin(angle)))
            add(beside, other)
    return balls
