"""Films of noise whose label hangs on the patient's age alone: what an image cannot say and a sheet can."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from overread.workflow.init import init
from overread.workflow.project import Project

EDGE = 24
LIMIT = 60  # years; older patients have the disease


def write_films(folder: Path, patients: int = 90, seed: int = 0) -> Path:
    """`films/P000.png` ..., and `patients.csv`; every ninth patient has no age, every fifth no sex, none of the rest is known."""
    random = np.random.default_rng(seed)
    (folder / "films").mkdir(parents=True)
    with open(folder / "patients.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "age", "sex", "grade", "label"])
        for k in range(patients):
            age = int(random.integers(30, 91))
            is_ill = age > LIMIT
            film = random.normal(120, 30, (EDGE, EDGE)).clip(0, 255).astype(np.uint8)
            Image.fromarray(film).save(folder / "films" / f"P{k:03d}.png")
            told = ["" if k % 9 == 8 else age, "" if k % 5 == 4 else "FM"[k % 2], 3 if is_ill else 1, "ill" if is_ill else "well"]
            writer.writerow([f"P{k:03d}.png", *told])
    return folder


def aged_project(folder: Path, patients: int = 90) -> Project:
    write_films(folder, patients)
    return init(
        folder / "project",
        images=folder / "films",
        sheet=folder / "patients.csv",
        label=["label"],
        positive="ill",
        covariates=["grade"],
    )
