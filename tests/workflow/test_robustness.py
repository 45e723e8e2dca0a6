"""`overread robustness` on tiny projects of every task, with models whose weakness is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import Tensor, nn

from overread.cli.main import main
from overread.cohort.some_cases import some_of
from overread.core.case import Case, TruthReference
from overread.core.errors import OverreadError
from overread.core.preparation import Normalisation, Preparation
from overread.core.question import Decisions, OperatingPoint, Question
from overread.reading.model import Model
from overread.reading.predictor import Predictor
from overread.tasks import Scaling, make
from overread.workflow.init import init
from overread.workflow.plan import with_overrides
from overread.workflow.project import Project
from overread.workflow.robust import readings
from overread.workflow.robustness import robustness
from overread.workflow.train import train
from workflow.balls import film_project, volume_project, write_sheet


class Brightness(nn.Module):
    """Calls a film bright by its mean alone."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([3 * mean, -3 * mean], 1)  # classes in alphabetical order: bright, dark


class Threshold(nn.Module):
    """Outlines what is brighter than a value."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([-4 * images, 4 * images], 1)


class Area(nn.Module):
    """Measures a radius by the number of bright pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return (torch.sigmoid(8 * images).sum(dim=(1, 2, 3)) / np.pi).sqrt()[:, None]


def plant(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    network: nn.Module,
    middle: float,
    patch: tuple[int, int, int],
    spacing=None,
) -> None:
    """Let run 'first' have this network, frozen, with a threshold of 0.5; intensities are (value - middle) / 20."""
    question = project.question
    is_dense = question.task == "segmentation"
    is_planar = patch[0] == 1
    preparation = Preparation(
        ("image",), "a.u.", 2 if is_planar else 3, spacing, None if is_dense else patch, patch, is_planar,
        (Normalisation("window", -1000, 1000, middle, 20.0),),
    )  # fmt: skip
    points = (OperatingPoint("bright", 0.5, "0.5"),) if question.task == "classification" else ()
    decisions = Decisions(points)
    scaling = Scaling((0.0,), (1.0,)) if question.task == "regression" else Scaling()
    predictor = Predictor(network.eval(), make(question, scaling=scaling), preparation, decisions)
    card = SimpleNamespace(decisions=decisions, sha256="sha256:planted", state="frozen")
    folder = project.path / "runs" / "first" / "model"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    monkeypatch.setattr("overread.workflow.frozen.load_model", lambda path: Model(card, predictor))  # type: ignore[arg-type]


@pytest.fixture
def bright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Films of two brightnesses, a patient each; a model that goes by brightness; accuracy is what counts."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    rows = []
    for k in range(120):
        is_bright = k % 2 == 0
        values = random.normal(125 if is_bright else 95, 25, (16, 16)) + random.normal(0, 4)
        Picture.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(tmp_path / "images" / f"film{k:03d}.png")
        rows.append({"film": f"film{k:03d}", "patient": f"P{k}", "looks": "bright" if is_bright else "dark"})
    write_sheet(tmp_path / "sheet.csv", rows)
    options = {"group_by": "patient", "label": ["looks"], "positive": "bright", "tuning": 0.6, "internal": 0.2}
    made = init(tmp_path / "project", tmp_path / "images", sheet=tmp_path / "sheet.csv", **options)
    project = Project(made.path, settings=with_overrides(made.settings, {"evaluation.primary_endpoint": "accuracy"}))
    plant(project, monkeypatch, Brightness(), 110, (1, 16, 16))
    return project


def by_severity(result: dict) -> dict[str, dict]:
    return {row["severity"]: row for row in result["rows"]}


def test_a_model_that_goes_by_brightness_drops_under_contrast(bright: Project) -> None:
    ledger = (bright.path / "cohort" / "ledger.jsonl").read_bytes()
    (bright.path / "cohort" / "sealed" / "internal.parquet").rename(bright.path / "hidden")  # nothing here may need it
    result = robustness(bright)
    assert (bright.path / "cohort" / "ledger.jsonl").read_bytes() == ledger
    assert result["n_patients"] == result["n_cases"] == len(bright.cohort().of("tuning"))
    rows = by_severity(result)
    for severity in ("gamma 0.67, brighter", "gamma 1.5, darker"):
        row = rows[severity]
        assert row["clean"] > 0.9
        assert row["drop"]["estimate"] == pytest.approx(row["clean"] - row["degraded"])
        assert row["drop"]["low"] > 0
        assert row["p_holm"] >= row["p"]
        assert row["verdict"] == "drops"
    noise = rows["SD 10 % of the spread"]
    assert noise["drop"]["high"] < 0.15
    assert noise["verdict"] != "drops"
    assert [also["metric"] for also in noise["also"]] == ["sensitivity", "specificity"]
    lost = {also["metric"]: also["drop"]["estimate"] for also in rows["gamma 0.67, brighter"]["also"]}
    assert lost["specificity"] > 0.2
    assert lost["sensitivity"] < 0.1  # too much is called bright, as the threshold stays
    assert {row["degradation"] for row in result["not_run"]} == {"bias-field", "k-space", "low-dose", "missing-slices"}
    assert any("internal test stays sealed" in note for note in result["notes"])
    written = (bright.path / "runs" / "first" / "robustness.json").read_text()
    assert json.loads(written)["rows"] == json.loads(json.dumps(result["rows"]))
    assert "film0" not in written
    assert str(bright.path) not in written
    picture = Picture.open(bright.path / "runs" / "first" / "robustness.png")
    assert picture.size[0] == 1100


def test_it_says_the_same_again_and_of_fewer_cases(bright: Project) -> None:
    few = robustness(bright, only=["noise", "adversarial"], limit=20)
    assert (few["n_cases"], few["of_cases"]) == (20, len(bright.cohort().of("tuning")))
    assert any("20 of" in note and "--limit" in note for note in few["notes"])
    assert {row["degradation"] for row in few["rows"]} == {"noise", "adversarial"}
    again = robustness(bright, only=["adversarial", "noise"], limit=20)
    assert again["rows"] == few["rows"]
    with pytest.raises(OverreadError, match="--limit 0 leaves no case"):
        robustness(bright, limit=0)


def test_fewer_cases_are_of_as_many_patients_as_can_be_and_of_all_classes() -> None:
    question = Question("classification", ("a", "b"), positive="b")
    cases = [
        Case(f"c{k}", f"p{k // 3}", f"e{k}", (), TruthReference({"a": float(k % 9 > 2), "b": float(k % 9 <= 2)}))
        for k in range(36)
    ]
    some = some_of(cases, question, 8)
    assert len({case.patient_id for case in some}) == 8
    assert sum(case.truth.values["b"] for case in some if case.truth) == 4
    assert some_of(cases, question, 8) == some
    assert [case.case_id for case in some] == [case.case_id for case in cases if case in some]
    assert some_of(cases, question, 99) == tuple(cases)


def test_a_small_step_against_the_model_costs_more_than_noise_of_its_size(bright: Project) -> None:
    project = Project(bright.path, settings=with_overrides(bright.settings, {"evaluation.primary_endpoint": "brier"}))
    row = by_severity(robustness(project, only=["adversarial"]))["epsilon 5 % of the spread"]
    assert row["drop"]["estimate"] > 0
    assert row["drop"]["low"] > 0


def test_an_endpoint_without_a_worse_side_is_replaced_aloud(bright: Project) -> None:
    for asked in ("calibration_slope", "ece"):
        project = Project(bright.path, settings=with_overrides(bright.settings, {"evaluation.primary_endpoint": asked}))
        result = robustness(project, only=["jpeg"])
        assert result["endpoint"]["metric"] == "auc"
        assert any(f"primary endpoint {asked} is not taken" in note for note in result["notes"])


def test_ctrl_c_leaves_nothing_half_written(bright: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def stop(*given: object) -> object:
        calls.append(given)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return readings.read_under(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("overread.workflow.robustness.read_under", stop)
    with pytest.raises(KeyboardInterrupt):
        robustness(bright)
    assert {path.name for path in (bright.path / "runs" / "first").iterdir()} == {"model"}


def test_outlines_are_scored_and_turned_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = volume_project(tmp_path, tuning=0.5, internal=0.2)
    plant(project, monkeypatch, Threshold(), 175, (16, 16, 16), spacing=(2.0, 1.0, 1.0))
    result = robustness(project)
    assert result["endpoint"]["metric"] == "dice"
    rows = by_severity(result)
    assert rows["5 degrees"]["clean"] > 0.95
    assert rows["15 degrees"]["degraded"] > 0.8  # not turned back, the ball would still be a ball: see the next line
    assert rows["1 in 4"]["drop"]["estimate"] > 0
    assert rows["SD 40 % of the spread"]["degraded"] < rows["SD 10 % of the spread"]["degraded"]
    assert all(row["verdict"] == "too few to say" for row in result["rows"])  # fewer than ten patients
    assert any("turned back onto the image" in note for note in result["notes"])
    assert {row["degradation"] for row in result["not_run"]} == {"bias-field", "k-space", "low-dose"}
    assert {row["degradation"] for row in result["done"]} >= {"adversarial", "missing-slices", "rotation"}


def test_a_measured_number_gets_worse_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = film_project(tmp_path, "radius", task="regression")
    plant(project, monkeypatch, Area(), 175, (1, 32, 32))
    result = robustness(project, only=["contrast", "blur", "adversarial"])
    assert result["endpoint"]["metric"] == "mae"
    assert result["tolerance"] == pytest.approx(0.1 * result["rows"][0]["clean"], rel=1e-6)
    worst = by_severity(result)["sigma 4 pixels"]
    assert worst["drop"]["estimate"] == pytest.approx(worst["degraded"] - worst["clean"])
    assert worst["drop"]["estimate"] > 0


def test_what_cannot_be_tried_is_named(bright: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        OverreadError, match=r"There is no degradation 'nose'\. Did you mean 'noise'\?(?s:.*)noise, blur, contrast"
    ):
        robustness(bright, only=["nose"])
    with pytest.raises(OverreadError, match=r"Nothing of this can be tried on these images\. Missing slices: these are single"):
        robustness(bright, only=["missing-slices"])
    with pytest.raises(OverreadError, match=r"There is no run 'second' in this project \(runs: first\)"):
        robustness(bright, "second")
    with pytest.raises(OverreadError, match="has partitions, no folds"):
        robustness(bright, fold=1)
    (bright.path / "runs" / "empty").mkdir()
    with pytest.raises(OverreadError, match=r"Run 'empty' has no model, so there is nothing that could read(?s:.*)train"):
        robustness(bright, "empty")
    (bright.path / "runs" / "empty" / "baseline.json").write_text("{}")
    with pytest.raises(OverreadError, match="is a baseline of hand-made features and has no network"):
        robustness(bright, "empty")
    assert main(["robustness", str(bright.path), "--run", "nobody"]) == 2
    assert "There is no run 'nobody'" in capsys.readouterr().err


def test_a_trained_model_through_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = film_project(tmp_path, "ball", positive="large")
    train(project, epochs=1, overrides={"training.batch": "8", "training.architecture": "resnet10"})
    assert main(["robustness", str(project.path), "--only", "noise,adversarial"]) == 0
    said = capsys.readouterr().out
    assert "Area under the ROC curve, large:" in said
    assert "epsilon 1 % of the spread" in said
    assert "At the frozen threshold" in said
    assert "The internal test stays sealed." in said
    assert f"Next: overread report {project.path} --run first" in said
    assert "answered otherwise now" not in said
