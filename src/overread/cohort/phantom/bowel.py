"""Stomach, duodenum, small bowel and colon, with fluid, gas that rises, and stool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.cohort.phantom.body import Trunk
from overread.cohort.phantom.canvas import Box, Canvas
from overread.cohort.phantom.fields import smooth_course
from overread.cohort.phantom.shapes import common

STOMACH = (
    (66, 14, -34),
    (68, 4, -40),
    (60, -24, -58),
    (50, -50, -82),
    (30, -62, -106),
    (8, -58, -112),
    (-14, -48, -104),
    (-28, -40, -102),
)
STOMACH_RADII = (26, 30, 28, 25, 21, 16, 11, 8)
DUODENUM = (
    (-28, -40, -102),
    (-40, -24, -104),
    (-46, -10, -122),
    (-42, -4, -146),
    (-20, -6, -160),
    (10, -6, -158),
    (36, -14, -140),
)
ASCENDING = ((-92, 18, -262), (-98, 16, -220), (-100, 12, -185), (-98, 2, -158), (-86, -30, -146))
TRANSVERSE = (
    (-86, -30, -146),
    (-62, -66, -160),
    (-24, -80, -172),
    (20, -82, -172),
    (60, -72, -152),
    (92, -40, -112),
    (108, -12, -88),
)
DESCENDING = ((108, -12, -88), (114, 8, -106), (112, 20, -140), (108, 22, -180), (104, 18, -222), (98, 12, -262))


@dataclass(frozen=True)
class Fill:
    """What a patient had eaten: share of gas, 0 to 1, and HU of the fluid."""

    stomach_gas: float
    stomach_size: float
    fluid_hu: float
    colon_gas: float


def _content(canvas: Canvas, box: Box, lumen: np.ndarray, gas: float, fluid: np.ndarray | float) -> np.ndarray:
    """Fluid below, gas above a level that is horizontal in the room, not in the patient."""
    share = canvas.cover(lumen)
    world_y = canvas.origin[1] + canvas.spacing[1] * np.arange(box[1].start, box[1].stop, dtype=np.float32)
    weight = share.sum(axis=(0, 2))
    if gas <= 0 or weight.sum() < 1:
        return np.broadcast_to(np.asarray(fluid, np.float32), lumen.shape)
    level = float(world_y[np.searchsorted(np.cumsum(weight), gas * weight.sum()).clip(0, len(world_y) - 1)])
    gaseous = np.clip(0.5 + (level - world_y) / canvas.spacing[1], 0, 1)[None, :, None]
    return fluid + gaseous * (-985 - fluid)


def paint_stomach(canvas: Canvas, trunk: Trunk, random: np.random.Generator, fill: Fill, value: int) -> None:
    """The stomach under the left dome, from the fundus to the pylorus."""
    points = np.array(STOMACH, float) + random.normal(0, 3.5, (len(STOMACH), 3))
    points, radii = smooth_course(points, np.array(STOMACH_RADII, float) * fill.stomach_size, 9)
    box, distance = canvas.tube(points, radii)
    distance = common(distance + canvas.coarse[box] * 0.8, (canvas.at[2][box] - trunk.diaphragm[box] + 4.5) * np.float32(0.75), 8)
    lumen = distance + 4.0 + np.clip(canvas.fine[box], -1, 1.5) * 1.1  # folds
    food = fill.fluid_hu + np.maximum(canvas.coarse[box], 0) * 14
    inner = canvas.cover(lumen)
    hu = 84 + inner * (_content(canvas, box, lumen, fill.stomach_gas, food) - 84)
    canvas.fill(box, canvas.cover(distance), hu, value)


def paint_duodenum(canvas: Canvas, random: np.random.Generator) -> None:
    points = np.array(DUODENUM, float) + random.normal(0, 2.5, (len(DUODENUM), 3))
    points, radii = smooth_course(points, np.full(len(DUODENUM), 10.5), 8)
    box, distance = canvas.tube(points, radii)
    hu = 88 + canvas.cover(distance + 3) * (22 + canvas.fine[box] * 8 - 88)
    canvas.fill(box, canvas.cover(distance), hu)


def paint_small_bowel(canvas: Canvas, random: np.random.Generator) -> None:
    """Loops that fill the middle of the lower abdomen; each keeps to itself, so that they mould to each other."""
    for _ in range(34):
        centre = np.array([random.uniform(-62, 74), random.uniform(-66, -8), random.uniform(-250, -122)])
        if centre[0] > 15 and random.random() < 0.4:
            centre[2] = random.uniform(-150, -100)  # jejunum, high on the left
        heading, points = random.normal(size=3) * (1, 1, 0.7), [centre]
        for _ in range(9):
            heading = 0.55 * heading / np.linalg.norm(heading) + random.normal(0, 0.55, 3)
            ahead = points[-1] + 13 * heading / np.linalg.norm(heading)
            points.append(np.clip(ahead, (-74, -82, -268), (84, 4, -98)))
        course, radii = smooth_course(np.array(points), random.uniform(8, 12.5) * random.uniform(0.9, 1.1, len(points)), 7)
        box, distance = canvas.tube(course, radii)
        lumen = distance + 2.6 + np.clip(canvas.fine[box], 0, 1.5) * 1.2
        gas = random.uniform(0.1, 0.45) if random.random() < 0.2 else 0.0
        content = _content(canvas, box, lumen, gas, np.float32(random.uniform(12, 34)) + canvas.fine[box] * 7)
        canvas.fill(box, canvas.cover(distance), 96 + canvas.cover(lumen) * (content - 96))


def paint_colon(canvas: Canvas, random: np.random.Generator, fill: Fill) -> None:
    """Ascending, transverse and descending colon with haustra, stool on the right and gas in front."""
    sag = np.array([0, 0, random.uniform(-22, 12)])
    parts = ((ASCENDING, 21.0, 0.15, True), (TRANSVERSE, 17.0, 0.6, False), (DESCENDING, 13.0, 0.25, True))
    for course, width, gas, stool in parts:
        points = np.array(course, float)
        points[1:-1] += random.normal(0, 3, (len(points) - 2, 3)) + (sag if course is TRANSVERSE else 0)
        points, radii = smooth_course(points, np.full(len(points), width), 6)
        along = np.arange(len(radii)) * 6.0
        radii = radii * (1 + 0.16 * np.sin(along / 4.6 + random.uniform(0, 6)))
        box, distance = canvas.tube(points, radii)
        lumen = distance + 2.2
        content: np.ndarray = np.full(lumen.shape, 24, np.float32)
        if stool:
            mottled = canvas.fine[box] + 0.5 * canvas.coarse[box]
            content = 48 + mottled * 22 - 620 * np.clip((mottled - 1.0) * 1.6, 0, 1)
        share = float(np.clip(gas + fill.colon_gas + random.normal(0, 0.08), 0, 0.95))
        content = _content(canvas, box, lumen, share, content)
        canvas.fill(box, canvas.cover(distance), 78 + canvas.cover(lumen) * (content - 78))
