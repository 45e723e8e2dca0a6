"""Structures on true and made images, compared: an eraser is caught, folders of masks stand without a project."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import overread
from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.core.question import Question
from overread.imaging.nifti import open_nifti, write_nifti
from overread.record.files import read_json, write_json
from overread.workflow import structures as room

GRID = Grid.from_spacing((8, 16, 16), (2.0, 1.0, 1.0))


def volume(seed: int) -> np.ndarray:
    """A body with two bright lesions."""
    random = np.random.default_rng(seed)
    made = random.normal(100, 3, GRID.shape).astype(np.float32)
    for y, x in ((4, 4), (11, 10 + seed % 3)):
        made[3:5, y - 1 : y + 2, x - 1 : x + 2] = 200
    return made


class Thresholder:
    """Draws what is bright: a stand-in for a network of segmentation."""

    def prepare(self, image):
        return image

    def answer(self, image) -> LabelMap:
        return LabelMap((image.array > 150).astype(np.uint8), (Structure("lesion", 1),), image.grid)


@pytest.fixture
def project(tmp_path: Path):
    """A project of restored volumes, trained for a moment."""
    for k in range(8):
        (tmp_path / "images").mkdir(exist_ok=True)
        write_nifti(tmp_path / "images" / f"p{k}.nii.gz", volume(k), GRID)
    made = overread.init(tmp_path / "p", images=tmp_path / "images", task="restore", degradation="noise:0.2")
    made.train(epochs=1, name="first", overrides={"training.architecture": "voxelwise", "training.patch": "8,16,16"})
    return made


def test_an_eraser_is_caught(project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(
        sha256="sha256:toy",
        question=SimpleNamespace(classes=("lesion",)),
        preparation=SimpleNamespace(channels=("image",), units="a.u."),
    )
    monkeypatch.setattr(room, "_segmenter", lambda path: SimpleNamespace(card=card, predictor=Thresholder()))
    folder = project.run("first").predictions / "tuning"
    for case in project.cohort().of("tuning"):
        path = folder / f"{case.case_id}.nii.gz"
        answer = open_nifti(path)
        truth = volume(0)
        erased = np.where(np.indices(GRID.shape)[1] < 8, np.minimum(truth, 110), truth)
        write_nifti(path, erased.astype(np.float32), answer.grid)
    found = room.structures(project, tmp_path, "first", lesions=["lesion"])
    erased_share = next(row for row in found["scores"] if row["metric"] == "erased")
    assert erased_share["interval"]["estimate"] == pytest.approx(0.5)
    assert "erased" in found["sentences"][0]
    assert (project.run("first").path / room.FILE).exists()
    assert {row["case_id"] for row in found["cases"]} == {case.case_id for case in project.cohort().of("tuning")}
    page = project.report(run_name="first").read_text(encoding="utf-8")
    assert '<h2 id="structures">Structures before and after</h2>' in page
    assert found["sentences"][0] in page
    assert "An erased lesion cannot be seen by anybody who is shown the answer alone" in page
    described = read_json(folder / "answers.json")
    write_json(folder / "answers.json", {**described, "model": "sha256:of a later training"})
    assert "Structures before and after" not in project.report(run_name="first").read_text(encoding="utf-8")


def test_only_a_model_of_segmentation_draws_structures(project, tmp_path: Path) -> None:
    model = next(project.run("first").path.glob("*.overread"))
    with pytest.raises(OverreadError, match="drawn by a model of segmentation"):
        room.structures(project, model, "first")
    findings = SimpleNamespace(question=Question("classification", ("no", "yes")))
    with pytest.raises(OverreadError, match="compared on images that a model answered with"):
        room.structures(findings, model, "first")


def test_folders_of_masks_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(6):
        mask = (volume(k) > 150).astype(np.uint8)
        for name, kept in (("true", mask), ("made", mask * (np.indices(GRID.shape)[1] > 8))):
            (tmp_path / name).mkdir(exist_ok=True)
            write_nifti(tmp_path / name / f"c{k}.nii.gz", kept.astype(np.uint8), GRID)
    words = ["structures", "--true", str(tmp_path / "true"), "--made", str(tmp_path / "made"), "--lesion", "label 1"]
    assert main(words) == 0
    assert "6 of 12 erased" in capsys.readouterr().out
