"""One chest film, from the plan to its file and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import label

from overread.cohort.phantom.canvas import Canvas, Pose
from overread.cohort.phantom.chest import Depths, Thorax, draw_consolidations, draw_thorax, paint_thorax
from overread.cohort.phantom.covariates import random_stream
from overread.cohort.phantom.film import FILM_UNITS, FilmUnit, expose, line_integrals, on_film
from overread.cohort.phantom.marks import burn
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import Planned, has_pneumonia
from overread.cohort.phantom.shapes import rotation
from overread.cohort.phantom.threshold import auc
from overread.cohort.phantom.truth import coco_annotations, instances_of
from overread.core.grid import Grid
from overread.imaging.dicom.write_dx import Film, write_dx
from overread.imaging.nifti import write_nifti
from overread.record.files import write_with

CLASSES = ("consolidation", "nodule")
MASK_VALUES = {"lungs": 1, "heart": 2, "consolidation": 3, "nodule": 4}
FINEST_MM = 1.6
FIELD_MM = (392.0, 372.0)  # of the scene that the film shows: height, width
SUFFIXES = {"dicom": ".dcm", "nifti": ".nii.gz", "png": ".png"}


@dataclass(frozen=True)
class Shot:
    """What one exposure gives: stored values (Y, X) uint16, label map uint8, instances uint16, and their classes."""

    stored: np.ndarray
    mask: np.ndarray
    instances: np.ndarray
    kinds: tuple[str, ...]
    whole: dict[int, np.ndarray]  # number -> (Y, X) bool, all of a nodule, also where another lies over it
    pixel_mm: float
    nodule_mm: float | None
    consolidation_ml: float


def simulate(planned: Planned, options: Options) -> Shot:
    """Draw the patient, put him before the film and expose."""
    person, unit = planned.person, FILM_UNITS[planned.person.site]
    random = random_stream(options.seed, "chest", person.number, 10 + planned.exam)
    thorax = draw_thorax(options.seed, person, touching=options.touching)
    areas = draw_consolidations(options.seed, person, planned.exam) if has_pneumonia(options.seed, person, planned.exam) else []
    turn = rotation(about_x=random.normal(0, 1.5), about_y=random.normal(0, 2.2), about_z=random.normal(0, 2.5))
    pose = Pose(turn @ np.diag(thorax.scale), random.normal(0, 1, 3) * (14, 2, 17), 0.0)
    field = FIELD_MM[0] * float(random.uniform(0.98, 1.12)) * max(1.0, person.weight)
    canvas = _canvas(field, options.size, pose, thorax, random)
    depths = paint_thorax(canvas, thorax, areas, random)
    pixel = field / options.size
    stored = expose(on_film(line_integrals(canvas, unit), options.size), unit, pixel, random)
    mask, instances, kinds, whole = _truth(canvas, depths, options.size)
    if planned.has_marker:
        burn(stored, "PORT", 0.97 * (2**unit.bits - 1), "upper left")
    largest = max((n.diameter for n in thorax.nodules), default=None)
    volume = float(depths.consolidation.sum()) * float(np.prod(canvas.spacing)) / 1000
    return Shot(stored, mask, instances, kinds, whole, pixel, largest if "nodule" in kinds else None, volume)


def _canvas(field: float, size: int, pose: Pose, thorax: Thorax, random: np.random.Generator) -> Canvas:
    step = max(field / size, FINEST_MM)
    count = round(field / step)
    deep = max(step, 2.4)
    shape, spacing = (count, int(330 / deep), count), (field / count, deep, field / count)
    origin = (-field / 2 + spacing[2] / 2, -178.0, -field / 2 + spacing[0] / 2 + 8)
    return Canvas(shape, spacing, origin, pose, thorax.warp, random)


def _truth(canvas: Canvas, depths: Depths, size: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], dict[int, np.ndarray]]:
    """What a reader would outline: where a structure is thick enough along the beam to be seen."""
    deep = canvas.spacing[1]
    thickness = {
        "lungs": on_film(depths.lung.sum(1) * deep, size) > 12,
        "heart": on_film(depths.heart.sum(1) * deep, size) > 6,
        "consolidation": on_film(depths.consolidation.sum(1) * deep, size) > 9,
        "nodule": on_film(depths.nodule.max(1), size) > 0.5,
    }
    mask = np.zeros((size, size), np.uint8)
    instances = np.zeros((size, size), np.uint16)
    for name, value in MASK_VALUES.items():
        mask[thickness[name]] = value
    kinds = _split(thickness["consolidation"], instances, "consolidation", 0)
    whole = {}
    for seen in _nodules_on_film(canvas, depths, size):
        kinds.append("nodule")
        whole[len(kinds)] = seen
        instances[seen] = len(kinds)
    return mask, instances, tuple(kinds), whole


def _nodules_on_film(canvas: Canvas, depths: Depths, size: int) -> list[np.ndarray]:
    """(Y, X) bool of each nodule that is thick enough to be seen, whatever lies before it."""
    found = []
    for box, coverage in depths.nodules:
        alone = np.zeros((canvas.shape[0], canvas.shape[2]), np.float32)
        alone[box[0], box[2]] = coverage.max(1, initial=0)
        seen = on_film(alone, size) > 0.5
        if seen.any():
            found.append(seen)
    return found


def _split(seen: np.ndarray, instances: np.ndarray, name: str, before: int) -> list[str]:
    """Give each connected area of a finding its own number; crumbs below a thousandth of the film are dropped."""
    areas, count = label(seen)
    least = seen.size // 1000
    kept = [k for k in range(1, count + 1) if (areas == k).sum() > least]
    for number, k in enumerate(kept, before + 1):
        instances[areas == k] = number
    return [name] * len(kept)


def write_exam(planned: Planned, options: Options, out: Path) -> dict[str, Any]:
    """Simulate one film and write image and masks; returns its sheet row and what else is known of it."""
    shot, unit, exam_id = simulate(planned, options), FILM_UNITS[planned.person.site], planned.exam_id
    name = f"images/{exam_id}{SUFFIXES[options.format]}"
    grid = Grid.from_spacing((1, *shot.stored.shape), (1.0, shot.pixel_mm, shot.pixel_mm), is_planar=True)
    _write_image(planned, options, out / name, shot, unit, grid)
    suffix = ".png" if options.format == "png" else ".nii.gz"
    for folder, labels in (("masks", shot.mask), ("instances", shot.instances.astype(np.uint8))):
        _write_labels(out / f"{folder}/{exam_id}{suffix}", labels, grid, f"PHANTOM {exam_id} {folder}")
    found = instances_of(shot.instances[None], shot.kinds, grid)
    lungs = shot.stored[(shot.mask == 1) | (shot.mask >= 3)] / (2**unit.bits - 1)
    return {
        "row": _row(planned, options, shot, unit, name, f"masks/{exam_id}{suffix}"),
        "instances": [{**item.as_dict(), "centre_lps_mm": None} for item in found],
        "slices": [name],
        "shape": [1, *shot.stored.shape],
        "annotations": coco_annotations(shot.instances[None], found, [0], CLASSES, shot.whole),
        "brightness": {
            "film": float(shot.stored.mean() / 2**unit.bits),
            "lungs": float(lungs.mean()),
            "brightest": float(np.quantile(lungs, 0.99)),
        },
        "spacing_mm": [round(shot.pixel_mm, 4)] * 2,
    }


def _write_image(planned: Planned, options: Options, path: Path, shot: Shot, unit: FilmUnit, grid: Grid) -> None:
    if options.format == "dicom":
        header = planned.header(options.seed, options.kind, unit.site)
        top = 2**unit.bits
        film = Film(unit.modality, unit.vendor, unit.model, unit.view, unit.kvp, unit.bits, shot.pixel_mm, (top / 2, float(top)))
        write_dx(path, shot.stored, header, film)
    elif options.format == "nifti":
        write_nifti(path, shot.stored[None], grid, description=f"PHANTOM {planned.exam_id}")
    else:
        grey = (shot.stored >> (unit.bits - 8)).astype(np.uint8)
        burn(grey, "PHANTOM", 255, "lower right")
        _write_png(path, grey, f"PHANTOM {planned.exam_id}: computed, not a patient")


def _write_labels(path: Path, labels: np.ndarray, grid: Grid, description: str) -> None:
    if path.suffix == ".png":
        _write_png(path, labels, description)
    else:
        write_nifti(path, labels[None], grid, description=description)


def _write_png(path: Path, grey: np.ndarray, description: str) -> None:
    text = PngInfo()
    text.add_text("Description", description)
    text.add_text("Synthetic Data", "YES")
    write_with(path, lambda beside: Pillow.fromarray(grey).save(beside, format="PNG", pnginfo=text))


def _row(planned: Planned, options: Options, shot: Shot, unit: FilmUnit, image: str, mask: str) -> dict[str, Any]:
    ill, spotted = "consolidation" in shot.kinds, "nodule" in shot.kinds
    return {
        "patient_id": planned.patient_id,
        "exam_id": planned.exam_id,
        "study_uid": planned.header(options.seed, options.kind, unit.site).study_uid,
        "image": image,
        "mask": mask,
        "study_date": planned.day.isoformat(),
        "age": planned.person.age_on(planned.day),
        "sex": planned.person.sex,
        "site": unit.site,
        "scanner": unit.model,
        "view": unit.view,
        "pneumonia": "yes" if ill else "no",
        "nodule": "yes" if spotted else "no",
        "finding": {(False, False): "none", (True, False): "pneumonia", (False, True): "nodule", (True, True): "both"}[
            ill, spotted
        ],
        "nodule_mm": "" if shot.nodule_mm is None else round(shot.nodule_mm, 1),
        "consolidation_ml": round(shot.consolidation_ml, 1) if ill else 0.0,
    }


def threshold(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What brightness alone tells: each AUC is that of one plain number per film."""
    truth = {name: np.array([r["row"][name] == "yes" for r in records]) for name in ("pneumonia", "nodule")}
    result: dict[str, Any] = {
        "explanation": "AUC of one plain number per film: read every score on the phantom beside them",
        "exams": len(records),
    }
    for name, positive in truth.items():
        for number in ("film", "lungs", "brightest"):
            values = np.array([r["brightness"][number] for r in records])
            result[f"auc_{name}_by_brightness_of_{number}"] = auc(values, positive)
    return result
