"""Cohorts of objects that grow, come from elsewhere, or hold masks as NRRD or PNG."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from overread.cohort.index import read_splits
from overread.cohort.load import load_truth
from overread.core.kinds import Boxes, Instances
from overread.metrics.table import default_endpoint
from overread.workflow.evaluate import evaluate
from overread.workflow.external import external
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.readings.external import read_external
from overread.workflow.train import train
from overread.workflow.update import update
from workflow import lesions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def brighter(source: Path, folder: Path, prefix: str) -> Path:
    """The same films from another hospital: other exposure, other names, other patients."""
    shutil.copytree(source, folder)
    for path in sorted((folder / "images").iterdir()):
        pixels = np.asarray(Image.open(path)).astype(int)
        Image.fromarray(np.clip(pixels * 0.9 + 25, 0, 255).astype(np.uint8)).save(path.with_name(prefix + path.name))
        path.unlink()
    content = json.loads((folder / "coco.json").read_text().replace("film0", f"{prefix}film0"))
    (folder / "coco.json").write_text(json.dumps(content))
    text = (folder / "sheet.csv").read_text().replace("film0", f"{prefix}film0").replace("P0", f"{prefix}P0")
    (folder / "sheet.csv").write_text(text)
    return folder


def more(data: Path, count: int = 2) -> None:
    """New films of new patients: one object each, then none."""
    content = json.loads((data / "coco.json").read_text())
    lines = (data / "sheet.csv").read_text().rstrip().splitlines()
    for k in range(count):
        pixels = np.random.default_rng(90 + k).normal(size=(64, 64)) * 12 + 60
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(data / "images" / f"new{k}.png")
        content["images"].append({"id": 900 + k, "file_name": f"new{k}.png", "width": 64, "height": 64})
        lines.append(lines[-1].replace(lines[-1].split(",")[0], f"new{k}").replace(lines[-1].split(",")[1], f"N{k}"))
    outline = [5, 5, 15, 5, 15, 15, 5, 15]
    about = {"id": 9000, "image_id": 900, "category_id": 1, "bbox": [5, 5, 10, 10], "segmentation": [outline]}
    content["annotations"].append(about)
    (data / "coco.json").write_text(json.dumps(content))
    (data / "sheet.csv").write_text("\n".join(lines) + "\n")


def test_a_cohort_of_objects_grows_and_is_tested_elsewhere(tmp_path: Path) -> None:
    project = lesions.film_project(tmp_path, "detection")
    away = brighter(tmp_path / "cohort", tmp_path / "away", "x")
    before = read_splits(project.path)["partition"]
    more(tmp_path / "cohort")
    grown = update(project.path)
    assert grown.summary is not None
    assert grown.summary.facts["changed"]["new_cases"] == 2
    after = read_splits(project.path)["partition"]
    assert {case: after[case] for case in before} == before
    content = json.loads((tmp_path / "cohort/coco.json").read_text())
    content["annotations"] = content["annotations"][:-2]  # the new one, and one of before, were mistakes
    (tmp_path / "cohort/coco.json").write_text(json.dumps(content))
    corrected = update(project.path)
    assert corrected.summary is not None
    assert len(corrected.summary.facts["changed"]["corrected_truths"]) == 2

    project = Project.open(project.path)
    train(project, epochs=1)
    other = external(project, "away", away / "images", truth=away / "coco.json", sheet=away / "sheet.csv")
    assert other.summary is not None
    assert "objects: dot" in str(other.summary)
    assert read_external(project, "away").read == 24
    declared = {"hypothesis": "it holds elsewhere", "primary_endpoint": default_endpoint(project.question), "margin": 0.1}
    result = evaluate(project, None, "external:away", declare=declared, panels=False)
    assert (result["n_cases"], result["n_patients"]) == (24, 24)
    assert {found["state"] for row in result["cases"] for found in row["objects"]} <= {"matched", "missed", "false"}
    assert result["external"]["compared_with"] == "tuning"


def scans(folder: Path, count: int = 6) -> Path:
    """NIfTI images whose masks are NRRD: a cube of 1 and one of 2; the last scan holds nothing."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        image = sitk.GetImageFromArray(np.random.default_rng(k).normal(size=(8, 12, 12)).astype(np.float32))
        mask = np.zeros((8, 12, 12), np.uint8)
        if k < count - 1:
            mask[2:4, 2:5, 2:5], mask[5:7, 7:10, 7:10] = 1, 2
        drawn = sitk.GetImageFromArray(mask)
        for made in (image, drawn):
            made.SetSpacing((1.0, 1.0, 2.0))
        sitk.WriteImage(image, str(folder / "images" / f"scan{k}.nii.gz"))
        sitk.WriteImage(drawn, str(folder / "masks" / f"scan{k}.nrrd"))
    assert nibabel.load(folder / "images/scan0.nii.gz").shape == (12, 12, 8)
    return folder


def pictures(folder: Path, count: int = 6) -> Path:
    """PNG films and PNG masks, otherwise as `scans`."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        pixels = np.random.default_rng(k).integers(0, 200, (16, 24)).astype(np.uint8)
        mask = np.zeros((16, 24), np.uint8)
        if k < count - 1:
            mask[2:5, 2:5], mask[7:10, 12:15] = 1, 2
        Image.fromarray(pixels).save(folder / "images" / f"film{k}.png")
        Image.fromarray(mask).save(folder / "masks" / f"film{k}.png")
    return folder


@pytest.mark.parametrize("task", ["detection", "instances"])
@pytest.mark.parametrize("write", [scans, pictures])
def test_masks_as_nrrd_and_png(tmp_path: Path, write: Any, task: str) -> None:
    data = write(tmp_path / "data")
    project = init(tmp_path / "p", data / "images", truth=data / "masks", task=task, names={"1": "cyst", "2": "stone"})
    assert project.summary is not None
    assert "objects: cyst 5 in 5, stone 5 in 5 of 6 images; 1 images have truth and no object" in str(project.summary)
    cohort = project.cohort()
    for case in cohort.cases:
        if case.truth is not None:
            truth = load_truth(cohort, case)
            assert isinstance(truth, Boxes if task == "detection" else Instances)
            assert truth.classes in ((), ("cyst", "stone"))
            edges = np.abs(truth.corners[:, 1] - truth.corners[:, 0])
            assert (edges[:, 1:] == 3).all()
