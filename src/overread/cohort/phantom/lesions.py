"""Liver lesions and what is mistaken for them.

Appearances in the portal venous phase follow the usual descriptions: metastases are hypodense, often with a
rim; cysts are water and sharp; haemangiomas fill from nodules at their edge with the density of blood;
perfusion differences are geographic, touch the capsule and do not displace vessels; granulomas calcify.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overread.cohort.phantom.canvas import Box, Canvas, Layer
from overread.cohort.phantom.shapes import Point, ellipsoid, rotation

CLASSES = ("metastasis", "cyst", "haemangioma", "calcification", "perfusion")
MASSES = CLASSES[:3]
STYLES = ("plain", "rim", "necrotic", "target")


@dataclass(frozen=True)
class Lesion:
    """One lesion of one patient at one exam; mm and HU, in the standard patient.

    contrast  HU below the parenchyma (metastasis), or above it (perfusion; negative is focal fat)
    style     of a metastasis: plain, rim (brighter edge), necrotic (cystic centre), target (bright centre)
    hub       centre of the cluster that it is part of, which grows and shrinks as a whole; None for one that stands alone
    """

    kind: str
    centre: Point
    diameter: float
    stretch: Point
    turn: np.ndarray
    contrast: float
    style: str
    edge_mm: float
    seed: int
    hub: Point | None = None

    def grown(self, factor: float) -> Lesion:
        diameter = float(np.clip(self.diameter * factor, 5.0, 50.0))
        if self.hub is None:
            return replace(self, diameter=diameter)
        x, y, z = (h + factor * (c - h) for c, h in zip(self.centre, self.hub, strict=True))
        return replace(self, diameter=diameter, centre=(x, y, z))


def draw_lesions(
    random: np.random.Generator, burden: str, places: np.ndarray, depths: np.ndarray, keep_off: np.ndarray
) -> list[Lesion]:
    """The lesions of one patient at the first exam.

    places    (N, 3) mm, points of the standard liver;  depths (N,) mm below the capsule
    keep_off  (M, 3) mm, points of the great vessels at the hilum
    """
    lesions: list[Lesion] = []
    for kind in _kinds(random, burden):
        diameter = _diameter(random, kind)
        while (place := _place(random, kind, diameter, places, depths, keep_off, lesions)) is None and diameter > 4:
            diameter *= 0.7  # a crowded liver has room for a smaller one
        if place is not None:
            lesions.append(draw_lesion(random, kind, place, diameter))
    return lesions


def _kinds(random: np.random.Generator, burden: str) -> list[str]:
    kinds: list[str] = []
    if burden == "metastases":
        kinds += ["metastasis"] * int(np.clip(random.geometric(0.28), 1, 9))
    if burden == "mimics":
        kinds += [str(k) for k in random.choice(["cyst", "haemangioma"], size=int(random.integers(1, 4)), p=[0.6, 0.4])]
    elif burden == "metastases" and random.random() < 0.4:
        kinds += [str(k) for k in random.choice(["cyst", "haemangioma"], size=int(random.integers(1, 3)), p=[0.7, 0.3])]
    kinds += ["perfusion"] * int(random.random() < 0.3) + ["calcification"] * int(random.random() < 0.15)
    return kinds


def _diameter(random: np.random.Generator, kind: str) -> float:
    if kind == "metastasis":
        return float(np.clip(np.exp(random.normal(np.log(19), 0.5)), 7, 44))
    if kind == "cyst":
        return float(np.clip(np.exp(random.normal(np.log(13), 0.55)), 5, 48))
    if kind == "haemangioma":
        return float(np.clip(np.exp(random.normal(np.log(24), 0.4)), 12, 50))
    return float(random.uniform(3.0, 6.5)) if kind == "calcification" else float(random.uniform(26, 48))


def _place(
    random: np.random.Generator,
    kind: str,
    diameter: float,
    places: np.ndarray,
    depths: np.ndarray,
    keep_off: np.ndarray,
    others: list[Lesion],
) -> Point | None:
    """A point deep enough, off the hilum and off the other lesions; a perfusion difference sits at the capsule."""
    radius = diameter / 2
    least, most = (2.0, 8.0) if kind == "perfusion" else (min(0.75 * radius + 2, float(depths.max()) - 1), np.inf)
    fits = (depths > least) & (depths < most)
    for index in random.permutation(np.flatnonzero(fits))[:400]:
        point = places[index]
        if np.linalg.norm(keep_off - point, axis=1).min() < 0.8 * radius + 9:
            continue
        if all(np.linalg.norm(point - o.centre) > 1.25 * (radius + o.diameter / 2) + 3 for o in others):
            return tuple(float(v) for v in point)  # type: ignore[return-value]
    return None


def draw_lesion(random: np.random.Generator, kind: str, centre: Point, diameter: float) -> Lesion:
    """One lesion of a kind, with a look of its own."""
    spread = {"metastasis": 0.12, "cyst": 0.05, "haemangioma": 0.12, "calcification": 0.2, "perfusion": 0.18}[kind]
    contrast = {
        "metastasis": float(random.choice([22, 36, 50], p=[0.3, 0.4, 0.3]) + random.normal(0, 4)),
        "haemangioma": float(random.uniform(26, 40)),
        "perfusion": float(random.uniform(26, 42) if random.random() < 0.6 else random.uniform(-45, -28)),
    }.get(kind, float(random.uniform(2, 13)))
    return Lesion(
        kind=kind,
        centre=centre,
        diameter=diameter,
        stretch=tuple(np.exp(random.normal(0, spread, 3))),
        turn=rotation(*random.uniform(-60, 60, 3)),
        contrast=contrast,
        style=str(random.choice(STYLES, p=[0.4, 0.3, 0.2, 0.1])) if diameter > 11 else "plain",
        edge_mm={"metastasis": float(random.uniform(1.2, 4.0)), "perfusion": 3.0}.get(kind, 0.0),
        seed=int(random.integers(2**31)),
    )


def lesion_distance(canvas: Canvas, lesion: Lesion) -> tuple[Box, np.ndarray]:
    """Signed distance of a lesion with its own irregular outline."""
    radius = lesion.diameter / 2
    reach = radius * max(lesion.stretch) * 1.5 + 4
    box = canvas.box(np.subtract(lesion.centre, reach), np.add(lesion.centre, reach))
    at = canvas.coordinates(box)
    distance = ellipsoid(at, lesion.centre, tuple(radius * s for s in lesion.stretch), lesion.turn)  # type: ignore[arg-type]
    wobble = {"metastasis": 0.15, "haemangioma": 0.16, "perfusion": 0.0, "calcification": 0.2}.get(lesion.kind, 0.035)
    offset = [(a - np.float32(c)) / np.float32(radius) for a, c in zip(at, lesion.centre, strict=True)]
    phase = np.random.default_rng(lesion.seed).uniform(0, 6.28, (3, 3))
    ripple = np.zeros_like(distance)
    for k in range(3):  # lobulation: a few waves over the direction from the centre
        ripple += np.sin(2.3 * offset[k] + phase[k, 0]) * np.sin(3.1 * offset[(k + 1) % 3] + phase[k, 1])
    distance += ripple * np.float32(wobble * radius * 0.7)
    if lesion.kind == "perfusion":
        distance = _geographic(offset, phase, radius)
    return box, distance


def _geographic(offset: list[np.ndarray], phase: np.ndarray, radius: float) -> np.ndarray:
    """A wedge with straight borders, as of a vascular territory."""
    distance = np.full_like(offset[0], -1e3)
    for k in range(4):
        angle, lift = phase.ravel()[k], 0.5 * np.sin(phase.ravel()[k + 4])
        normal = np.array([np.cos(angle + 1.7 * k), np.sin(angle + 1.7 * k), lift])
        normal /= np.linalg.norm(normal)
        plane = sum(np.float32(n) * o for n, o in zip(normal, offset, strict=True)) - np.float32(0.55 + 0.1 * (k % 2))
        distance = np.maximum(distance, plane * np.float32(radius))
    return distance


def paint_lesion(
    canvas: Canvas,
    lesion: Lesion,
    liver_box: Box,
    liver_distance: np.ndarray,
    parenchyma: float,
    blood: float,
    value: int,
    number: int,
) -> None:
    """Paint a lesion where it lies in the liver, and note it as instance `number` (0 notes nothing)."""
    box, distance = lesion_distance(canvas, lesion)
    inside = np.full(canvas.shape, 1e3, np.float32)
    inside[liver_box] = liver_distance
    distance = np.maximum(distance, inside[box] + 0.4)
    shape = canvas.cover(distance)
    soft = canvas.cover(distance, canvas.soft_mm + lesion.edge_mm)
    hu = _appearance(canvas, box, lesion, distance, parenchyma, blood)
    if lesion.kind == "perfusion":  # vessels run through it: it adds, and does not replace
        canvas.hu[box] += soft * np.float32(lesion.contrast)
    else:
        canvas.paint(box, soft, hu)
    canvas.layers.append(Layer(value, box, shape.astype(np.float16), number))


def _appearance(
    canvas: Canvas, box: Box, lesion: Lesion, distance: np.ndarray, parenchyma: float, blood: float
) -> np.ndarray | float:
    radius = lesion.diameter / 2
    depth = -distance  # mm below the lesion's surface
    if lesion.kind == "cyst":
        return lesion.contrast
    if lesion.kind == "calcification":
        return 320 + canvas.fine[box] * 60
    if lesion.kind == "haemangioma":
        return _haemangioma(canvas, box, lesion, depth, parenchyma, blood)
    base = max(parenchyma - lesion.contrast, 28.0)
    hu = base + canvas.texture(box, 3.0, 3.5)
    edge = np.clip(1 - depth / max(0.28 * radius, 2.0), 0, 1)
    if lesion.style == "rim":
        hu = hu + edge * (parenchyma + 10 - base)
    if lesion.style in ("necrotic", "target"):
        core = np.clip((depth - 0.45 * radius + canvas.coarse[box] * 0.06 * radius) / 2.5, 0, 1)
        hu = hu + core * ((22 - base) if lesion.style == "necrotic" else 16)
    return hu


def _haemangioma(canvas: Canvas, box: Box, lesion: Lesion, depth: np.ndarray, parenchyma: float, blood: float) -> np.ndarray:
    """Low inside, with discontinuous nodules of blood density along the edge."""
    random = np.random.default_rng(lesion.seed)
    at = canvas.coordinates(box)
    radius = lesion.diameter / 2
    nodules = np.zeros_like(depth)
    for _ in range(int(random.integers(9, 14))):
        direction = random.normal(size=3)
        direction *= np.array(lesion.stretch) / np.linalg.norm(direction)
        centre = np.array(lesion.centre) + 0.86 * radius * (direction @ lesion.turn)
        size = radius * random.uniform(0.28, 0.46)
        away = np.sqrt(sum((a - np.float32(c)) ** 2 for a, c in zip(at, centre, strict=True)))
        np.maximum(nodules, np.clip((size - away) / (0.3 * size) + 0.5, 0, 1), out=nodules)
    base = max(parenchyma - lesion.contrast, 40.0)
    return base + nodules * (blood - 6 - base) + canvas.texture(box, 2, 2)
