"""What a baseline goes by: features of the image and clinical columns, for a disease that age alone decides."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from overread.core.errors import OverreadError
from overread.workflow.baseline import baseline
from overread.workflow.baselines.models import Candidate
from overread.workflow.explain import explain_run_of_features
from overread.workflow.explanations.covariates import PART, described, explain_baseline, is_baseline
from overread.workflow.explanations.maps.methods import Wish
from overread.workflow.explanations.record import part_of, write_page
from overread.workflow.init import init
from overread.workflow.project import Project
from workflow.balls import write_sheet

workflow = importlib.import_module("overread.workflow.baseline")
BOOSTED = Candidate("gradient boosting", "fewest cases in a leaf", 5)
QUICK = {"classification": (Candidate("logistic regression", "penalty", 1000), BOOSTED), "regression": (BOOSTED,)}


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "candidates", lambda task: QUICK[task])


def project_of(folder: Path, task: str = "classification") -> Project:
    """Films of noise; who is older than 60 is ill, and women and men alike."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    rows = []
    for k in range(48):
        Picture.fromarray(random.integers(0, 255, (24, 24), dtype=np.uint8)).save(folder / "images" / f"film{k:02d}.png")
        age = 40 + int(random.integers(0, 41))
        ill = "ill" if age > 60 else "well"
        rows.append({"film": f"film{k:02d}", "patient": f"P{k}", "age": age, "sex": "FM"[k % 2], "ill": ill, "size": age / 10})
    write_sheet(folder / "sheet.csv", rows)
    words = {"label": ["ill"], "positive": "ill"} if task == "classification" else {"label": ["size"], "task": "regression"}
    given = {"group_by": "patient", "covariates": ("age", "sex"), "tuning": 0.3, "internal": 0.2, **words}
    return init(folder / "project", folder / "images", sheet=folder / "sheet.csv", **given)


def test_a_disease_of_age_is_put_down_to_age(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    (fitted,) = baseline(project, clinical=("age", "sex"))
    assert fitted.as_dict()["clinical"] == ["age", "sex"]
    run = project.run("baseline")
    assert is_baseline(run)
    (project.path / "cohort" / "sealed" / "internal.parquet").rename(project.path / "hidden")  # nothing here may need it
    record = explain_baseline(project, run)
    (target,) = record["targets"]
    assert target["target"] == "ill"
    groups = {row["group"]: row for row in target["groups"]}
    assert set(groups) == {"age", "sex", *(f"image, {family}" for family in ("intensity", "texture", "hog", "tiles", "body"))}
    assert max(groups.values(), key=lambda row: row["mean_absolute"])["group"] == "age"
    assert groups["sex"]["features"] == 2
    assert record["is_exact"]
    assert record["n_cases"] == len(project.cohort().of("tuning"))
    with open(run.predictions / "tuning" / "answers.csv", encoding="utf-8") as file:
        answered = {row["case_id"]: float(row["ill"]) for row in csv.DictReader(file)}
    for case in target["cases"]:
        assert case["answer"] == pytest.approx(answered[case["case_id"]], abs=1e-9)
        assert target["usual"] + sum(case["values"].values()) == pytest.approx(case["answer"], abs=1e-9)
    assert "age" in described(record).splitlines()[2]
    part = part_of(run, PART)
    assert part is not None
    assert part.record["targets"] == json.loads(json.dumps(record["targets"]))
    page = write_page(project, run, is_phantom=False).read_text()
    assert "What the baseline goes by" in page
    assert "film0" not in page


def test_fewer_cases_and_a_number(tmp_path: Path) -> None:
    project = project_of(tmp_path, "regression")
    baseline(project, clinical=("age",))
    record = explain_baseline(project, project.run("baseline"), limit=4)
    (target,) = record["targets"]
    assert record["n_cases"] == len(target["cases"]) == 4
    assert target["groups"][0]["group"] == "age"
    assert max(target["groups"], key=lambda row: row["mean_absolute"])["group"] == "age"


def test_what_is_no_longer_the_same_is_refused(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    with pytest.raises(OverreadError, match=r"keeps no column 'agee'\. Did you mean 'age'\?") as refusal:
        baseline(project, clinical=("agee",))
    assert "it keeps age, sex" in refusal.value.next
    baseline(project)
    with pytest.raises(OverreadError, match="there is no network, so no methods, targets or layers to choose, no cases to name"):
        explain_run_of_features(project, Wish(), cases=["C-0001"])
    run = project.run("baseline")
    table = run.predictions / "tuning" / "answers.csv"
    rows = table.read_text().splitlines()
    case_id = rows[1].split(",")[0]
    table.write_text("\n".join([rows[0], f"{case_id},0.123,0.877", *rows[2:]]) + "\n")
    with pytest.raises(OverreadError, match="cannot be fitted again as it was: its answers to tuning cases would differ"):
        explain_baseline(project, run)
    about = json.loads((run.path / "baseline.json").read_text())
    (run.path / "baseline.json").write_text(json.dumps({**about, "cohort": "sha256:other"}))
    with pytest.raises(OverreadError, match="The cohort has changed since baseline 'baseline' was fitted") as changed:
        explain_baseline(project, run)
    assert "overread baseline" in changed.value.next
