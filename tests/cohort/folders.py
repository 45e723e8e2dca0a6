"""Tiny image folders for tests."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from overread.core.grid import Grid
from overread.imaging.nifti import write_nifti


def noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def write_png(path: Path, seed: int, *, phantom: bool = False, size: int = 8) -> Path:
    """An 8 x 8 grey film whose pixels depend on the seed alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note = PngInfo()
    if phantom:
        note.add_text("Description", "PHANTOM")
    Pillow.fromarray(noise(seed, (size, size))).save(path, pnginfo=note)
    return path


def write_films(folder: Path, names: Iterable[str]) -> list[Path]:
    return [write_png(folder / name, k + 1) for k, name in enumerate(names)]


def write_sheet(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str = ",") -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def grid(shape: tuple[int, int, int] = (4, 6, 6), spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> Grid:
    return Grid.from_spacing(shape, spacing)


def write_volume(path: Path, seed: int, where: Grid | None = None, *, description: str = "") -> Path:
    where = where or grid()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, noise(seed, where.shape).astype(np.int16), where, description=description)
    return path


def write_mask(path: Path, where: Grid | None = None, values: Sequence[int] = (1,)) -> Path:
    """A mask with one slab per value."""
    where = where or grid()
    array = np.zeros(where.shape, np.uint8)
    for k, value in enumerate(values):
        array[1, k, 1:4] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, array, where)
    return path


def film_cohort(folder: Path, patients: int = 12, exams: int = 1) -> tuple[Path, Path]:
    """Films p01_1.png ... in `folder`/images and a sheet with file, patient, label, age: half are ill."""
    rows = []
    for p in range(1, patients + 1):
        for e in range(1, exams + 1):
            name = f"p{p:02d}_{e}.png"
            write_png(folder / "images" / name, 100 * p + e)
            rows.append([name, f"PAT-{p:03d}", "ill" if p % 2 else "well", 40 + p])
    return folder / "images", write_sheet(folder / "labels.csv", ["file", "patient", "label", "age"], rows)


def mask_cohort(folder: Path, cases: int = 6, values: Sequence[int] = (1, 2)) -> tuple[Path, Path]:
    """Volumes case_01.nii.gz ... and masks of the same name."""
    for k in range(1, cases + 1):
        write_volume(folder / "images" / f"case_{k:02d}.nii.gz", k)
        write_mask(folder / "masks" / f"case_{k:02d}.nii.gz", values=values)
    return folder / "images", folder / "masks"
