"""Tiny cohorts on disk whose images hold some bright objects or none: films with COCO outlines, volumes with masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from overread.workflow.init import init
from overread.workflow.project import Project
from workflow.balls import write_sheet

CLASSES = ("dot", "bar")


def films(folder: Path, count: int = 24, edge: int = 64) -> Path:
    """`images/`, `coco.json` with boxes and outlines of dots and bars, and `sheet.csv`; every fourth film is clean."""
    random = np.random.default_rng(2)
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    drawn: list[dict[str, Any]] = []
    for k in range(count):
        pixels, name = random.normal(size=(edge, edge)) * 12 + 60, f"film{k:03d}.png"
        images.append({"id": k + 1, "file_name": name, "width": edge, "height": edge})
        for number in range(k % 4):
            kind = (k + number) % 2
            high, wide = (10, 10) if kind == 0 else (8, 18)
            y = int(random.integers(2 + 20 * number, 20 * number + 9))
            x = int(random.integers(2, edge - wide - 2))
            pixels[y : y + high, x : x + wide] += 140 if kind == 0 else 90
            outline = [x, y, x + wide, y, x + wide, y + high, x, y + high]
            about = {"id": len(drawn) + 1, "image_id": k + 1, "category_id": kind + 1, "iscrowd": 0}
            drawn.append(about | {"bbox": [x, y, wide, high], "area": wide * high, "segmentation": [outline]})
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "images" / name)
    named = [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)]
    (folder / "coco.json").write_text(json.dumps({"images": images, "categories": named, "annotations": drawn}))
    write_sheet(folder / "sheet.csv", [{"film": f"film{k:03d}", "patient": f"P{k:03d}"} for k in range(count)])
    return folder


def volumes(folder: Path, count: int = 12, shape: tuple[int, int, int] = (24, 24, 16)) -> Path:
    """`images/`, `masks/` with up to two separate balls of value 1, and `sheet.csv`; spacing 1 x 1 x 2 mm, RAS."""
    random = np.random.default_rng(3)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    for k in range(count):
        mask = np.zeros(shape, np.uint8)
        for number in range(k % 3):
            middle = (6 + 11 * number, random.uniform(6, 17), random.uniform(5, 10))
            mask |= (np.sqrt(sum((g - m) ** 2 for g, m in zip(np.indices(shape), middle, strict=True))) < 3.5).astype(np.uint8)
        image = (random.normal(size=shape) * 20 + 100 + 150 * mask).astype(np.float32)
        for part, array in (("images", image), ("masks", mask)):
            nibabel.save(nibabel.Nifti1Image(array, affine), folder / part / f"scan{k:02d}.nii.gz")
    write_sheet(folder / "sheet.csv", [{"exam": f"scan{k:02d}", "patient": f"P{k:02d}"} for k in range(count)])
    return folder


def film_project(folder: Path, task: str, **options: Any) -> Project:
    made = films(folder / "cohort")
    given = {"truth": made / "coco.json", "sheet": made / "sheet.csv", "group_by": "patient", "tuning": 0.25, "internal": 0.25}
    return init(folder / "project", made / "images", task=task, **(given | options))


def volume_project(folder: Path, task: str, **options: Any) -> Project:
    made = volumes(folder / "cohort")
    given = {"truth": made / "masks", "sheet": made / "sheet.csv", "group_by": "patient", "tuning": 0.25, "internal": 0.25}
    return init(folder / "project", made / "images", task=task, **(given | options))
