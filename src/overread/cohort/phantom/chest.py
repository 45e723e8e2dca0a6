"""The standing thorax: what a chest film projects. Same coordinates as the abdomen, with the origin in mid-thorax."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overread.cohort.phantom.canvas import Box, Canvas
from overread.cohort.phantom.clusters import overlapping_balls
from overread.cohort.phantom.covariates import Person, random_stream
from overread.cohort.phantom.fields import Warp, smooth_course
from overread.cohort.phantom.shapes import Point, common, ellipsoid, join, rotation
from overread.cohort.phantom.skeleton import HEIGHTS, LUNG_DEPTH, LUNG_WIDTH, Bones, draw_bones, paint_skeleton
from overread.cohort.phantom.vessels import Segment, branch

BODY_HEIGHTS = (-260.0, -60.0, 60.0, 120.0, 150.0, 175.0, 195.0, 215.0, 260.0)
BODY_WIDTH = (158.0, 162.0, 172.0, 196.0, 204.0, 188.0, 128.0, 74.0, 62.0)
BODY_DEPTH = (110.0, 112.0, 108.0, 96.0, 86.0, 76.0, 68.0, 62.0, 60.0)
SOFT = 45.0


@dataclass(frozen=True)
class Consolidation:
    """An air space filled in part: centre and radii mm, share filled, and whether a fissure bounds it below."""

    centre: Point
    radii: Point
    share: float
    is_bounded: bool


@dataclass(frozen=True)
class Nodule:
    centre: Point
    diameter: float
    stretch: Point


@dataclass(frozen=True)
class Thorax:
    """One patient's chest, for life."""

    person: Person
    warp: Warp
    scale: np.ndarray
    domes: tuple[Point, Point]
    heart_size: float
    arch_radius: float
    trees: tuple[Segment, ...]
    nodules: tuple[Nodule, ...]
    breast: float
    bones: Bones


@dataclass(frozen=True)
class Depths:
    """Where things are along the projection, (Z, Y, X) 0 to 1."""

    lung: np.ndarray
    heart: np.ndarray
    consolidation: np.ndarray
    nodule: np.ndarray
    nodules: tuple[tuple[Box, np.ndarray], ...]  # one by one


def draw_thorax(seed: int, person: Person, *, touching: bool = False) -> Thorax:
    """The chest of one patient, from its own random stream; `touching` plants nodules that overlap in place of single ones."""
    random = random_stream(seed, "chest", person.number, 1)
    low = random.normal(0, 13)
    thorax = Thorax(
        person=person,
        warp=Warp(random, 4.5, 70.0),
        scale=np.array([1.0, 1.0, 1.0]) * person.weight * random.normal(1, 0.04, 3),
        domes=((-70.0, -8.0, -88.0 + low), (72.0, -4.0, -104.0 + low + random.normal(0, 4))),
        heart_size=float(np.clip(random.normal(1.0, 0.13), 0.75, 1.35)),
        arch_radius=float(np.clip(random.normal(14.0, 1.6), 11, 18)),
        trees=tuple(_trees(random)),
        nodules=tuple(_nodules(random)),
        breast=float(random.uniform(0.55, 1.25)) if person.sex == "F" else 0.0,
        bones=draw_bones(random_stream(seed, "chest", person.number, 2)),
    )
    if not touching:
        return thorax
    crowd = random_stream(seed, "chest", person.number, 3)
    balls = [Nodule(at, size, tuple(crowd.uniform(0.94, 1.06, 3))) for at, size in overlapping_balls(crowd)]
    return replace(thorax, nodules=tuple(balls))


def _trees(random: np.random.Generator) -> list[Segment]:
    """Pulmonary vessels fanning out from both hila."""
    pieces: list[Segment] = []
    for side, hilum in ((-1, np.array([-40.0, 8.0, 14.0])), (1, np.array([44.0, 10.0, 24.0]))):
        for angle in np.linspace(-1.45, 1.25, 11) + random.normal(0, 0.1, 11):
            reach = 46 + 18 * max(0.0, -float(np.sin(angle)))
            ahead = np.array([side * np.cos(angle), random.uniform(-0.7, 0.7), np.sin(angle)]) * reach
            width = random.uniform(2.6, 4.2) * (1.15 if angle < -0.3 else 0.95)
            pieces += branch(random, hilum + random.normal(0, 4, 3), hilum + ahead, width, 4, 30)
    return pieces


def _nodules(random: np.random.Generator) -> list[Nodule]:
    """One patient in five has one or two nodules, away from the hilum."""
    if random.random() >= 0.22:
        return []
    nodules = []
    for _ in range(1 + int(random.random() < 0.2)):
        side = random.choice([-1, 1])
        centre = (side * random.uniform(62, 104), random.uniform(-45, 50), random.uniform(-55, 95))
        if centre[2] > 60:
            centre = (side * random.uniform(45, 70), random.uniform(-20, 20), centre[2])
        nodules.append(
            Nodule(centre, float(np.clip(np.exp(random.normal(np.log(17), 0.32)), 9, 32)), tuple(random.uniform(0.85, 1.15, 3)))
        )
    return nodules


def draw_consolidations(seed: int, person: Person, exam: int) -> list[Consolidation]:
    """Where the pneumonia of one exam lies, mostly in the lower zones."""
    random = random_stream(seed, "chest", person.number, 80 + exam)
    areas = []
    for _ in range(1 + int(random.random() < 0.3)):
        side, height = random.choice([-1, 1]), random.uniform(-72, 62)
        centre = (side * random.uniform(52, 92), random.uniform(-40, 55), height)
        radii = tuple(random.uniform(30, 54, 3) * (1, 1.3, 0.85))
        areas.append(Consolidation(centre, radii, float(random.uniform(0.6, 1.0)), bool(random.random() < 0.4)))
    return areas


def paint_thorax(canvas: Canvas, thorax: Thorax, areas: list[Consolidation], random: np.random.Generator) -> Depths:
    """Paint everything that absorbs; returns where lungs, heart and findings are."""
    cage = _paint_trunk(canvas, thorax)
    lung, heart = _paint_lungs(canvas, thorax, cage)
    for piece in thorax.trees:
        _tube(canvas, np.array([piece.start, piece.end]), np.array([piece.start_radius, piece.end_radius]), SOFT, lung)
    _paint_mediastinum(canvas, thorax, random)
    filled = _paint_consolidations(canvas, areas, lung)
    nodule = np.zeros(canvas.shape, np.float32)
    each = []
    for item in thorax.nodules:
        box = canvas.box(np.subtract(item.centre, 26), np.add(item.centre, 26))
        radii = tuple(item.diameter / 2 * s for s in item.stretch)
        round_mass = ellipsoid(canvas.coordinates(box), item.centre, radii) + canvas.coarse[box] * 0.7  # type: ignore[arg-type]
        coverage = canvas.cover(round_mass) * lung[box]
        canvas.paint(box, coverage, 40.0)
        np.maximum(nodule[box], coverage, out=nodule[box])
        each.append((box, coverage))
    paint_skeleton(canvas, thorax.bones)
    return Depths(lung, heart, filled, nodule, tuple(each))


def _at_height(z: np.ndarray, heights: tuple[float, ...], values: tuple[float, ...]) -> np.ndarray:
    return np.interp(z, heights, values).astype(np.float32)


def _ring(x: np.ndarray, y: np.ndarray, half_width: np.ndarray, half_depth: np.ndarray) -> np.ndarray:
    """Depth below an ellipse, mm, negative outside."""
    norm = np.sqrt((x / half_width) ** 2 + (y / half_depth) ** 2)
    return (1 - norm) * np.minimum(half_width, half_depth)


def _paint_trunk(canvas: Canvas, thorax: Thorax) -> np.ndarray:
    """Skin, fat and muscle; returns the depth below the inner wall of the rib cage, mm."""
    cage = np.empty(canvas.shape, np.float32)
    fat = 3 + 20 * thorax.person.fat
    for slab in canvas.slabs():
        x, y, z = canvas.coordinates(slab)
        wide, deep = _at_height(z, BODY_HEIGHTS, BODY_WIDTH), _at_height(z, BODY_HEIGHTS, BODY_DEPTH)
        skin, muscle = _ring(x, y, wide + fat, deep + fat), _ring(x, y, wide, deep)
        hu = canvas.hu[slab]
        hu += canvas.cover(-skin) * (-100 - hu)
        hu += canvas.cover(-muscle) * (SOFT - 8 - hu)
        lung_wide, lung_deep = _at_height(z, HEIGHTS, LUNG_WIDTH), _at_height(z, HEIGHTS, LUNG_DEPTH)
        cage[slab] = _ring(x, y, lung_wide, lung_deep)
    for side in (-1, 1):
        if thorax.breast:
            size = thorax.breast
            box = canvas.box((min(side * 5, side * 150), -175, -150), (max(side * 5, side * 150), -60, 40))
            mound = ellipsoid(canvas.coordinates(box), (side * 78, -100, -58), (56 * size, 48 * size, 54 * size))
            canvas.paint(box, canvas.cover(mound, 24.0) * (canvas.hu[box] < -500), -40.0)  # its edge fades into the wall
    return cage


def _paint_lungs(canvas: Canvas, thorax: Thorax, cage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    box = canvas.box((-150, -105, -210), (150, 105, 182))
    at = canvas.coordinates(box)
    x, y, z = at
    dome = np.full_like(x, -400)
    tendon = (4.0, -18.0, min(dome[2] for dome in thorax.domes) - 10)
    for (cx, cy, top), reach in zip((*thorax.domes, tendon), (96.0, 88.0, 74.0), strict=True):
        fall = ((x - cx) / reach) ** 2 + ((y - cy) / 92) ** 2
        dome = -join(-dome, -(top - 92 * fall ** np.float32(1.3)), 10)
    size = thorax.heart_size
    left = ellipsoid(at, (34 * size, -24, -76), (62 * size, 64 * size, 46 * size), rotation(about_y=32))
    right = ellipsoid(at, (-12, -24, -56), (38 * size, 58, 50 * size))
    base = ellipsoid(at, (10, -22, -16), (34 * size, 42, 44))
    heart = join(join(left, right, 18), base, 26)
    middle = np.abs(x + 1 - 7 * np.clip(z / 80, 0, 1)) - _at_height(
        z, (-200.0, -60.0, 10.0, 60.0, 110.0, 170.0), (14.0, 15.0, 17.0, 20.0, 20.0, 28.0)
    )
    middle = common(middle, np.maximum(-52 - y, y - 30), 14)  # lung reaches in front of it and behind
    spine = ellipsoid(at, (0, 84, 0), (20, 32, 500))
    solid = join(join(heart, middle, 12), spine, 10)
    lung = common(common(-cage[box] + 1.0, (dome - z) * np.float32(0.75), 4), -solid, 3)
    airy, beating = np.zeros(canvas.shape, np.float32), np.zeros(canvas.shape, np.float32)
    airy[box] = canvas.cover(lung)
    beating[box] = canvas.cover(np.maximum(heart, (dome - z - 4) * np.float32(0.75)))
    tissue = -845 + 22 * canvas.fine[box] + 12 * canvas.coarse[box] + 0.12 * (60 - z)
    canvas.paint(box, airy[box], tissue)
    cx, cy, top = thorax.domes[1]
    bubble = ellipsoid(at, (cx - 6, cy + 6, top - 24), (30, 26, 13))
    bubble = np.maximum(bubble + canvas.coarse[box] * 2, np.float32(top - 31) - z)  # the patient stands: the fluid lies level
    canvas.paint(box, canvas.cover(bubble) * canvas.cover(z - dome + 5), -990.0)
    return airy, beating


def _paint_mediastinum(canvas: Canvas, thorax: Thorax, random: np.random.Generator) -> None:
    """Aorta with its knob, pulmonary trunk and caval vein against the lung; trachea and main bronchi filled with air."""
    r = thorax.arch_radius
    aorta = np.array(
        [(-12, -26, -10), (-14, -28, 45), (2, -6, 80 - 0.4 * (r - 14)), (26, 18, 72), (27, 40, 40), (22, 48, -30), (14, 50, -190)]
    )
    course, radii = smooth_course(aorta, np.array([r, r, r, r, r * 0.92, r * 0.85, r * 0.78]), 12)
    _tube(canvas, course, radii, SOFT)
    _tube(canvas, np.array([(-26.0, -8, 135), (-27, -12, 60), (-24, -16, 0)]), np.array([10.0, 11, 12]), SOFT)
    _tube(canvas, np.array([(14.0, -30, 10), (30, -16, 32), (46, 6, 26)]), np.array([16.0, 15, 10]), SOFT)
    _tube(canvas, np.array([(10.0, -14, 24), (-22, 0, 20), (-44, 8, 8)]), np.array([11.0, 11, 9.5]), SOFT)
    wind = [(np.array([(0.0, 6, 230), (-1, 10, 130), (-5, 16, 80), (-2, 18, 50)]), np.array([8.5, 8.5, 8.5, 9.5]))]
    wind += [
        (np.array([(-2.0, 18, 50), (-34, 14, 22)]), np.array([8.0, 6.5])),
        (np.array([(-2.0, 18, 50), (42, 16, 16)]), np.array([7.5, 6.0])),
    ]
    for points, widths in wind:
        _tube(canvas, points + random.normal(0, 0.8, points.shape), widths, -985.0)


def _tube(canvas: Canvas, points: np.ndarray, radii: np.ndarray, hu: float, inside: np.ndarray | None = None) -> None:
    box, distance = canvas.tube(points, radii)
    if distance.size:
        thin = min(1.0, (2 * float(radii.max()) / canvas.soft_mm) ** 1.5)
        coverage = canvas.cover(distance) * np.float32(thin)
        canvas.paint(box, coverage if inside is None else coverage * inside[box], hu)


def _paint_consolidations(canvas: Canvas, areas: list[Consolidation], lung: np.ndarray) -> np.ndarray:
    """Fill air spaces patchily; returns the share filled at each voxel."""
    filled = np.zeros(canvas.shape, np.float32)
    for area in areas:
        reach = 1.5 * max(area.radii)
        box = canvas.box(np.subtract(area.centre, reach), np.add(area.centre, reach))
        at = canvas.coordinates(box)
        distance = ellipsoid(at, area.centre, area.radii) + canvas.coarse[box] * 6 + canvas.fine[box] * 2
        share = np.clip(0.5 - distance / 26, 0, 1)
        if area.is_bounded:
            plane = (at[2] - area.centre[2]) + 0.35 * (at[1] - area.centre[1]) + 0.3 * area.radii[2]
            share *= np.clip(0.5 + plane / 3, 0, 1)
        patchy = np.clip(0.78 + 0.22 * canvas.coarse[box] + 0.12 * canvas.fine[box], 0.1, 1)
        share = share * patchy * np.float32(area.share) * lung[box]
        canvas.paint(box, share, 25.0)
        np.maximum(filled[box], share, out=filled[box])
    return filled
