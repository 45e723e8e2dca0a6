"""The same phantom once more, as an MR sequence might show it: pairs of images of one anatomy, with known lesions in both.

No benchmark itself. Every organ gets an intensity of its own, which CT does not tell (spleen, liver and muscle are alike there,
and far apart here), what lies between the organs gets one from its HU; then a little blur across borders, the shading of a coil,
and Rician noise. Not physics: a pair in which a neighbourhood helps, and of which every structure is known.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
from runs import train_or_resume
from scipy import ndimage

import overread
from overread.record.files import write_text
from overread.workflow.project import Project

ORGANS: Mapping[int, float] = {  # value in the masks of all organs -> intensity, arbitrary units
    1: 400.0,
    2: 620.0,
    3: 950.0,
    4: 850.0,
    5: 650.0,
    6: 720.0,
    7: 720.0,
    8: 980.0,
    9: 300.0,
    10: 450.0,
    11: 80.0,
    12: 120.0,
    13: 350.0,
    14: 30.0,
}
BETWEEN = ((-2000.0, 10.0), (-250.0, 700.0), (-20.0, 250.0), (200.0, 90.0))  # from this HU on: air, fat, muscle, bone
METASTASIS, LIVER = 2, 1
BLUR_VOXELS, SHADING, NOISE = 0.5, 0.25, 15.0
WINDOW = "40,48,48"  # small, so that a short training makes steps enough to find metastases
SEGMENTER = "segmenter"


def draw_second(phantom: Path, out: Path) -> Path:
    """Write EXAM/EXAM_ct.nii.gz and EXAM/EXAM_mr.nii.gz of every exam, whole or not at all; returns the folder."""
    if out.exists():
        return out
    beside = out.with_name(out.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    for number, path in enumerate(sorted((phantom / "images").glob("*.nii.gz"))):
        exam = path.name.removesuffix(".nii.gz")
        ct = nibabel.load(path)
        organs = np.asarray(nibabel.load(phantom / "organs" / path.name).dataobj)
        mr = second_contrast(np.asarray(ct.dataobj, np.float32), organs, np.random.default_rng([71, number]))
        folder = beside / exam
        folder.mkdir(parents=True)
        shutil.copyfile(path, folder / f"{exam}_ct.nii.gz")
        image = nibabel.Nifti1Image(mr, ct.affine)
        image.header["descrip"] = b"PHANTOM second contrast"
        nibabel.save(image, folder / f"{exam}_mr.nii.gz")
    beside.rename(out)
    return out


def second_contrast(hu: np.ndarray, organs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """hu, organs (X, Y, Z) -> float32 (X, Y, Z), 0 and above."""
    found = np.zeros(hu.shape, np.float32)
    smooth = ndimage.gaussian_filter(hu, BLUR_VOXELS)
    for least, value in BETWEEN:
        found[smooth >= least] = value
    for value, intensity in ORGANS.items():
        found[organs == value] = intensity
    found = ndimage.gaussian_filter(found, BLUR_VOXELS)
    along = np.linspace(-1, 1, hu.shape[1], dtype=np.float32)
    found *= 1 + SHADING * along[None, :, None]
    real, imaginary = random.normal(0, NOISE, (2, *hu.shape)).astype(np.float32)
    return np.asarray(np.sqrt((found + real) ** 2 + imaginary**2), np.float32)


def erased(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """image (Z, Y, X) with every metastasis of the mask painted over with the liver around it, noise and all."""
    lesion = ndimage.binary_dilation(mask == METASTASIS, iterations=2)
    liver = image[(mask == LIVER) & ~lesion]
    if not lesion.any() or not len(liver):
        return image
    painted = image.copy()
    painted[lesion] = np.random.default_rng(5).choice(liver, int(lesion.sum()))
    return painted


def segmenting(home: Path, minutes: float) -> Path:
    """A model that segments liver and metastases on the second contrast, taught on the training cases of the same split."""
    folder = home / "segmenter-project"
    project = Project.open(folder) if (folder / "project.toml").exists() else _segmenter_project(home, folder)
    train_or_resume(project, SEGMENTER, minutes, overrides={"training.patch": WINDOW})
    return next(project.run(SEGMENTER).path.glob("*.overread"))


def _segmenter_project(home: Path, folder: Path) -> Project:
    alone = home / "second"
    masks = home / "second-masks"
    for place in (alone, masks):
        place.mkdir(exist_ok=True)
    for path in (home / "pairs").glob("*/*_mr.nii.gz"):
        exam = path.name.removesuffix("_mr.nii.gz")
        shutil.copyfile(path, alone / f"{exam}.nii.gz")
        shutil.copyfile(home / "phantom" / "masks" / f"{exam}.nii.gz", masks / f"{exam}.nii.gz")
    labels = home / "phantom" / "masks" / "dataset.json"
    write_text(masks / "dataset.json", labels.read_text(encoding="utf-8"))
    return overread.init(
        folder, images=alone, truth=masks, sheet=home / "phantom" / "labels.csv", id_column="exam_id", group_by="patient_id"
    )
