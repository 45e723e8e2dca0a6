"""Vessels: aorta and caval vein, and the trees that branch in liver and lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.cohort.phantom.body import spine_y
from overread.cohort.phantom.canvas import Canvas


@dataclass(frozen=True)
class Segment:
    """A piece of a vessel in the standard patient, mm."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float


@dataclass(frozen=True)
class Enhancement:
    """Hounsfield units of blood and organs in this contrast phase."""

    aorta: float
    cava: float
    portal: float
    hepatic: float
    cortex: float
    medulla: float
    spleen: float
    pancreas: float


def branch(
    random: np.random.Generator,
    start: np.ndarray,
    target: np.ndarray,
    radius: float,
    depth: int,
    spread_mm: float,
) -> list[Segment]:
    """A tree from `start` towards `target`, bending a little and dividing in two at each step.

    Radii follow Murray's law (the cube of the parent is the sum of the cubes of its children).
    """
    pieces: list[Segment] = []
    bend = (start + target) / 2 + random.normal(0, 0.09, 3) * np.linalg.norm(target - start)
    points = [start, bend, target]
    widths = np.linspace(radius, radius * 0.86, 3)
    for k in range(2):
        pieces.append(Segment(tuple(points[k]), tuple(points[k + 1]), float(widths[k]), float(widths[k + 1])))
    if depth == 0 or radius < 0.9:
        return pieces
    onward = (target - bend) / max(float(np.linalg.norm(target - bend)), 1e-3)
    share = random.uniform(0.38, 0.62)
    aside = np.cross(onward, random.normal(size=3))
    aside /= max(float(np.linalg.norm(aside)), 1e-3)
    for sign, part in ((1, share), (-1, 1 - share)):
        length = spread_mm * random.uniform(0.8, 1.25)
        end = target + length * (onward * random.uniform(0.65, 1.0) + sign * aside * random.uniform(0.45, 0.85))
        pieces += branch(random, target, end, radius * 0.86 * part ** (1 / 3), depth - 1, spread_mm * 0.78)
    return pieces


def liver_trees(random: np.random.Generator) -> tuple[list[Segment], list[Segment]]:
    """Portal and hepatic veins of one patient."""

    def near(*point: float) -> np.ndarray:
        return np.array(point) + random.normal(0, 4, 3)

    trunk_end, right, left = near(-26, -18, -70), near(-48, -14, -62), near(-4, -40, -50)
    portal = [Segment((6, -9, -92), tuple(trunk_end), 7.0, 6.6)]
    portal += [Segment(tuple(trunk_end), tuple(right), 6.2, 5.6), Segment(tuple(trunk_end), tuple(left), 5.2, 4.6)]
    for target, width in (
        (near(-84, 28, -42), 4.4),
        (near(-88, 20, -92), 4.2),
        (near(-80, -42, -40), 4.2),
        (near(-84, -40, -92), 3.8),
    ):
        portal += branch(random, right, target, width, 3, 26)
    for target, width in ((near(14, -62, -44), 3.6), (near(38, -52, -32), 3.2), (near(-18, -70, -58), 3.2)):
        portal += branch(random, left, target, width, 2, 20)
    outlet = np.array([-17.0, 6.0, -14.0])
    hepatic: list[Segment] = []
    for first, second, width in (
        (near(-50, 14, -24), near(-92, 18, -58), 5.4),
        (near(-36, -24, -26), near(-52, -52, -66), 4.8),
        (near(-8, -26, -22), near(14, -58, -36), 4.2),
    ):
        hepatic.append(Segment(tuple(outlet), tuple(first), width + 0.8, width))
        hepatic += branch(random, first, second, width * 0.9, 3, 22)
    return portal, hepatic


def lung_trees(random: np.random.Generator, depth: int = 4) -> list[Segment]:
    """Vessels of the lower lobes, seen above the dome."""
    pieces: list[Segment] = []
    for side in (-1, 1):
        for _ in range(8):
            start = np.array([side * random.uniform(38, 58), random.uniform(-5, 30), random.uniform(50, 75)])
            target = np.array([side * random.uniform(55, 105), random.uniform(-60, 62), random.uniform(0, 40)])
            pieces += branch(random, start, target, random.uniform(2.4, 3.8), depth, 22)
    return pieces


def paint_segments(
    canvas: Canvas, pieces: list[Segment], hu: float, inside: np.ndarray | None = None, value: int = 0, faint: float = 1.0
) -> None:
    """Paint vessels; `inside` (Z, Y, X) 0 to 1 keeps them in an organ; one thinner than a voxel fades instead of vanishing."""
    for piece in pieces:
        width = max(piece.start_radius, piece.end_radius)
        ends = np.array([piece.start, piece.end])
        box, distance = canvas.tube(ends, np.array([piece.start_radius, piece.end_radius]))
        if distance.size == 0:
            continue
        thin = min(1.0, (2 * width / canvas.soft_mm) ** 1.5)
        coverage = canvas.cover(distance, max(canvas.soft_mm, 1.0)) * np.float32(thin * faint)
        if inside is not None:
            coverage = coverage * inside[box]
        canvas.paint(box, coverage, hu, value)


def great_vessels() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 3) and radii (N,) of the aorta (left of the midline) and of the caval vein (right)."""
    z = np.linspace(95, -265, 37)
    body = np.asarray(spine_y(z)) - 17
    high = np.clip((z + 40) / 90, 0, 1)
    aorta = np.stack([14 + 4 * high - 5 * np.clip((-120 - z) / 80, 0, 1), body - 13.5 + 10 * high, z], -1)
    aorta_radius = 11.5 - 3 * np.clip((-40 - z) / 150, 0, 1)
    liver = np.clip((z + 110) / 60, 0, 1)
    cava = np.stack([-19 + 2 * liver, body - 10 - 12 * liver - 10 * np.clip((z - 5) / 30, 0, 1), z], -1)
    cava_radius = 10.5 + 1.5 * liver
    return aorta, aorta_radius, cava, cava_radius


def paint_great_vessels(
    canvas: Canvas, random: np.random.Generator, phase: Enhancement, plaque: float, aorta_value: int, cava_value: int
) -> None:
    """Aorta with its crura and calcified plaque, caval vein, the renal vessels and the roots in front of the aorta."""
    aorta, aorta_radius, cava, cava_radius = great_vessels()
    high = aorta[:, 2] > -95
    box, distance = canvas.tube(aorta[high], aorta_radius[high] + 4.5)
    z = canvas.coordinates(box)[2]
    crus = canvas.cover(distance) * np.clip((20 - z) / 20, 0, 1) * (canvas.coordinates(box)[1] > aorta[10, 1] - 22)
    canvas.fill(box, crus, 62.0)
    _small_vessels(canvas, random, phase)
    box, distance = canvas.tube(aorta, aorta_radius)
    canvas.paint(box, canvas.cover(distance), phase.aorta + canvas.texture(box, 1, 2), aorta_value)
    calcified = canvas.cover(np.abs(distance + 0.6) - 0.9) * np.clip((canvas.coarse[box] - 2.4 + 1.6 * plaque) * 2, 0, 1)
    canvas.hu[box] += calcified * (620 - canvas.hu[box])
    below = cava[:, 2] < 48  # it joins the heart there
    box, distance = canvas.tube(cava[below], cava_radius[below])
    canvas.fill(box, canvas.cover(distance), phase.cava + canvas.texture(box, 3, 3), cava_value)


def _small_vessels(canvas: Canvas, random: np.random.Generator, phase: Enhancement) -> None:
    def point(x: float, y: float, z: float) -> tuple[float, float, float]:
        return tuple(np.array([x, y, z]) + random.normal(0, 2, 3))

    veins = [
        Segment((6, -9, -92), point(4, -14, -120), 6.4, 5.6),  # superior mesenteric
        Segment(point(4, -14, -120), point(-2, -22, -190), 5.6, 4.0),
        Segment((6, -9, -92), point(42, 4, -84), 5.2, 4.6),  # splenic, behind the pancreas
        Segment(point(42, 4, -84), point(92, 30, -62), 4.6, 3.6),
        Segment((-17, -6, -98), point(40, 18, -96), 4.6, 4.2),  # left renal, in front of the aorta
        Segment(point(40, 18, -96), (60, 30, -92), 4.2, 4.4),
        Segment((-19, 2, -108), (-55, 32, -108), 5.0, 4.6),  # right renal
    ]
    arteries = [
        Segment((15, 4, -62), point(14, -10, -66), 3.4, 3.0),  # coeliac
        Segment(point(14, -10, -66), point(-20, -18, -74), 2.6, 1.8),
        Segment((15, 4, -74), point(13, -12, -95), 3.6, 3.4),  # superior mesenteric
        Segment(point(13, -12, -95), point(10, -20, -190), 3.4, 2.2),
        Segment((14, 8, -92), (60, 34, -90), 2.8, 2.2),
        Segment((12, 8, -96), (-58, 36, -106), 2.8, 2.2),
    ]
    for pieces, hu in ((veins, phase.portal), (arteries, phase.aorta)):
        for piece in pieces:
            box, distance = canvas.tube(np.array([piece.start, piece.end]), np.array([piece.start_radius, piece.end_radius]))
            canvas.fill(box, canvas.cover(distance), hu)
