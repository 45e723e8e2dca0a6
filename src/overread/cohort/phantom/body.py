"""The trunk of the standard patient: skin, fat, muscle wall, diaphragm, spine, ribs and the table underneath."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.cohort.phantom.canvas import FAT, Box, Canvas
from overread.cohort.phantom.shapes import Coordinates, Point, common, ellipsoid, join, round_cone

VERTEBRAE = ((63, 28), (35, 29), (7, 30), (-22, 31), (-53, 33), (-87, 34), (-121, 35), (-156, 35), (-191, 35), (-226, 35))
MUSCLE = 60.0
WALL_CENTRE_Y = -8.0
RIB_REACH = np.array([0.25, -0.3, -0.6, -0.72, -0.72, -0.72, -0.72], np.float32)  # ribs 12 to 6: 1 is the back, -1 the front


@dataclass(frozen=True)
class Habitus:
    """What differs from body to body.

    fat  0 slim to 1 obese;  waist  narrowing below the ribs, 0.05 or so;  bone_hu  cancellous bone
    dome_right, dome_left  (x, y, z) mm of the tops of the diaphragm;  aorta_wall  calcified plaque, 0 to 1
    """

    fat: float
    waist: float
    bone_hu: float
    dome_right: Point
    dome_left: Point
    aorta_wall: float

    def subcutaneous_mm(self) -> float:
        return 5.0 + 26.0 * self.fat


class Trunk:
    """Depths below the three surfaces of the wall, (Z, Y, X) mm, positive inside: skin, muscle, cavity; and the diaphragm."""

    def __init__(self, canvas: Canvas, habitus: Habitus) -> None:
        self.habitus = habitus
        self.skin, self.muscle, self.cavity, self.diaphragm = (np.empty(canvas.shape, np.float32) for _ in range(4))
        for slab in canvas.slabs():
            self._measure(slab, *canvas.coordinates(slab))

    def _measure(self, slab: Box, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> None:
        fat = np.float32(self.habitus.subcutaneous_mm())
        narrow = 1 - self.habitus.waist * np.exp(-(((z + 140) / 60) ** 2)) - np.float32(0.0009) * np.maximum(z + 30, 0)
        low, flank = np.clip((-90 - z) / 80, -0.4, 1), np.abs(x) * y / (np.abs(x * y) + 4000) * np.sign(y)
        groove = 6 * np.exp(-((x / 18) ** 2)) * (y > 0)
        uneven = fat * (np.float32(0.22) * low + np.float32(0.3) * flank * np.clip(y / 50, -0.5, 1))
        self.skin[slab] = _depth(x, y, narrow, 150 + float(fat), 107 + float(fat), 0.05) + uneven - groove
        self.muscle[slab] = _depth(x, y, narrow, 150, 107, 0.07)
        cavity = _depth(x, y, narrow, 138, 96, 0.06)
        self.cavity[slab] = -common(-cavity, -_beside_back(x, y), 10)
        self.diaphragm[slab] = _dome(x, y, self.habitus)


def _depth(x: np.ndarray, y: np.ndarray, narrow: np.ndarray, half_width: float, half_depth: float, square: float) -> np.ndarray:
    """Depth along the ray to the midline, below an ellipse made a little square; mm."""
    u, v = (x / (narrow * np.float32(half_width))) ** 2, ((y - np.float32(WALL_CENTRE_Y)) / np.float32(half_depth)) ** 2
    total = np.maximum(u + v, np.float32(1e-4))
    ratio = np.sqrt(total) * (1 - np.float32(4 * square) * u * v / (total * total))
    ray = np.sqrt(x * x + (y - np.float32(WALL_CENTRE_Y)) ** 2)
    return ray * (1 / np.maximum(ratio, np.float32(1e-3)) - 1)


def _beside_back(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance in front of the back muscles and the processes of the spine, which indent the cavity from behind; mm."""
    erector = np.sqrt(((np.abs(x) - 30) / 34) ** 2 + ((y - 86) / 25) ** 2)
    return (erector - 1) * np.float32(26)


def _dome(x: np.ndarray, y: np.ndarray, habitus: Habitus) -> np.ndarray:
    """Height of the diaphragm above each point, mm: two domes with the central tendon between."""
    heights = []
    for (cx, cy, top), reach in ((habitus.dome_right, 104.0), (habitus.dome_left, 96.0)):
        square = ((x - np.float32(cx)) / np.float32(reach)) ** 2 + ((y - np.float32(cy)) / 98) ** 2
        heights.append(np.float32(top) - 90 * square ** np.float32(1.25))
    return -join(-heights[0], -heights[1], 14)


def paint_trunk(canvas: Canvas, trunk: Trunk) -> None:
    """Skin, subcutaneous fat, the muscles of wall and back, and the fat that fills the cavity."""
    for slab in canvas.slabs():
        hu, fine, coarse = canvas.hu[slab], canvas.fine[slab], canvas.coarse[slab]
        skin, muscle, cavity = trunk.skin[slab], trunk.muscle[slab], trunk.cavity[slab]
        septa = np.maximum(fine - 1.4, 0) * 9
        hu += canvas.cover(-skin) * (FAT + 1000 + coarse * 3 + septa)
        hu += canvas.cover(-skin) * canvas.cover(skin - 2) * (20 - hu)
        planes = _fat_planes(*canvas.coordinates(slab), muscle, cavity, coarse)
        hu += canvas.cover(-muscle) * (MUSCLE + canvas.texture(slab, 2.5, 5) - planes - hu)
        strands = np.maximum(fine - 1.1, 0) * 30
        hu += canvas.cover(-cavity) * (FAT + 2 + coarse * 4 + strands - hu)
    _paint_back(canvas)


def _fat_planes(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, muscle: np.ndarray, cavity: np.ndarray, uneven: np.ndarray
) -> np.ndarray:
    """How much darker the thin fat between the muscle layers of the flank makes the wall, HU."""
    depth = muscle / np.maximum(muscle - cavity, 1)
    below_ribs = np.clip((-70 - z - 0.4 * y) / 30, 0, 1)
    inner = np.exp(-(((depth - 0.67) / 0.06) ** 2)) * below_ribs
    planes = np.exp(-(((depth - 0.36 + uneven * 0.03) / 0.07) ** 2)) * np.clip(0.75 + 0.5 * uneven, 0, 1.2) + inner
    flank = np.clip((np.abs(x) - 66) / 12, 0, 1)
    midline = np.exp(-((x / 3.5) ** 2)) * (y < 0)
    edge = np.exp(-(((np.abs(x) - 64) / 4) ** 2)) * (y < -40)
    return 85 * planes * flank + 110 * midline + 90 * edge


def _paint_back(canvas: Canvas) -> None:
    """Erector, quadratus and psoas muscles beside the spine."""
    for side in (-1, 1):
        box = canvas.box((min(side * 4, side * 78), 48, -260), (max(side * 4, side * 78), 104, 90))
        x, y, z = canvas.coordinates(box)
        flat = (((x - side * 31) / 29) ** 2 + ((y - 83) / 20) ** 2) ** 0.5
        fatty = np.maximum(canvas.fine[box] + 0.4 * canvas.coarse[box] - 0.9, 0) * 45
        canvas.paint(box, canvas.cover((flat - 1) * 20), MUSCLE - fatty)
        lumbar = np.clip((-40 - z) / 30, 0, 1)
        flat = (((x - side * 58) / 14) ** 2 + ((y - 70) / 7) ** 2) ** 0.5
        canvas.paint(box, canvas.cover((flat - lumbar) * 8 + 9 * (lumbar <= 0)), MUSCLE)
        box = canvas.box((min(side * 8, side * 62), 0, -260), (max(side * 8, side * 62), 70, -20))
        x, y, z = canvas.coordinates(box)
        size = np.clip((-25 - z) / 150, 0, 1) ** 0.7
        flat = (((x - side * (26 + 12 * size)) / (16 * size + 0.5)) ** 2 + ((y - 36) / (23 * size + 0.5)) ** 2) ** 0.5
        canvas.paint(box, canvas.cover((flat - 1) * 15 * size + 9 * (size <= 0)), MUSCLE + canvas.texture(box, 2, 4))


def spine_y(z: float | np.ndarray) -> float | np.ndarray:
    """Where the centre of the vertebral bodies stands: the lumbar spine comes forward."""
    return 40 + 0.115 * (z + 20)


def paint_spine(canvas: Canvas, habitus: Habitus, value: int) -> None:
    """Vertebral bodies with cortical and cancellous bone, discs, canal and processes."""
    for centre_z, pitch in VERTEBRAE:
        half = (pitch - 7) / 2
        box = canvas.box((-44, 12, centre_z - pitch / 2 - 14), (44, 112, centre_z + pitch / 2))
        if any(s.stop <= s.start for s in box):
            continue
        bone = _vertebra(canvas.coordinates(box), float(centre_z), half, float(spine_y(centre_z)))
        _paint_disc(canvas, box, float(centre_z) - pitch / 2)
        arch = np.clip((canvas.at[1][box] - np.float32(spine_y(centre_z) + 16)) / 6, 0, 1)
        marrow = habitus.bone_hu + canvas.texture(box, 14, 26) + 170 * arch
        cortex = np.clip((bone + 2.4) / 1.2, 0, 1)
        canvas.paint(box, canvas.cover(bone), marrow + cortex * (520 - marrow), value)
    box = canvas.box((-14, 40, -260), (14, 90, 90))
    x, y, z = canvas.coordinates(box)
    canal = ((x / 11) ** 2 + ((y - spine_y(z) - 27) / 9) ** 2) ** 0.5
    canvas.paint(box, canvas.cover((canal - 1) * 9), np.where(canal < 0.78, 28.0, -60.0).astype(np.float32))


def _vertebra(at: Coordinates, z0: float, half: float, y0: float) -> np.ndarray:
    x, y, z = at
    waist = 1 - 0.1 * np.clip(1 - np.abs(z - z0) / half, 0, 1)
    plane = (np.sqrt((x / (23.5 * waist)) ** 2 + ((y - y0) / (17 * waist)) ** 2) - 1) * 19
    plane = common(plane, y - np.float32(y0 + 14.5), 4)
    bone = common(plane, np.abs(z - np.float32(z0)) - np.float32(half), 3)
    for side in (-1, 1):
        bone = join(bone, round_cone(at, (side * 13, y0 + 12, z0 + 4), (side * 15.5, y0 + 27, z0 + 3), 4.5, 4.5), 3)
        bone = join(bone, round_cone(at, (side * 15.5, y0 + 29, z0 + 2), (side * 39, y0 + 36, z0 + 3), 4.6, 3.2), 2)
        bone = join(bone, round_cone(at, (side * 15, y0 + 31, z0 - 2), (0, y0 + 41, z0 - 8), 4.2, 4.2), 2)
        bone = join(bone, ellipsoid(at, (side * 17, y0 + 33, z0 - 13), (6, 7, 11)), 2)
    return join(bone, ellipsoid(at, (0, y0 + 52, z0 - 11), (3.6, 17, 9)), 3)


def _paint_disc(canvas: Canvas, box: Box, z0: float) -> None:
    x, y, z = canvas.coordinates(box)
    plane = (np.sqrt((x / 24) ** 2 + ((y - float(spine_y(z0))) / 17.5) ** 2) - 1) * 19
    canvas.paint(box, canvas.cover(common(plane, np.abs(z - np.float32(z0)) - 5, 3)), 88.0)


def paint_ribs(canvas: Canvas, trunk: Trunk) -> None:
    """Ribs 12 upwards in the wall, each sloping down from back to front, ending in cartilage."""
    for slab in canvas.slabs():
        x, y, z = canvas.coordinates(slab)
        if float(z.max()) < -140:
            continue
        across, deep = x * np.float32(107 / 150), y - np.float32(WALL_CENTRE_Y)
        towards_back = deep / np.sqrt(across * across + deep * deep + 1)
        height = z + 118 * (1 - towards_back) / 2 + 10
        number = np.clip(np.rint(height / 27), 0, 6)
        section = np.sqrt(((trunk.cavity[slab] + 5.6) / 4.0) ** 2 + ((height - number * 27) / 6.4) ** 2)
        round_bone = np.maximum((section - 1) * 4.6, (towards_back - 0.965) * 90)
        end = (RIB_REACH[number.astype(np.int8)] - towards_back) * 90
        distance = common(round_bone, end, 3)
        shell = np.clip((distance + 2.2) / 1.2, 0, 1)
        hu = canvas.hu[slab]
        hu += canvas.cover(distance) * (230 + shell * 380 - hu)
        cartilage = canvas.cover(np.maximum(round_bone, -end)) * (number >= 2) * canvas.cover((-0.94 - towards_back) * 60)
        hu += cartilage * (115 + canvas.fine[slab] * 15 - hu)


def paint_table(canvas: Canvas, trunk: Trunk, world_y: np.ndarray, world_x: np.ndarray) -> None:
    """The couch under the patient: a thin curved shell with foam inside; it does not turn with the patient.

    world_y (1, Y, 1) and world_x (1, 1, X) LPS mm
    """
    covered = (trunk.skin > 0).any(axis=(0, 2))
    back = float(world_y.ravel()[np.flatnonzero(covered)[-1]]) if covered.any() else 120.0
    top = back + 2 - 0.00042 * world_x**2
    depth = world_y - top
    across = np.clip((205 - np.abs(world_x)) / 4, 0, 1)
    soft = canvas.soft_mm
    slab = np.clip(0.5 + depth / soft, 0, 1) * np.clip(0.5 + (26 - depth) / soft, 0, 1) * across
    foam = np.clip(0.5 + (depth - 2.5) / soft, 0, 1) * np.clip(0.5 + (23.5 - depth) / soft, 0, 1) * across
    table = (slab * 900 - foam * 830).astype(np.float32)
    for part in canvas.slabs():
        canvas.hu[part] += (1 - canvas.cover(-trunk.skin[part])) * table
