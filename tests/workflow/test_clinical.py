"""Clinical values beside an image, from the sheet to an answer: what only the sheet knows is learned, nothing else changes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from overread.cli.main import main
from overread.cohort.load import load_image
from overread.core.errors import OverreadError
from overread.explanation.asked import ask
from overread.explanation.flips.answered import answered
from overread.explanation.targets import targets_of
from overread.metrics.ranking import auc as area
from overread.reading.adversarial import attacked
from overread.reading.ensemble import Ensemble
from overread.reading.model import load_model
from overread.reading.predictor import Predictor
from overread.reading.uncertain_passes import raws_of
from overread.reading.uncertain_ways import Ways
from overread.workflow.explanations.fused import explain_fused
from overread.workflow.explanations.subject import subject_of
from overread.workflow.init import init
from overread.workflow.learning.plan_file import read_plan
from overread.workflow.plan import plan
from overread.workflow.project import Project
from overread.workflow.read import load
from overread.workflow.train import train
from workflow import balls
from workflow.aged_films import aged_project

SMALL = {"training.architecture": "resnet10", "training.network.width": "8", "training.precision": "float32"}
BOTH = {"training.clinical": "age,sex"}


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A run "fused" that reads age and sex beside the films, and a run "image" that reads these alone."""
    project = aged_project(tmp_path_factory.mktemp("aged"))
    train(project, name="fused", epochs=5, overrides={**SMALL, **BOTH})
    train(project, name="image", epochs=1, overrides=SMALL)
    return project


def model_of(project: Project, run: str) -> Path:
    return project.path / "runs" / run / f"{project.name}-{run}.overread"


def auc(project: Project, run: str) -> float:
    """Of the answers to the tuning cases, without the intervals that `evaluate` takes its time for."""
    truth = {c.case_id: c.truth.values["ill"] for c in project.cohort().of("tuning") if c.truth is not None}
    with open(project.run(run).predictions / "tuning" / "answers.csv", newline="") as stream:
        answers = {row["case_id"]: float(row["ill"]) for row in csv.DictReader(stream)}
    found = area(np.array([truth[c] == 1 for c in answers]), np.array(list(answers.values())))
    assert found is not None
    return found


def test_what_only_age_tells_is_learned_by_the_fused_network_alone(aged: Project) -> None:
    assert auc(aged, "fused") > 0.9
    assert auc(aged, "image") < 0.8


def test_the_plan_says_what_was_fitted_and_warns_of_what_tells_too_much(aged: Project, tmp_path: Path) -> None:
    made = read_plan(aged.run("fused").plan)  # refused if it were not the plan that was written
    clinical = made.preparation.clinical
    assert clinical is not None
    ages = [float(c.covariates["age"]) for c in aged.cohort().of("training") if "age" in c.covariates]
    age, sex = clinical.variables
    assert np.allclose([age.mean, age.sd, age.low, age.high], [np.mean(ages), np.std(ages), min(ages), max(ages)])
    assert (sex.levels, age.known) == (("F", "M"), len(ages))
    assert made.network["fusion"] == {"by": "concatenation", "values": 6, "summary": 32}
    assert made.augmentation.hide_clinical == 0.1
    assert "hidden in 10%" in made.reasons["hide_clinical"]
    assert made.reasons["known_too_late"].startswith("WARNING: 'age' alone tells apart 'ill'")
    without = read_plan(aged.run("image").plan)
    assert "clinical" not in without.as_dict()["preparation"]
    changed = replace(without, augmentation=replace(without.augmentation, hide_clinical=0.3))
    assert changed.identity == without.identity  # plans of before there was such a choice keep their identity
    by_grade = {**SMALL, "training.clinical": "grade", "training.fusion": "modulation"}
    told = plan(aged, "grade", overrides=by_grade, preflight=False)
    warned = told.plan.reasons["known_too_late"]
    assert "'grade' alone tells apart 'ill' in the training cases (area under the curve 1.00)" in warned
    assert told.cache.folder == plan(aged, "plain", overrides=SMALL, preflight=False).cache.folder  # images are prepared once


def test_the_model_file_reads_with_values_with_a_sheet_and_without(aged: Project, tmp_path: Path) -> None:
    films = aged.path.parent / "films"
    model, film = model_of(aged, "fused"), films / "P000.png"

    def read(*words: str | Path) -> tuple[int, dict[str, Any]]:
        code = main(["read", str(model), *map(str, words), "--out", str(tmp_path / "out"), "--refusal", "off"])
        return code, json.loads((tmp_path / "out" / "answers.json").read_text())

    code, old = read(film, "--clinical", "age=85,sex=F")
    assert (code, old["readings"][0]["clinical"]) == (0, {"age": "85", "sex": "F"})
    _, young = read(film, "--clinical", "AGE=35,sex=F")
    assert old["readings"][0]["probability of ill"] > young["readings"][0]["probability of ill"] + 0.2
    _, none = read(film)
    assert none["readings"][0]["clinical"] == {"age": None, "sex": None}
    assert "the model also reads age, sex, which are missing here" in none["readings"][0]["warnings"]
    _, odd = read(film, "--clinical", "age=350,sex=Q")
    assert any("age 350 lies outside of training" in w for w in odd["readings"][0]["warnings"])
    assert any("sex 'Q' did not occur in training (F, M); it counts as other" in w for w in odd["readings"][0]["warnings"])
    sheet = tmp_path / "later.csv"
    sheet.write_text("name;Patient_Age;sex\nP000;85;F\nP002;;M\n")
    _, several = read(film, films / "P001.png", films / "P002.png", "--clinical", sheet)
    first, second, third = several["readings"]
    assert first["probability of ill"] == old["readings"][0]["probability of ill"]
    assert second["clinical"] == {"age": None, "sex": None}
    assert "the sheet later.csv has no row for this study" in second["warnings"]
    assert third["clinical"] == {"age": None, "sex": "M"}
    by_python = load(model, refusal="off").read(film, clinical={"age": 85, "sex": "F"})
    assert by_python.missing == ()
    assert load(model, refusal="off").read(film).missing == ("age", "sex")


def test_what_the_user_can_put_right_when_reading(aged: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, fused = aged.path.parent / "films", model_of(aged, "fused")
    sheet, rows = tmp_path / "rows.csv", tmp_path / "text.csv"
    sheet.write_text("name,weight\nP000,80\n")
    rows.write_text("name,age\nP000,old\n")

    def said(model: Path, *words: str) -> str:
        assert main(["read", str(model), *words, "--out", str(tmp_path / "out")]) == 2
        return capsys.readouterr().err

    film, other = str(films / "P000.png"), str(films / "P001.png")
    assert "The model reads no 'aeg' beside the image. Did you mean 'age'?" in said(fused, film, "--clinical", "aeg=5")
    assert "'age' is 'old'; a number was expected, as in training" in said(fused, film, "--clinical", "age=old")
    assert "of one patient, and 2 studies were given" in said(fused, film, other, "--clinical", "age=50")
    assert "neither a sheet nor a list of values" in said(fused, film, "--clinical", "=50,age=3")
    assert "has no column that the model reads (age, sex); it has name, weight" in said(fused, film, "--clinical", str(sheet))
    assert "'age' is 'old'" in said(fused, film, "--clinical", str(rows))  # of a study: it is not answered
    assert "This model reads images alone" in said(model_of(aged, "image"), film, "--clinical", "age=50")


def test_columns_that_cannot_be_learned_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    random = np.random.default_rng(0)
    with open(tmp_path / "sheet.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "label", "crp", "ward", "empty"])
        for k in range(40):
            Image.fromarray(random.integers(0, 255, (16, 16), dtype=np.uint8)).save(tmp_path / "films" / f"{k}.png")
            writer.writerow([f"{k}.png", "ab"[k % 2], "high" if k == 7 else k / 10, f"ward {k}", ""])
    kept = ["crp", "ward", "empty"]
    made = init(
        tmp_path / "p", images=tmp_path / "films", sheet=tmp_path / "sheet.csv", label=["label"], positive="a", covariates=kept
    )

    def refused(column: str, **more: str) -> str:
        with pytest.raises(OverreadError) as error:
            plan(made, "x", overrides={"training.clinical": column, **more}, preflight=False)
        return error.value.what

    assert "The cohort keeps no column 'crpp'. Did you mean 'crp'?" in refused("crpp")
    assert "Column 'crp' holds numbers, and text in 1 of 40 cases: 'high' of C-" in refused("crp")
    assert "No word of column 'ward' is shared by 3 training cases" in refused("ward")
    with pytest.raises(OverreadError, match=r"hide_clinical hides clinical values, and .* names none"):
        plan(made, "x", overrides={"training.augmentation.hide_clinical": "0.2"}, preflight=False)


def test_an_answer_per_voxel_reads_no_clinical_values(tmp_path: Path) -> None:
    scans = balls.volume_project(tmp_path)
    with pytest.raises(OverreadError, match="this project asks for segmentation: clinical values are read beside an image"):
        plan(scans, "x", overrides={"training.clinical": "age"}, preflight=False)


def test_whatever_asks_the_network_asks_it_about_the_patient(aged: Project) -> None:
    """Explanations, changed readings, attacks, ensembles: each must see the values of the case."""
    predictor = load_model(model_of(aged, "fused")).predictor
    alone = load_model(model_of(aged, "image")).predictor
    assert isinstance(predictor, Predictor)
    assert isinstance(alone, Predictor)
    case = next(c for c in aged.cohort().of("tuning") if "age" in c.covariates)
    image = load_image(aged.cohort(), case)
    prepared, other = predictor.prepare(image), predictor.prepare(replace(image, clinical={"age": 30}))
    raw = predictor.raw_of(prepared)
    assert not np.allclose(raw, predictor.raw_of(other))
    target = targets_of(predictor, prepared)[0]
    asked = ask(predictor, prepared, target)
    with torch.no_grad():
        assert np.isclose(float(torch.sigmoid(asked.score(asked.images))), raw[target.number], atol=1e-5)
        again = asked.with_network(predictor.network)
        assert torch.equal(again.score(asked.images), asked.score(asked.images))
    turned = answered(predictor, prepared)
    assert turned is not None
    assert turned.before.value in ("ill", "well")
    passes = [values for _, values in raws_of(predictor, prepared, Ways(by=("changes",), passes=2))]
    assert np.allclose(passes[0], raw, atol=1e-5)
    assert attacked(predictor, 0.01).raw_of(prepared).shape == raw.shape
    both = Ensemble.of([alone, predictor], [1.0, 1.0], predictor.decisions)
    assert np.allclose(both.raw_of(both.prepare(image)), (raw + alone.raw_of(alone.prepare(image))) / 2, atol=1e-6)


def test_the_part_of_the_image_and_of_each_value_is_shown(aged: Project) -> None:
    record = explain_fused(subject_of(aged, "fused", None, None), "fused", None)
    assert record is not None
    (target,) = record["targets"]
    shares = {row["group"]: row["share"] for row in target["groups"]}
    assert set(shares) == {"age", "sex", "image"}
    assert max(shares, key=lambda name: shares[name]) == "age"
    assert np.isclose(sum(shares.values()), 1)
    for case in target["cases"]:
        assert np.isclose(target["usual"] + sum(case["values"].values()), case["answer"], atol=1e-6)
    assert explain_fused(subject_of(aged, "image", None, None), "image", None) is None


def test_clinical_columns_alone_are_a_baseline_of_their_own(aged: Project) -> None:
    assert main(["baseline", str(aged.path), "--clinical", "age", "--no-images", "--name", "age"]) == 0
    assert auc(aged, "age") == 1.0
    assert main(["baseline", str(aged.path), "--no-images", "--name", "none"]) == 2
