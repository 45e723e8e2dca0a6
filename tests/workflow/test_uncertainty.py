"""`overread uncertainty` on tiny projects: planted ambiguity and planted noise, every task, the seal, the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import Tensor, nn

from overread.cli.main import main
from overread.cohort.load import load_image
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, OperatingPoint
from overread.reading.model import Model
from overread.reading.predictor import Predictor
from overread.record.files import read_json, write_json
from overread.tasks import make
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.uncertainty import uncertainty
from workflow import lesions
from workflow.balls import film_project, volume_project, write_sheet
from workflow.untrained import untrained

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SMALL = {"architecture": "resnet10", "dropout": "0.3"}


class Brightness(nn.Module):
    """Calls a film bright by its mean alone; unsure near the middle; thinned at random where it is asked to be."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)

    def forward(self, images: Tensor) -> Tensor:
        mean = self.dropout(images.flatten(1)).mean(dim=1)
        return torch.stack([4 * mean, -4 * mean], 1)  # classes in alphabetical order: bright, dark


def films(folder: Path, monkeypatch: pytest.MonkeyPatch, *, noise: bool) -> Project:
    """Films of all brightnesses. Ambiguous: near the middle the label is a coin toss. Noise: one in four labels is wrong,
    wherever the film lies. The model goes by brightness."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(150):
        level = random.uniform(-25, 25)
        Picture.fromarray(np.clip(random.normal(110 + level, 4, (16, 16)), 0, 255).astype(np.uint8)).save(
            folder / "images" / f"film{k:03d}.png"
        )
        is_turned = random.random() < 0.25 if noise else abs(level) < 8 and random.random() < 0.5
        looks = "bright" if (level > 0) != is_turned else "dark"
        rows.append({"film": f"film{k:03d}", "patient": f"P{k}", "looks": looks})
    write_sheet(folder / "sheet.csv", rows)
    options = {"group_by": "patient", "label": ["looks"], "positive": "bright", "tuning": 0.7, "internal": 0.15}
    project = init(folder / "project", folder / "images", sheet=folder / "sheet.csv", **options)
    run = untrained(project, "first", **SMALL)
    preparation = Preparation(
        ("image",), "a.u.", 2, None, (1, 16, 16), (1, 16, 16), True, (Normalisation("window", -1000, 1000, 110, 20.0),)
    )
    decisions = Decisions((OperatingPoint("bright", 0.5, "0.5"),))
    predictor = Predictor(Brightness().eval(), make(project.question), preparation, decisions)
    card = SimpleNamespace(decisions=decisions, sha256=read_json(run.model / "model.json")["sha256"], state="frozen")
    monkeypatch.setattr("overread.workflow.frozen.load_model", lambda path: Model(card, predictor))  # type: ignore[arg-type]
    answers = run.predictions / "tuning" / "answers.csv"
    with open(answers, encoding="utf-8") as file:
        ids = [row["case_id"] for row in csv.DictReader(file)]
    cohort = project.cohort()
    by_id = {case.case_id: case for case in cohort.cases}
    with open(answers, "w", encoding="utf-8") as file:
        file.write("case_id,bright,dark\n")
        for case_id in ids:
            bright, dark = predictor.raw_of(predictor.prepare(load_image(cohort, by_id[case_id])))
            file.write(f"{case_id},{float(bright)!r},{float(dark)!r}\n")
    card_file = run.model / "model.json"
    values = read_json(card_file)
    values["decisions"] = decisions.as_dict()
    card_file.write_text(json.dumps(values))
    return project


def measures(told: dict) -> dict[str, dict]:
    return {row["measure"]: row for row in told["measures"]}


def test_ambiguous_films_are_known_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = films(tmp_path, monkeypatch, noise=False)
    (project.path / "cohort" / "sealed" / "internal.parquet").rename(project.path / "hidden")  # nothing here may need it
    result = uncertainty(project, by=["dropout"], passes=5)
    told = result["partitions"]["tuning"]
    found = measures(told)
    assert found["entropy"]["detection"]["low"] > 0.75
    assert found["entropy"]["aurc"]["estimate"] < found["entropy"]["curve"]["risk"][-1] / 2
    assert told["n_judged"] == told["n_cases"] == len(project.cohort().of("tuning"))
    assert told["limit"]["limit"] is not None
    assert told["limit"]["told"]["above"]["right"]["estimate"] <= 0.05


def test_noise_in_the_labels_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = films(tmp_path, monkeypatch, noise=True)
    found = measures(uncertainty(project, by=["dropout"], passes=5)["partitions"]["tuning"])
    assert found["entropy"]["detection"]["low"] < 0.5 < found["entropy"]["detection"]["high"]
    page = (project.run("first").path / "explanation.html").read_text()
    assert "is not shown to be more than chance" in page


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Classified films with a run that has dropout."""
    project = film_project(tmp_path_factory.mktemp("films"), "ball", positive="large")
    untrained(project, "first", **SMALL)
    return project


def test_the_journey_through_the_program(balls: Project, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = (balls.path / "cohort" / "ledger.jsonl").read_bytes()
    assert main(["uncertainty", str(balls.path), "--passes", "3"]) == 0
    told = capsys.readouterr().out
    assert "3 readings each, by dropout" in told
    assert "Not used: members. This is one network" in told
    assert f"Next: overread report {balls.path} --run first" in told
    assert (balls.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    folder = balls.run("first").path / "explanation" / "uncertainty"
    with open(folder / "tuning.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["case_id"] for row in rows} == {case.case_id for case in balls.cohort().of("tuning")}
    for row in rows:
        parts = float(row["expected_entropy"]) + float(row["mutual_information"])
        assert parts == pytest.approx(float(row["entropy"]), abs=1e-5)
        assert row["wrong"] in "01"
    page = (balls.run("first").path / "explanation.html").read_text()
    assert "What is judged is the model's own answer" in page.replace("&#39;", "'")
    assert str(balls.path) not in page
    assert "film0" not in page

    assert main(["uncertainty", str(balls.path), "--json", "--limit", "4", "--passes", "3"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["partitions"]["tuning"]["n_cases"] == 4
    assert main(["uncertainty", str(balls.path), "--by", "members"]) == 2
    assert "overread ensemble DIR --runs A,B,C" in capsys.readouterr().err


def test_the_internal_test_is_looked_at_only_after_it_was_opened(balls: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uncertainty", str(balls.path), "--on", "internal", "--passes", "2"]) == 2
    refused = capsys.readouterr().err
    assert "has not been opened for this model" in refused
    assert "--on internal" in refused
    assert not [entry for entry in balls.ledger.entries() if entry["entry"] == "opening"]
    opened = ["--on", "internal", "--yes", "--hypothesis", "it works", "--primary-endpoint", "auc", "--margin", "0.4"]
    assert main(["evaluate", str(balls.path), *opened]) == 0
    ledger = (balls.path / "cohort" / "ledger.jsonl").read_bytes()
    uncertainty(balls, passes=2)
    result = uncertainty(balls, on="internal", passes=2)
    assert (balls.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    assert list(result["partitions"]) == ["tuning", "internal"]
    told = result["partitions"]["internal"]
    assert told["n_judged"] == len(balls.cohort().of("internal"))
    tuned = result["partitions"]["tuning"]["limit"]
    assert (told["limit"] is None) == (tuned is None)
    assert told["limit"]["limit"] == tuned["limit"]
    again = uncertainty(balls, on="internal", passes=3)["partitions"]["internal"]
    assert again["limit"] is None
    assert any("No limit is shown" in note for note in again["notes"])
    path = balls.run("first").evaluation("internal")
    found = read_json(path)
    found["cases"][0] |= {"refused": "view", "answer": dict.fromkeys(found["cases"][0]["answer"]), "called": []}
    write_json(path, found)
    left = uncertainty(balls, on="internal", passes=2)["partitions"]["internal"]
    assert left["n_judged"] == told["n_judged"] - 1
    assert any("refused or not to be read: 1. There they count as errors" in note for note in left["notes"])
    files = {path.name for path in (balls.run("first").path / "explanation" / "uncertainty").iterdir()}
    assert {"tuning.csv", "internal.csv"} <= files


def test_masks_have_maps_on_the_grid_of_the_image(tmp_path: Path) -> None:
    project = volume_project(tmp_path, tuning=0.5, internal=0.2)
    run = untrained(project, "first", patch="16,16,16")
    result = uncertainty(project, by=["changes"], passes=2)
    told = result["partitions"]["tuning"]
    cases = project.cohort().of("tuning")
    for case in cases:
        for name in ("entropy", "mutual_information"):
            file = nibabel.load(run.path / "explanation" / "uncertainty-maps" / "tuning" / f"{case.case_id}_{name}.nii.gz")
            assert file.shape == (20, 18, 16)
            assert file.header.get_zooms() == (1.0, 1.0, 2.0)
            assert np.asarray(file.dataobj).min() >= 0
    assert set(measures(told)) == {"entropy", "mutual_information", "volume_cv", "dice_loss", "1 - confidence"}
    assert all(row["detection"] is None for row in told["measures"])
    assert len(told["pictures"]) == 3
    assert told["limit"]["of"] == "answers"


def test_numbers_have_a_spread_and_no_confidence(tmp_path: Path) -> None:
    project = film_project(tmp_path, "radius", task="regression")
    untrained(project, "first", **SMALL)
    result = uncertainty(project, passes=3)
    (row,) = result["partitions"]["tuning"]["measures"]
    assert row["measure"] == "sd"
    assert row["spearman"]["n_cases"] == len(project.cohort().of("tuning"))
    assert row["against"] == {}
    assert "one number and no spread of its own" in (project.run("first").path / "explanation.html").read_text()


def test_objects_are_looked_for_again(tmp_path: Path) -> None:
    project = lesions.film_project(tmp_path, "detection")
    untrained(project, "first")
    result = uncertainty(project, by=["changes"], passes=2)
    told = result["partitions"]["tuning"]
    assert [row["measure"] for row in told["measures"]] == ["disagreement", "score_sd", "1 - confidence"]
    assert told["objects"]["n_lost"] == 0
    assert [row["measure"] for row in told["objects"]["measures"]] == ["not found again", "score_sd", "1 - confidence"]


def test_what_cannot_be_asked_is_named(balls: Project) -> None:
    with pytest.raises(OverreadError, match="There is no way 'drop' to answer several times"):
        uncertainty(balls, by=["drop"])
    with pytest.raises(OverreadError, match="no partition 'training'"):
        uncertainty(balls, on="training")
    with pytest.raises(OverreadError, match="There is no run 'second'"):
        uncertainty(balls, "second")
