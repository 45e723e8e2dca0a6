"""One abdominal patient: what is drawn once for life, and how an exam finds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread.cohort.phantom import body, bowel, lesions, liver, organs, vessels
from overread.cohort.phantom.canvas import Canvas, Pose
from overread.cohort.phantom.clusters import with_company
from overread.cohort.phantom.covariates import Person, random_stream
from overread.cohort.phantom.fields import Warp
from overread.cohort.phantom.shapes import Point, rotation

STRUCTURES = {
    "liver": 1, "metastasis": 2, "cyst": 3, "haemangioma": 4, "spleen": 5, "kidney right": 6, "kidney left": 7,
    "gallbladder": 8, "stomach": 9, "pancreas": 10, "aorta": 11, "inferior vena cava": 12, "vertebrae": 13, "lungs": 14,
}  # fmt: skip
TOP_MM, BOTTOM_MM = 34.0, -208.0  # what an exam covers of the standard patient


@dataclass(frozen=True)
class Anatomy:
    """What stays with a patient from exam to exam."""

    person: Person
    habitus: body.Habitus
    warp: Warp
    scale: np.ndarray  # (3,) x, y, z
    liver: liver.LiverShape
    liver_trees: tuple[list[vessels.Segment], list[vessels.Segment]]
    lung_tree: list[vessels.Segment]
    spleen_size: float
    kidneys: tuple[Point, Point]
    kidney_size: float
    phase: vessels.Enhancement
    lesions: tuple[lesions.Lesion, ...]


def draw_anatomy(seed: int, person: Person, *, touching: bool = False) -> Anatomy:
    """The body of one patient, from its own random stream; `touching` plants clusters of metastases, the rest is the same."""
    random = random_stream(seed, "abdomen", person.number, 1)
    age = person.age_on(person.exam_dates[0])
    habitus = body.Habitus(
        fat=person.fat,
        waist=float(random.uniform(0.02, 0.07)) * (1.3 if person.sex == "F" else 0.9),
        bone_hu=float(np.clip(random.normal(190 - 1.3 * (age - 50), 20), 90, 260)),
        dome_right=(-64 + random.normal(0, 4), -22 + random.normal(0, 4), random.normal(0, 3)),
        dome_left=(70 + random.normal(0, 4), -12 + random.normal(0, 4), -12 + random.normal(0, 4)),
        aorta_wall=float(np.clip((age - 45) / 40 + random.normal(0, 0.2), 0, 1)),
    )
    shape = liver.draw_liver_shape(random)
    trees = vessels.liver_trees(random)
    kidneys = (
        tuple(np.array([-66.0, 32.0, -104.0]) + random.normal(0, 4, 3)),
        tuple(np.array([68.0, 33.0, -92.0]) + random.normal(0, 4, 3)),
    )
    anatomy = Anatomy(
        person=person,
        habitus=habitus,
        warp=Warp(random, 3.4, 60.0),
        scale=np.array([1.0, 0.98, 0.98]) * person.weight * random.normal(1, 0.015, 3) * (1 + 0.06 * (person.fat - 0.4)),
        liver=shape,
        liver_trees=trees,
        lung_tree=vessels.lung_trees(random),
        spleen_size=float(np.clip(random.normal(1.0, 0.09), 0.8, 1.3)),
        kidneys=kidneys,
        kidney_size=float(np.clip(random.normal(1.0, 0.06), 0.85, 1.12)),
        phase=_draw_phase(random),
        lesions=(),
    )
    places, depths = _liver_points(anatomy)
    roots = np.array([p.end for p in trees[0][:3]] + [p.start for p in trees[0][:1]] + [(-17.0, 6.0, -14.0), (-18.0, 4.0, -50.0)])
    drawn = lesions.draw_lesions(random_stream(seed, "abdomen", person.number, 2), person.burden, places, depths, roots)
    if touching:
        drawn = with_company(random_stream(seed, "abdomen", person.number, 4), drawn, places, depths, roots)
    return Anatomy(**{**anatomy.__dict__, "lesions": tuple(drawn)})


def _draw_phase(random: np.random.Generator) -> vessels.Enhancement:
    """Portal venous phase, a little early or late."""
    late = random.normal(0, 1)
    return vessels.Enhancement(
        aorta=152 - 6 * late + random.normal(0, 6),
        cava=138 + 5 * late + random.normal(0, 6),
        portal=172 - 3 * late + random.normal(0, 7),
        hepatic=162 + random.normal(0, 8),
        cortex=192 + random.normal(0, 9),
        medulla=158 + 12 * late + random.normal(0, 6),
        spleen=122 + random.normal(0, 6),
        pancreas=96 + random.normal(0, 6),
    )


def _liver_points(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) points of the standard liver on a 6 mm lattice, mm, and (N,) their depth below the capsule."""
    spacing = (6.0, 6.0, 6.0)
    pose = Pose(np.eye(3), np.zeros(3), 0.0)
    still = Warp(np.random.default_rng(0), 0.0, 60.0)
    canvas = Canvas((38, 36, 44), spacing, (-156.0, -116.0, -190.0), pose, still, np.random.default_rng(0))
    canvas.coarse[:] = 0
    box, distance = liver.liver_distance(canvas, body.Trunk(canvas, anatomy.habitus), anatomy.liver)
    inside = distance < -2
    places = np.stack([a[inside] for a in canvas.coordinates(box)], -1)
    return places, -distance[inside]


def draw_pose(random: np.random.Generator, scale: np.ndarray) -> Pose:
    """How the patient lies and breathes at one exam."""
    turn = rotation(
        about_x=random.normal(0, 1.2), about_y=random.normal(0, 1.0), about_z=float(np.clip(random.normal(0, 3.2), -8, 8))
    )
    shift = random.normal(0, 1, 3) * (7, 4, 3)
    return Pose(turn @ np.diag(scale), shift, float(np.clip(random.normal(0, 9), -16, 18)))


def lesions_at(anatomy: Anatomy, exam: int) -> list[lesions.Lesion]:
    """The lesions as exam number `exam` (from 0) finds them: metastases follow the response, the rest stays."""
    growth = anatomy.person.response**exam
    return [item.grown(growth) if item.kind == "metastasis" else item for item in anatomy.lesions]


def paint_scene(canvas: Canvas, anatomy: Anatomy, random: np.random.Generator, exam: int) -> None:
    """Paint the whole scene, in the order in which organs take room from each other."""
    trunk = body.Trunk(canvas, anatomy.habitus)
    phase, value = anatomy.phase, STRUCTURES
    body.paint_trunk(canvas, trunk)
    body.paint_ribs(canvas, trunk)
    body.paint_spine(canvas, anatomy.habitus, value["vertebrae"])
    vessels.paint_great_vessels(canvas, random, phase, anatomy.habitus.aorta_wall, value["aorta"], value["inferior vena cava"])
    box, distance = liver.paint_liver(
        canvas, trunk, anatomy.liver, anatomy.liver_trees, anatomy.person.liver_hu, phase, value["liver"]
    )
    for number, lesion in enumerate(lesions_at(anatomy, exam), 1):
        lesions.paint_lesion(
            canvas, lesion, box, distance, anatomy.person.liver_hu, phase.portal, value.get(lesion.kind, 0), number
        )
    organs.paint_kidneys(canvas, anatomy.kidneys, anatomy.kidney_size, phase, (value["kidney right"], value["kidney left"]))
    organs.paint_spleen(canvas, trunk, anatomy.spleen_size, phase, value["spleen"])
    fixed = random_stream(anatomy.person.number, "abdomen", 0, 3)
    organs.paint_small_organs(canvas, anatomy.liver, fixed, phase, value)
    fill = bowel.Fill(
        float(random.uniform(0.15, 0.55)),
        float(random.uniform(0.75, 1.1)),
        float(random.uniform(8, 36)),
        float(random.uniform(-0.1, 0.35)),
    )
    bowel.paint_stomach(canvas, trunk, fixed, fill, value["stomach"])
    organs.paint_chest_base(canvas, trunk, anatomy.lung_tree, phase, value["lungs"])
    bowel.paint_duodenum(canvas, fixed)
    bowel.paint_colon(canvas, fixed, fill)
    bowel.paint_small_bowel(canvas, random)
    _, y, x = canvas.shape
    world_y = (canvas.origin[1] + canvas.spacing[1] * np.arange(y, dtype=np.float32))[None, :, None]
    world_x = (canvas.origin[0] + canvas.spacing[2] * np.arange(x, dtype=np.float32))[None, None, :]
    body.paint_table(canvas, trunk, world_y, world_x)
