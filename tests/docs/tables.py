"""Sheets and masks of other programs and of readers, for the pages that need no project."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np

from docs.studies import Row, write_sheet
from overread.core.grid import Grid
from overread.imaging.nifti import write_nifti

CASES = 40


def labels(folder: Path) -> None:
    """`labels.csv`: forty cases of thirty patients, half of them malignant."""
    rows = [{"id": f"c{k:02d}", "mrn": f"m{k % 30:02d}", "label": ("benign", "malignant")[_ill(k)]} for k in range(CASES)]
    write_sheet(folder / "labels.csv", rows)


def probabilities(path: Path, seed: int, skill: float) -> None:
    """What a program says of these cases; skill 0 is guessing."""
    random = np.random.default_rng(seed)
    rows = []
    for k in range(CASES):
        p = float(np.clip(0.5 + skill * (_ill(k) - 0.5) + random.normal(0, 0.25), 0.01, 0.99))
        rows.append({"id": f"c{k:02d}", "malignant": round(p, 4), "benign": round(1 - p, 4)})
    write_sheet(path, rows)


def moved_masks(masks: Path, out: Path, by: int = 1) -> None:
    """The same masks, moved by some voxels: what another program or another reader may have drawn."""
    out.mkdir()
    for path in sorted(masks.glob("*.nii.gz")):
        mask = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(np.roll(np.asarray(mask.dataobj), by, axis=0), mask.affine), out / path.name)
    if (masks / "dataset.json").exists():
        shutil.copy(masks / "dataset.json", out)


def images_and_answers(truth: Path, answers: Path) -> None:
    """True volumes, and what another program made: the same with noise."""
    grid = Grid.from_spacing((12, 24, 24), (3.0, 1.0, 1.0))
    for folder in (truth, answers):
        folder.mkdir()
    for k in range(8):
        random = np.random.default_rng(k)
        volume = random.normal(0, 20, grid.shape).cumsum(-1)
        for folder, noise in ((truth, 0.0), (answers, 5.0)):
            write_nifti(folder / f"p{k}.nii.gz", (volume + noise * random.normal(0, 1, grid.shape)).astype(np.float32), grid)


def reader_study(folder: Path) -> None:
    """`truth.csv`, `answers.csv`, and five readers' reads: alone, with the model, and once more."""
    rows = [{"id": f"c{k:02d}", "patient": f"m{k % 30:02d}", "truth": ("benign", "malignant")[_ill(k)]} for k in range(CASES)]
    write_sheet(folder / "truth.csv", rows)
    probabilities(folder / "answers.csv", 9, 0.5)
    for name, seed, skill in (("reads", 1, 1.0), ("without", 2, 1.0), ("with", 3, 2.0), ("first", 4, 1.0), ("second", 5, 1.0)):
        write_sheet(folder / f"{name}.csv", _ratings(seed, skill))


def _ratings(seed: int, skill: float) -> list[Row]:
    random = np.random.default_rng(seed)
    rows = []
    for reader in ("ANNA", "BEN", "CARL", "DORA", "EMIL"):
        for k in range(CASES):
            rating = int(np.clip(round(3 + skill * (_ill(k) - 0.5) * 2 + random.normal(0, 1)), 1, 5))
            rows.append({"id": f"c{k:02d}", "reader": reader, "rating": rating, "recall": ("no", "yes")[rating > 3]})
    return rows


def agreeing_reads(folder: Path) -> None:
    """`reads.csv`: a finding, a grade and a diameter of every case by three readers, with the patient."""
    random = np.random.default_rng(6)
    rows = []
    for reader in ("ANNA", "BEN", "CARL"):
        for k in range(CASES):
            finding = _ill(k) if random.random() < 0.85 else 1 - _ill(k)
            rows.append(
                {
                    "id": f"c{k:02d}",
                    "patient_id": f"m{k % 30:02d}",
                    "reader": reader,
                    "finding": ("no", "yes")[finding],
                    "BIRADS": 2 + 2 * finding + int(random.integers(0, 2)),
                    "diameter_mm": round(8 + k / 4 + random.normal(0, 0.7), 1),
                }
            )
    write_sheet(folder / "reads.csv", rows)


def _ill(k: int) -> int:
    return int(k % 30 % 2)
