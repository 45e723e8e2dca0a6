"""A network over slices from training to report and reading: every answer says which slices it rests on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.evaluation.sources.slices_file import NAME, read_slices
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.train import train

SHAPE = (16, 16, 10)  # x, y, slices
TINY = {
    "training.architecture": "slices_attention",
    "training.network": '{encoder = "resnet10", encoder_options = {width = 16}, features = 8, hidden = 8}',
    "training.precision": "float32",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twelve volumes of thick slices, in half of which one slice holds a bright spot."""
    folder = tmp_path_factory.mktemp("spots")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    rows = [["exam", "spot"]]
    for k in range(12):
        image = random.normal(100, 10, SHAPE).astype(np.float32)
        if k % 2:
            image[5:9, 5:9, 2 + k % 6] += 200
        nibabel.save(nibabel.Nifti1Image(image, np.diag([1.0, 1.0, 5.0, 1.0])), folder / "images" / f"exam{k:02d}.nii.gz")
        rows.append([f"exam{k:02d}", ("no", "yes")[k % 2]])
    (folder / "sheet.csv").write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")
    init(folder / "project", folder / "images", group_by="exam", sheet=folder / "sheet.csv", label=("spot",), positive="yes")
    project = Project.open(folder / "project")
    train(project, epochs=1, name="first", overrides=TINY)
    return project


def test_predictions_name_slices_of_the_source(trained: Project) -> None:
    told = read_slices(trained.run("first").predictions / "tuning")
    assert set(told) == {case.case_id for case in trained.cohort().of("tuning")}
    for shares in told.values():
        assert [share.share for share in shares] == sorted((share.share for share in shares), reverse=True)
        assert all(share.number == share.index + 1 and 0 <= share.index < SHAPE[2] for share in shares)
        assert sum(share.share for share in shares) == pytest.approx(1.0, abs=1e-4)
    internal = trained.run("first").predictions / "internal" / NAME
    assert internal.exists()


def test_the_panels_and_the_report_name_them(trained: Project) -> None:
    evaluate(trained, "first")
    run = trained.run("first")
    panels = json.loads((run.path / "panels-tuning" / "panels.json").read_text(encoding="utf-8"))["panels"]
    assert all("; it rests most on slice " in panel["caption"] for panel in panels)
    assert main(["report", str(trained.path), "--run", "first"]) == 0
    assert "rests most on slice" in (run.path / "report.html").read_text(encoding="utf-8")


def test_a_reading_tells_them_in_words_table_and_json(trained: Project, tmp_path: Path, capsys) -> None:
    model = next(trained.run("first").path.glob("*.overread"))
    study = trained.path.parent / "images" / "exam01.nii.gz"
    assert main(["read", str(model), str(study), "--out", str(tmp_path), "--refusal", "off"]) == 0
    assert "Most influential slices:\n  exam01: slice " in capsys.readouterr().out
    (row,) = csv.DictReader((tmp_path / "answers.csv").open(encoding="utf-8"))
    assert row["most influential slices"].endswith("each would have 10 % if all were alike")
    answers = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    assert answers["slices"] == "share of the network's attention"
    first = answers["readings"][0]["slices"][0]
    assert set(first) == {"plane", "number", "index", "share", "even"}
    assert first["plane"] == "slice"


def test_a_damaged_list_of_slices_says_where(tmp_path: Path) -> None:
    assert read_slices(tmp_path) == {}
    (tmp_path / NAME).write_text("case_id,rank,plane\nC-1,1,slice\n", encoding="utf-8")
    with pytest.raises(OverreadError, match="cannot be read at line 2: expected the columns case_id, rank"):
        read_slices(tmp_path)
