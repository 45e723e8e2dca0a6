"""The liver: its outline under the dome, its parenchyma and its vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.cohort.phantom.body import Trunk
from overread.cohort.phantom.canvas import Box, Canvas
from overread.cohort.phantom.shapes import Point, common, ellipsoid, join, rotation, round_cone, without
from overread.cohort.phantom.vessels import Enhancement, Segment, paint_segments

LOW, HIGH = (-150.0, -112.0, -175.0), (92.0, 90.0, 25.0)


@dataclass(frozen=True)
class LiverShape:
    """How one patient's liver departs from the standard one, mm."""

    right_radii: Point
    left_centre: Point
    left_radii: Point
    tip: float  # how far the right lobe reaches down
    gallbladder: Point


def draw_liver_shape(random: np.random.Generator) -> LiverShape:
    return LiverShape(
        right_radii=tuple(np.array([74.0, 88.0, 84.0]) * random.normal(1, 0.035, 3)),
        left_centre=tuple(np.array([4.0, -58.0, -42.0]) + random.normal(0, 4, 3)),
        left_radii=tuple(np.array([70.0, 38.0, 33.0]) * random.normal(1, 0.09, 3)),
        tip=float(random.uniform(-8, 26)),
        gallbladder=tuple(np.array([-46.0, -52.0, -100.0]) + random.normal(0, 4, 3)),
    )


def liver_distance(canvas: Canvas, trunk: Trunk, shape: LiverShape) -> tuple[Box, np.ndarray]:
    """Signed distance of the liver in its box: lobes joined, cut by wall and dome, hollowed by its neighbours."""
    box = canvas.box(LOW, HIGH)
    at = canvas.coordinates(box)
    x, y, z = at
    right = ellipsoid(at, (-74, -6, -54), shape.right_radii)
    lower = ellipsoid(at, (-98, -6, -96), (40, 62, 54 + shape.tip), rotation(about_y=-8))
    left = ellipsoid(at, shape.left_centre, shape.left_radii, rotation(about_y=-14))
    caudate = ellipsoid(at, (-8, 2, -52), (19, 15, 30))
    liver = join(join(join(right, lower, 18), left, 22), caudate, 8)
    kidney_bed = ellipsoid(at, (-58, 54, -118), (46, 50, 68), rotation(about_x=-10))
    porta = ellipsoid(at, (2, 6, -112), (62, 64, 56))
    duodenum = ellipsoid(at, (-30, -50, -130), (44, 60, 48))
    bladder_bed = gallbladder_of(at, shape, 3.0)
    for hollow, seam in ((kidney_bed, 14), (porta, 20), (duodenum, 20), (bladder_bed, 5)):
        liver = without(liver, hollow, seam)
    ligament = np.abs(x + 18 + 0.10 * (y + 60)) - np.float32(1.0) - np.clip((-64 - z) / 16, 0, 2.5)
    fissure = np.maximum(ligament, np.maximum(y + 34, z + 50 + 0.5 * (y + 60)))
    liver = without(liver, fissure, 7)
    spine = np.sqrt((x - 6) ** 2 + (y - 46) ** 2) - 37
    liver = without(liver, spine, 8)
    liver = common(liver, 2.2 - trunk.cavity[box], 5)
    roof = (z - trunk.diaphragm[box] + 4.0) * np.float32(0.75)
    liver = common(liver, roof, 9)
    return box, liver + canvas.coarse[box] * np.float32(0.45)


def gallbladder_of(at: tuple[np.ndarray, np.ndarray, np.ndarray], shape: LiverShape, wall: float = 0.0) -> np.ndarray:
    x, y, z = shape.gallbladder
    return round_cone(at, (x, y - 8, z - 16), (x + 9, y + 24, z + 16), 15 + wall, 5 + wall)


def paint_liver(
    canvas: Canvas,
    trunk: Trunk,
    shape: LiverShape,
    trees: tuple[list[Segment], list[Segment]],
    parenchyma_hu: float,
    phase: Enhancement,
    value: int,
) -> tuple[Box, np.ndarray]:
    """Paint parenchyma and vessels; returns the box and the signed distance, for lesions to keep inside."""
    box, distance = liver_distance(canvas, trunk, shape)
    coverage = canvas.cover(distance)
    left = canvas.fill(box, coverage, parenchyma_hu + canvas.texture(box, 2.6, 3.2), value)
    inside = np.zeros(canvas.shape, np.float32)
    inside[box] = left * np.clip((-distance - 4) / 6, 0, 1)
    portal, hepatic = trees
    paint_segments(canvas, hepatic, phase.hepatic, inside, faint=0.85)
    paint_segments(canvas, portal[3:], phase.portal, inside, faint=0.9)
    hilum = np.maximum(inside, (canvas.free > 0.02).astype(np.float32))
    paint_segments(canvas, portal[:3], phase.portal, hilum)
    return box, distance
