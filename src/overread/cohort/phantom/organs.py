"""Spleen, kidneys, adrenals, pancreas, gallbladder, heart and lungs."""

from __future__ import annotations

import numpy as np

from overread.cohort.phantom.body import MUSCLE, Trunk
from overread.cohort.phantom.canvas import FAT, Canvas
from overread.cohort.phantom.liver import LiverShape, gallbladder_of
from overread.cohort.phantom.shapes import Coordinates, Point, common, ellipsoid, join, rotation, without
from overread.cohort.phantom.vessels import Enhancement, Segment, paint_segments


def paint_spleen(canvas: Canvas, trunk: Trunk, size: float, phase: Enhancement, value: int) -> None:
    """A crescent that follows the wall: an ellipsoid in depth below the wall, way around it, and height."""
    box = canvas.box((40, -62, -118), (148, 90, 6))
    x, y, z = canvas.coordinates(box)
    depth = trunk.cavity[box]
    around = np.arctan2(y + 6, x * np.float32(0.74)) * 100  # mm along the wall from straight left
    tilt = (z + 52) + 0.25 * (around - 42)
    lobes = 0.09 * np.sin(around / 13) * np.clip(-tilt / 20, 0, 1)
    norm = np.sqrt(((depth - 24) / (21 * size)) ** 2 + ((around - 46) / (54 * size)) ** 2 + (tilt / (50 * size)) ** 2)
    distance = (norm - 1 - lobes) * 21
    distance = common(distance, 3.5 - depth, 5)
    distance = common(distance, (z - trunk.diaphragm[box] + 4.5) * np.float32(0.75), 8)
    canvas.fill(box, canvas.cover(distance), phase.spleen + canvas.texture(box, 2, 3), value)


def paint_kidneys(canvas: Canvas, centres: tuple[Point, Point], size: float, phase: Enhancement, values: tuple[int, int]) -> None:
    """Both kidneys: cortex, pyramids around a fatty sinus, and a renal pelvis."""
    for side, centre, value in zip((-1, 1), centres, values, strict=True):
        box = canvas.box(np.subtract(centre, (48, 48, 68)), np.add(centre, (48, 48, 68)))
        at = canvas.coordinates(box)
        turn = rotation(about_y=side * 14, about_z=side * 32, about_x=-12)
        outline = ellipsoid(at, centre, (27 * size, 32 * size, 56 * size), turn)
        inward = (centre[0] - side * 21, centre[1] - 14, centre[2])
        sinus = ellipsoid(at, inward, (22, 17, 29), rotation(about_y=side * 14))
        sinus = sinus + canvas.fine[box] * 1.6
        kidney = without(outline, sinus, 5)
        pyramids = _pyramids(at, centre, turn, size)
        deep = np.clip((-outline - 7.5) / 2, 0, 1) * pyramids
        hu = phase.cortex - deep * (phase.cortex - phase.medulla) + canvas.texture(box, 2, 4)
        canvas.fill(box, canvas.cover(kidney), hu, value)
        pelvis = ellipsoid(at, (centre[0] - side * 15, centre[1] - 10, centre[2] - 4), (9, 7, 15))
        canvas.fill(box, canvas.cover(np.maximum(pelvis, outline)), 14.0)
        rim = np.abs(outline - 13 - canvas.coarse[box] * 2) - 0.4  # Gerota's fascia, a hint
        canvas.hu[box] += canvas.cover(rim, 2.5) * 0.3 * canvas.free[box] * (10 - canvas.hu[box])


def _pyramids(at: Coordinates, centre: Point, turn: np.ndarray, size: float) -> np.ndarray:
    offset = [a - np.float32(c) for a, c in zip(at, centre, strict=True)]
    own = [sum(np.float32(row[k]) * offset[k] for k in range(3)) for row in turn]
    polar = np.arctan2(own[2] / np.float32(1.75 * size), own[0] + own[1] * np.float32(0.3))
    return np.clip(0.5 + 1.4 * np.cos(polar * 9) * np.cos(own[1] / np.float32(9.5)), 0, 1)


def paint_small_organs(
    canvas: Canvas, shape: LiverShape, random: np.random.Generator, phase: Enhancement, values: dict[str, int]
) -> None:
    """Gallbladder, pancreas, and the adrenals as thin limbs."""
    x, y, z = shape.gallbladder
    box = canvas.box((x - 24, y - 34, z - 36), (x + 28, y + 36, z + 26))
    sac = gallbladder_of(canvas.coordinates(box), shape)
    wall = np.clip((sac + 1.6) / 1.2, 0, 1)
    canvas.fill(box, canvas.cover(sac), 8 + wall * 60, values["gallbladder"])
    course = [(-28, -12, -118), (-22, -18, -104), (-4, -24, -95), (18, -22, -90), (40, -10, -82), (62, 6, -74), (84, 22, -66)]
    points = np.array(course, float) + random.normal(0, 2.5, (7, 3))
    box, distance = canvas.tube(points, np.array([13, 12.5, 9.5, 9, 9.5, 9.5, 8.0]))
    lobules = np.maximum(canvas.fine[box] - 0.5, 0)
    canvas.fill(
        box, canvas.cover(distance + 2.6 * lobules), phase.pancreas - 28 * lobules + canvas.coarse[box] * 3, values["pancreas"]
    )
    for side, (cx, cy, cz) in ((-1, (-30, 18, -40)), (1, (36, 16, -46))):
        for lean in (-5.0, 7.0):
            limb = np.array([(cx, cy - 8, cz + 2), (cx + side * 3 + lean, cy + 12, cz - 10)], float)
            box, distance = canvas.tube(limb, np.array([2.6, 1.9]))
            canvas.fill(box, canvas.cover(distance), 88.0)


def paint_chest_base(canvas: Canvas, trunk: Trunk, vessels: list[Segment], phase: Enhancement, value: int) -> None:
    """Heart on the diaphragm, oesophagus, lung bases with their vessels, and the muscle of the diaphragm itself."""
    box = canvas.box((-150, -112, -130), (150, 95, 100))
    x, y, z = canvas.coordinates(box)
    above = (trunk.diaphragm[box] + 2.5 - z) * np.float32(0.75)
    heart = ellipsoid((x, y, z), (20, -46, 22), (60, 44, 50), rotation(about_z=-24, about_y=14))
    pericardium = np.maximum(heart - 6, above + 1.5)
    canvas.fill(box, canvas.cover(np.maximum(heart, above + 3)), _heart_hu(heart, (x, y, z), phase) + canvas.fine[box] * 3)
    canvas.fill(box, canvas.cover(np.maximum(pericardium, 3 - trunk.cavity[box])), FAT)
    oesophagus = np.sqrt(((x - 4) / 10) ** 2 + ((y - 4) / 7) ** 2) * 8 - 8
    canvas.fill(box, canvas.cover(np.maximum(oesophagus, above)), 55.0)
    middle = join(np.abs(x - 6) - 26 + 0.15 * np.maximum(-y, 0), ellipsoid((x, y, z), (6, 44, 20), (36, 34, 140)), 10)
    lung = np.maximum(common(1.6 - trunk.cavity[box], above, 6), -middle)
    gravity = -868 + 0.45 * (y + 40)
    left = canvas.fill(box, canvas.cover(lung), gravity + canvas.texture(box, 9, 14), value)
    airy = np.zeros(canvas.shape, np.float32)
    airy[box] = left
    paint_segments(canvas, vessels, 40.0, airy)
    sheet = np.abs(z - trunk.diaphragm[box]) * np.float32(0.75) - 1.7
    canvas.fill(box, canvas.cover(np.maximum(sheet, 0.5 - trunk.cavity[box])), MUSCLE)


def _heart_hu(heart: np.ndarray, at: Coordinates, phase: Enhancement) -> np.ndarray:
    left = ellipsoid(at, (36, -50, 24), (30, 24, 40), rotation(about_z=-24))
    right = ellipsoid(at, (0, -58, 22), (30, 24, 36))
    chambers = np.clip(0.5 - np.minimum(left, right) / 4, 0, 1)
    return 105 + chambers * (phase.aorta - 108)
