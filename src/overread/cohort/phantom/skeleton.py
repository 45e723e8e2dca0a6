"""The bones of the thorax, as a chest film projects them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.cohort.phantom.canvas import Box, Canvas
from overread.cohort.phantom.fields import smooth_course
from overread.cohort.phantom.shapes import common, ellipsoid, rotation

HEIGHTS = (-260.0, -150.0, -60.0, 20.0, 75.0, 115.0, 140.0, 160.0, 176.0)
LUNG_WIDTH = (140.0, 139.0, 134.0, 122.0, 104.0, 84.0, 62.0, 34.0, 4.0)
LUNG_DEPTH = (96.0, 98.0, 96.0, 90.0, 78.0, 64.0, 50.0, 30.0, 4.0)
BONE_EDGE, BONE_CORE = 820.0, 210.0


@dataclass(frozen=True)
class Bones:
    """How one person's skeleton differs from another's: without it all films would share one pattern of ribs.

    first        mm that the first rib lies higher
    pitch        distance between ribs, 1 is usual
    fall         how steeply ribs fall to the front, 1 is usual
    width        of ribs, 1 is usual
    unevenness   (11,) mm of each rib by itself
    vertebrae    mm between vertebral bodies, and where the first one begins
    shoulders    mm that the outer ends of the clavicles lie higher
    """

    first: float
    pitch: float
    fall: float
    width: float
    unevenness: tuple[float, ...]
    vertebrae: tuple[float, float]
    shoulders: float


def draw_bones(random: np.random.Generator) -> Bones:
    return Bones(
        first=float(random.normal(0, 8)),
        pitch=float(np.clip(random.normal(1, 0.06), 0.86, 1.14)),
        fall=float(np.clip(random.normal(1, 0.25), 0.5, 1.6)),
        width=float(np.clip(random.normal(1, 0.13), 0.7, 1.35)),
        unevenness=tuple(random.normal(0, 2.2, 11).tolist()),
        vertebrae=(float(random.normal(25, 1.2)), float(random.uniform(0, 25))),
        shoulders=float(random.normal(0, 9)),
    )


def paint_skeleton(canvas: Canvas, bones: Bones) -> None:
    """Spine, ribs, clavicles, upper arms, shoulder blades and sternum."""
    _paint_column(canvas, bones)
    for side in (-1, 1):
        for number in range(1, 12):
            _paint_rib(canvas, side, number, bones)
        up = bones.shoulders * np.array([0.0, 0.3, 0.8, 1.0])
        clavicle = np.array([(side * 17.0, -58, 98), (side * 52, -52, 116), (side * 100, -18, 136), (side * 152, 6, 144)])
        clavicle[:, 2] += up
        course, radii = smooth_course(clavicle, np.array([8.5, 6, 5.5, 7]), 10)
        _bone(canvas, course, radii, 1.0)
        _bone(canvas, np.array([(side * 178.0, 10, 140), (side * 196, 12, 60)]), np.array([24.0, 14]), 0.7)
        box = canvas.box((min(side * 120, side * 175), 50, 10), (max(side * 120, side * 175), 100, 150))
        blade = ellipsoid(
            canvas.coordinates(box), (side * 146, 74, 82), (24, 5, 62), rotation(about_z=side * -50, about_y=side * 8)
        )
        canvas.paint(box, canvas.cover(blade) * 0.7, 260.0)
    box = canvas.box((-22, -98, -60), (22, -66, 110))
    x, y, z = canvas.coordinates(box)
    plate = np.maximum(np.maximum(np.abs(x) - 15, np.abs(y + 84 + 0.08 * (60 - z)) - 5), np.abs(z - 30) - 78)
    canvas.paint(box, canvas.cover(plate), 180.0)


def _paint_column(canvas: Canvas, bones: Bones) -> None:
    """Vertebral bodies, discs, pedicles and spinous processes."""
    box: Box = canvas.box((-34, 44, -260), (34, 112, 240))
    x, y, z = canvas.coordinates(box)
    pitch, begin = bones.vertebrae
    phase = (np.mod(z + 260 + begin, pitch) / pitch - 0.5) * 25
    body = (np.sqrt((x / 17) ** 2 + ((y - 66) / 16) ** 2) - 1) * 16
    end_plate = np.abs(phase) - 9.6
    bone = common(body, end_plate, 3)
    canvas.paint(box, canvas.cover(body), 70.0)
    canvas.paint(box, canvas.cover(bone), 100 + np.clip((bone + 2) / 1.5, 0, 1) * 190)
    arch = np.maximum(np.abs(np.hypot(np.abs(x) - 13, phase + 2) - 4.2) - 1.6, np.abs(y - 84) - 9)
    spike = np.maximum(np.hypot(x / 4, (phase + 6) / 6.5) * 4 - 4, np.abs(y - 98) - 12)
    across = np.maximum(np.abs(phase - 1) - 3.2, np.maximum(np.abs(x) - 30, np.abs(y - 88) - 3.5))
    for shape, hu in ((arch, 430.0), (spike, 300.0), (across, 250.0)):
        canvas.paint(box, canvas.cover(shape), hu)


def _paint_rib(canvas: Canvas, side: int, number: int, bones: Bones) -> None:
    """A rib from the spine around the cage, falling towards the front."""
    start = 158 + bones.first - 25.5 * bones.pitch * (number - 1) + bones.unevenness[number - 1]
    last = {1: 2.55, 11: 1.6, 10: 1.95}.get(number, 2.35)
    angle = np.linspace(0.22, last, 20)
    fall = (1 - np.cos(angle)) / 2 * (52 + 9 * min(number, 7)) * bones.fall - 7 * np.sin(np.minimum(angle * 2, np.pi))
    height = start - fall
    level = height + 14  # the cage bulges a little above the rib it carries
    wide = np.interp(level, HEIGHTS, LUNG_WIDTH) + 6
    deep = np.interp(level, HEIGHTS, LUNG_DEPTH) + 5
    wide, deep = np.maximum(wide, 46), np.maximum(deep, 42)
    points = np.stack([side * wide * np.sin(angle), deep * np.cos(angle), height], -1)
    _bone(canvas, points, np.linspace(4.6, 5.6, len(points)) * bones.width, 0.9)


def _bone(canvas: Canvas, points: np.ndarray, radii: np.ndarray, density: float) -> None:
    """A long bone: dense shell, spongy inside."""
    box, distance = canvas.tube(points, radii)
    if distance.size:
        shell = np.clip((distance + 2.0) / 1.2, 0, 1)
        canvas.paint(box, canvas.cover(distance), (BONE_CORE + shell * (BONE_EDGE - BONE_CORE)) * density)
