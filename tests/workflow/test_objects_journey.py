"""From images with drawn objects to a frozen model, its scores, and answers for new studies, through the verbs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from overread.core.errors import OverreadError
from overread.core.kinds import Boxes, Instances
from overread.evaluation.sources.objects_file import read_objects
from overread.workflow.baseline import baseline
from overread.workflow.evaluate import evaluate
from overread.workflow.learning_curve import learning_curve
from overread.workflow.project import Project
from overread.workflow.read import load, read
from overread.workflow.robustness import robustness
from overread.workflow.train import train
from workflow.lesions import CLASSES, film_project, volume_project

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_answers(project: Project, kind: type) -> None:
    """Raw answers of tuning and sealed cases are on disk with low scores too; the frozen model says by what route it was made."""
    run = project.run("first", None)
    card = json.loads((run.model / "model.json").read_text())
    assert card["task"]["route"] == card["network"]["serves"]
    assert {p["class_name"] for p in card["decisions"]["operating_points"]} == set(project.question.classes)
    cohort = project.cohort()
    for partition in ("tuning", "internal"):
        grids = {case.case_id: cohort.grids[case.case_id] for case in cohort.of(partition)}
        found = read_objects(run.predictions / partition / "objects.json", project.question, grids)
        assert set(found) == set(grids)
        for answer in found.values():
            assert isinstance(answer, kind)
            assert len(answer.classes) <= 300
            assert all(score >= 0.01 for score in answer.scores)


def check_reading(project: Project, images: list[Path], out: Path) -> None:
    model = next(project.run("first", None).path.glob("*.overread"))
    readings = read(model, images, out)
    listed, counts = rows(out / "objects.csv"), rows(out / "answers.csv")
    assert [row["study"] for row in counts] == [r.case_id for r in readings]
    called = sum(int(row[f"{name} (number)"]) for row in counts for name in project.question.classes)
    coco = json.loads((out / "coco.json").read_text())
    assert len(listed) == called == len(coco["annotations"])
    assert len(coco["images"]) == len(images)
    decided = load(model).read(images[0]).answer
    threshold = json.loads((out / "answers.json").read_text())["decisions"]["operating_points"]
    least = {point["class_name"]: point["threshold"] for point in threshold}
    assert isinstance(decided, Boxes | Instances)
    assert all(score >= least[name] for name, score in zip(decided.classes, decided.scores, strict=True))


def test_boxes_in_films(tmp_path: Path) -> None:
    project = film_project(tmp_path, "detection")
    assert project.question.classes == CLASSES
    run = train(project, epochs=1)
    check_answers(project, Boxes)
    epoch = [json.loads(line) for line in run.events_path.read_text().splitlines() if '"epoch"' in line]
    assert any("ap50" in event.get("scores", {}) for event in epoch)
    result = evaluate(project)
    assert result["n_cases"] == len(project.cohort().of("tuning"))
    assert any(score["metric"].startswith("froc") for score in result["scores"])
    assert {found["state"] for row in result["cases"] for found in row["objects"]} <= {"matched", "missed", "false"}
    check_reading(project, sorted((tmp_path / "cohort/images").iterdir())[:3], tmp_path / "out")


def test_instances_in_volumes(tmp_path: Path) -> None:
    project = volume_project(tmp_path, "instances")
    train(project, epochs=1)
    check_answers(project, Instances)
    evaluate(project, panels=False)
    images = sorted((tmp_path / "cohort/images").iterdir())[:2]
    check_reading(project, images, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.nii.gz")) == ["scan00_instances.nii.gz", "scan01_instances.nii.gz"]


def test_a_detector_under_degradation(tmp_path: Path) -> None:
    project = film_project(tmp_path, "detection")
    train(project, epochs=1)
    result = robustness(project, only=["blur", "rotation", "adversarial"])
    assert result["endpoint"]["metric"] == "froc"
    assert {row["degradation"] for row in result["rows"]} == {"blur"}
    assert {row["degradation"]: row["reason"] for row in result["not_run"]} == {
        "rotation": "it turns the patient, and an upright box cannot be turned back onto the image",
        "adversarial": "its step is taken against an answer per image or voxel, and this model answers with a list of objects",
    }
    assert not any("answered otherwise" in note for note in result["notes"])


def test_a_learning_curve_of_a_detector(tmp_path: Path) -> None:
    project = film_project(tmp_path, "detection")
    result = learning_curve(project, shares=[0.5], epochs=1, repeats=1)
    assert [point["share"] for point in result["points"]] == [0.5, 1.0]
    assert result["endpoint"]["metric"] == "froc"
    assert all(point["runs"][0]["score"] is not None for point in result["points"])
    assert all(point["interval"]["estimate"] is not None for point in result["points"])


def test_a_baseline_of_a_cohort_of_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="this project asks for objects"):
        baseline(film_project(tmp_path, "detection"))
