"""A tiny cohort with two sequences per exam: FLAIR, and T1 on another grid, turned and with other voxels."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np

FLAIR_AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
SHAPE = (20, 18, 16)


def t1_affine() -> np.ndarray:
    """RAS: 1.25 mm voxels, first axis reversed, moved by a part of a voxel."""
    affine = np.diag([-1.25, 1.25, 1.25, 1.0])
    affine[:3, 3] = [21.3, -2.0, -1.4]
    return affine


def exam(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """FLAIR, T1 and mask of a ball at one place in the patient, (X, Y, Z)."""
    random = np.random.default_rng(seed)
    middle, radius = np.array([9.5, 8.5, 15.0]) + random.uniform(-1.5, 1.5, 3), 5.0 + seed % 3

    def ball(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
        world = np.stack(np.indices(shape), -1) @ affine[:3, :3].T + affine[:3, 3]
        return np.linalg.norm(world - middle, axis=-1) < radius

    flair, t1 = ball(SHAPE, FLAIR_AFFINE), ball((20, 18, 28), t1_affine())
    bright = random.normal(100, 10, flair.shape) + 150 * flair
    dark = random.normal(300, 10, t1.shape) - 150 * t1
    return bright.astype(np.float32), dark.astype(np.float32), flair.astype(np.uint8)


def write_exam(folder: Path, name: str, seed: int, *, lacking: str = "") -> None:
    """`name`_flair.nii.gz and `name`_t1.nii.gz."""
    folder.mkdir(parents=True, exist_ok=True)
    flair, t1, _ = exam(seed)
    for channel, array, affine in (("flair", flair, FLAIR_AFFINE), ("t1", t1, t1_affine())):
        if channel != lacking:
            nibabel.save(nibabel.Nifti1Image(array, affine), folder / f"{name}_{channel}.nii.gz")


def cohort(folder: Path, count: int = 12, lacking: dict[int, str] | None = None) -> tuple[Path, Path]:
    """`images/` and `masks/`."""
    for k in range(count):
        write_exam(folder / "images", f"pat{k:02d}", k, lacking=(lacking or {}).get(k, ""))
        (folder / "masks").mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(exam(k)[2], FLAIR_AFFINE), folder / "masks" / f"pat{k:02d}.nii.gz")
    return folder / "images", folder / "masks"


def decathlon(folder: Path, count: int = 8) -> Path:
    """4D images of four modalities as the Decathlon has them; volume k holds values around 100 * (k + 1)."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        random = np.random.default_rng(k)
        image = np.stack([random.normal(100 * (c + 1), 5, (8, 9, 6)) for c in range(4)], -1).astype(np.float32)
        mask = np.zeros((8, 9, 6), np.uint8)
        mask[2:5, 2:5, 2:4] = 1
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / f"BRATS_{k:03d}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), folder / "labelsTr" / f"BRATS_{k:03d}.nii.gz")
    described = {
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema"},
        "training": [
            {"image": f"./imagesTr/BRATS_{k:03d}.nii.gz", "label": f"./labelsTr/BRATS_{k:03d}.nii.gz"} for k in range(count)
        ],
    }
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder
