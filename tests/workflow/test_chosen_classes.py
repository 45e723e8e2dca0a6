"""Some classes of the truth are asked, the others are background: drawn objects, masks with names, segments; then updates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from cohort.labels.test_journeys import ct_cohort
from overread.cohort.fingerprint import fingerprint
from overread.cohort.load import load_truth
from overread.core.errors import OverreadError
from overread.core.kinds import Boxes, Instances, LabelMap, Structure
from overread.imaging.dicom.seg import write_seg
from overread.imaging.dicom.volume import open_dicom
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.update import update
from workflow import lesions


def films(folder: Path) -> dict[str, Any]:
    data = lesions.films(folder, 16)
    return {"images": data / "images", "truth": data / "coco.json", "sheet": data / "sheet.csv", "group_by": "patient"}


def two_kinds(folder: Path, count: int = 8) -> Path:
    """`images/` and `masks/`: a cube of 1 and, in every second scan, one of 2."""
    for k in range(count):
        mask = np.zeros((12, 12, 8), np.uint8)
        mask[2:5, 2:5, 2:5] = 1
        mask[7:10, 7:10, 4:6] = 2 * (k % 2)
        image = np.random.default_rng(k).normal(size=mask.shape).astype(np.float32)
        for part, array in (("images", image), ("masks", mask)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / part / f"scan{k:02d}.nii.gz")
    return folder


def told(project: Project) -> str:
    assert project.summary is not None
    return "\n".join(project.summary.lines)


def test_of_drawn_objects_one_class_is_asked(tmp_path: Path) -> None:
    given = films(tmp_path / "films")
    project = init(tmp_path / "p", task="detection", classes=("Bar",), **given)
    assert project.question.classes == ("bar",)
    line = re.search(r"not asked, so background: dot \((\d+) in (\d+)\) of 16 images; a model that marks one", told(project))
    assert line is not None
    content = json.loads((tmp_path / "films/coco.json").read_text())
    dots = [a["image_id"] for a in content["annotations"] if a["category_id"] == 1]
    assert (int(line[1]), int(line[2])) == (len(dots), len(set(dots)))
    text = (tmp_path / "p/project.toml").read_text()
    assert re.search(r'others = \["dot"\] +# you asked for the others alone: these are background', text)
    cohort = Project.open(tmp_path / "p").cohort()
    truths = [load_truth(cohort, case) for case in cohort.cases if case.truth is not None]
    assert {name for t in truths if isinstance(t, Boxes) for name in t.classes} == {"bar"}
    assert set(fingerprint(cohort).objects) == {"bar"}
    assert "nothing changed" in told(update(tmp_path / "p"))


def test_a_project_can_ask_for_less_in_its_settings(tmp_path: Path) -> None:
    init(tmp_path / "p", task="detection", **films(tmp_path / "films"))
    settings = tmp_path / "p" / "project.toml"
    text = settings.read_text().replace('classes = ["dot", "bar"]', 'classes = ["bar"]\nothers = ["dot"]')
    settings.write_text(text.replace("values = [1, 2]", "values = [2]"))
    cohort = Project.open(tmp_path / "p").cohort()
    truths = [load_truth(cohort, case) for case in cohort.cases if case.truth is not None]
    assert {name for t in truths if isinstance(t, Boxes) for name in t.classes} == {"bar"}
    again = update(tmp_path / "p")
    assert "nothing changed" in told(again)
    assert Project.open(tmp_path / "p").question.classes == ("bar",)


def test_a_class_that_comes_later_has_to_be_named(tmp_path: Path) -> None:
    given = films(tmp_path / "films")
    init(tmp_path / "p", task="detection", classes=("dot",), **given)
    content = json.loads(given["truth"].read_text())
    content["categories"].append({"id": 3, "name": "star"})
    given["truth"].write_text(json.dumps(content))
    with pytest.raises(OverreadError, match=r"class 'star', which stands neither in question\.classes nor in question\.others"):
        update(tmp_path / "p")
    settings = tmp_path / "p" / "project.toml"
    settings.write_text(settings.read_text().replace('["bar"]', '["bar", "star"]'))
    assert update(tmp_path / "p").question.classes == ("dot",)


def test_a_class_that_is_not_there_is_refused(tmp_path: Path) -> None:
    given = films(tmp_path / "films")
    with pytest.raises(OverreadError, match="The truth has no class 'barr'; it has dot, bar") as no:
        init(tmp_path / "p", task="detection", classes=("barr",), **given)
    assert no.value.next == "say --class 'bar'"
    words = {k: v for k, v in given.items() if k != "truth"}
    with pytest.raises(OverreadError, match="--class x chooses among drawn classes, and the truth is values"):
        init(tmp_path / "p", task="classification", label=("patient",), classes=("x",), **words)
    data = two_kinds(tmp_path / "scans")
    with pytest.raises(OverreadError, match="it has none with a name") as no:
        init(tmp_path / "p", data / "images", truth=data / "masks", task="detection", classes=("rod",))
    assert "--name 2=metastasis" in no.value.next
    names = {"1": "cube", "2": "rod"}
    with pytest.raises(OverreadError, match="with --objects values all objects are of one class"):
        init(
            tmp_path / "p",
            data / "images",
            truth=data / "masks",
            task="detection",
            classes=("rod",),
            objects="values",
            names=names,
        )


def test_findings_are_chosen_too(tmp_path: Path) -> None:
    project = init(tmp_path / "p", task="classification", classes=("bar",), **films(tmp_path / "films"))
    assert project.question.classes == ("bar",)
    assert "not asked: dot" in told(project)


@pytest.mark.parametrize("task", ["instances", "segmentation"])
def test_of_masks_one_value_is_asked(tmp_path: Path, task: str) -> None:
    data = two_kinds(tmp_path / "scans")
    words: dict[str, Any] = {"truth": data / "masks", "names": {"1": "cube", "2": "rod"}, "task": task}
    project = init(tmp_path / "p", data / "images", classes=("rod",), **words)
    assert (project.question.classes, project.question.values) == (("rod",), (2,))
    assert "not asked, so background: cube (" in told(project)
    cohort = Project.open(tmp_path / "p").cohort()
    for case in cohort.cases:
        if case.truth is None:
            continue
        truth = load_truth(cohort, case)
        if isinstance(truth, LabelMap):
            assert set(np.unique(truth.layers)) <= {0, 2}
        else:
            assert isinstance(truth, Instances)
            assert set(truth.classes) <= {"rod"}
            assert all(piece.voxels == 18 for piece in truth.pieces)
    assert "nothing changed" in told(update(tmp_path / "p"))
    stray = nibabel.load(data / "masks/scan00.nii.gz")
    array = np.asarray(stray.dataobj).astype(np.uint8)
    array[0, 0, 0] = 7
    nibabel.save(nibabel.Nifti1Image(array, stray.affine), data / "masks/scan00.nii.gz")
    with pytest.raises(OverreadError, match="holds 7, which nobody declared"):
        update(tmp_path / "p")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_of_segments_one_is_asked(tmp_path: Path, task: str) -> None:
    for k, files in enumerate(ct_cohort(tmp_path / "images", 4)):
        grid = open_dicom(files).grid
        layers = np.zeros((1, *grid.shape), np.uint8)
        layers[0, 1, 1:4, 1:3], layers[0, 2, 1, 1] = 1, 2
        segments = (Structure("liver", 1), Structure("lesion", 2))
        write_seg(tmp_path / "truth" / f"{k}.dcm", LabelMap(layers, segments, grid), files)
    words: dict[str, Any] = {"truth": tmp_path / "truth", "task": task}
    project = init(tmp_path / "p", tmp_path / "images", classes=("lesion",), **words)
    assert (project.question.classes, project.question.values) == (("lesion",), (1,))
    assert "segments were chosen, and joined by their names: 1 = lesion" in told(project)
    cohort = Project.open(tmp_path / "p").cohort()
    for case in cohort.cases:
        if case.truth is not None:
            truth = load_truth(cohort, case)
            assert (
                truth.mask("lesion").sum() == truth.layers.sum() == 1 if isinstance(truth, LabelMap) else len(truth.classes) == 1
            )
    assert "nothing changed" in told(update(tmp_path / "p"))
