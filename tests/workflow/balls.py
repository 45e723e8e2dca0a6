"""Tiny cohorts on disk: a bright ball in noise, as volumes with masks or as films with a sheet."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from overread.workflow.init import init
from overread.workflow.project import Project


def ball(shape: tuple[int, ...], radius: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    middle = [(n - 1) / 2 + random.uniform(-1.5, 1.5) for n in shape]
    distance = np.sqrt(sum((g - m) ** 2 for g, m in zip(np.indices(shape), middle, strict=True)))
    mask = distance < radius
    return (random.normal(size=shape) * 20 + 100 + 150 * mask).astype(np.float32), mask.astype(np.uint8)


def volumes(folder: Path, count: int = 14, shape: tuple[int, int, int] = (20, 18, 16)) -> Path:
    """`images/` and `masks/`: two exams per patient, spacing 1 x 1 x 2 mm, RAS."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        image, mask = ball(shape, 3 + (k % 4), random)
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        name = f"pat{k // 2:02d}_exam{k % 2}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image, affine), folder / "images" / name)
        nibabel.save(nibabel.Nifti1Image(mask, affine), folder / "masks" / name)
    rows = [{"exam": f"pat{k // 2:02d}_exam{k % 2}", "patient": f"pat{k // 2:02d}", "age": 40 + k} for k in range(count)]
    write_sheet(folder / "sheet.csv", rows)
    return folder


def films(folder: Path, count: int = 36, edge: int = 32) -> Path:
    """`images/` and `sheet.csv` with a finding (large ball) and a number (its radius)."""
    random = np.random.default_rng(1)
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(count):
        radius = 3.0 + (k % 6)
        image, _ = ball((edge, edge), radius, random)
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / "images" / f"film{k:03d}.png")
        finding = "large" if radius > 5.5 else "small"
        rows.append({"film": f"film{k:03d}", "patient": f"P{k // 2:03d}", "ball": finding, "radius": radius})
    write_sheet(folder / "sheet.csv", rows)
    return folder


def write_sheet(path: Path, rows: list[dict]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def volume_project(folder: Path, **options) -> Project:
    made = volumes(folder / "cohort")
    given = {"truth": made / "masks", "sheet": made / "sheet.csv", "group_by": "patient", "tuning": 0.25, "internal": 0.25}
    return init(folder / "project", made / "images", **(given | options))


def film_project(folder: Path, label: str, **options) -> Project:
    made = films(folder / "cohort")
    given = {"sheet": made / "sheet.csv", "group_by": "patient", "label": [label], "tuning": 0.25, "internal": 0.25}
    return init(folder / "project", made / "images", **(given | options))
