"""`report`: everything a run left behind on one page, and nothing private."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.record.events import EventLog
from overread.record.files import digest_json, read_json, write_bytes, write_json
from overread.workflow.baseline import baseline
from overread.workflow.evaluate import evaluate
from overread.workflow.init import init
from overread.workflow.partitions import partition_summaries
from overread.workflow.phantom import phantom
from overread.workflow.private import REMOVED, Cleaner, private_words
from overread.workflow.project import Project
from overread.workflow.report import gather, report
from overread.workflow.scoring.threshold import threshold_rows
from reporting import fakes

MRN = "MRN7743{:03d}"
NAME = "Planted Surname{:03d}"
BIRTH = "1961-04-{:02d}"
PATIENTS = 24


def make_project(folder: Path, **options: Any) -> Project:
    """A tiny project of PNG films whose sheet is full of what must never be published."""
    images = folder / "private_archive" / "films"
    images.mkdir(parents=True)
    random = np.random.default_rng(0)
    with open(folder / "labels.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "patient", "name", "birth", "age", "sex", "opacity"])
        for k in range(PATIENTS):
            name = f"ACC99{k:03d}.png"
            PIL.Image.fromarray(random.integers(0, 255, (24, 24), dtype=np.uint8)).save(images / name)
            table.writerow(
                [name, MRN.format(k), NAME.format(k), BIRTH.format(1 + k), 40 + k, "FM"[k % 2], ["yes", "no"][k % 3 == 0]]
            )
    return init(
        folder / "project",
        images,
        sheet=folder / "labels.csv",
        task="classification",
        label=["opacity"],
        positive="yes",
        group_by="patient",
        covariates=("age", "sex", "name", "birth"),
        **options,
    )


def leave_a_run(project: Project, name: str = "first") -> None:
    """What training and evaluation leave, with private words planted wherever text is free."""
    run = project.run(name)
    private = f"{MRN.format(3)} in {project.images_folder}/ACC99003.png"
    log = EventLog(run.events_path)
    for event in fakes.epochs("good", 12):
        log.write(**event)
    log.write("warning", what=f"case C-0001 of {private} was slow")
    run.plan.write_text(
        'format = 1\nidentity = "sha256:aa"\nloss = "focal"\n[reasons]\nloss = "few positives"\n', encoding="utf-8"
    )
    evaluation = dict(fakes.classification().evaluations["tuning"])
    evaluation["notes"] = [f"left out: {private}", f"seen at {NAME.format(5)}"]
    write_json(run.evaluation("tuning"), evaluation)
    write_json(
        run.model / "model.json",
        {"sha256": "sha256:bb", "training": {"seed": 7, "versions": {"overread": "0"}, "machine": {"cores": 2}}},
    )
    png = fakes.liver_panels(False)[0].png
    write_bytes(run.path / "panels-tuning" / "worst-1.png", png)
    entry = {"file": "worst-1.png", "case_id": "C-0001", "why": "worst", "caption": f"truth yes; {MRN.format(4)}"}
    write_json(run.path / "panels-tuning" / "panels.json", {"format": 1, "partition": "tuning", "panels": [entry]})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("study"))
    leave_a_run(made)
    return made


def test_the_report_is_written_into_the_run(project: Project) -> None:
    path = report(project)
    assert path == project.run("first").report
    page = path.read_text(encoding="utf-8")
    for words in ("few positives", "Case C-0001", "On tuning cases", "overread train project --name first", "sha256:bb"):
        assert words in page


def test_nothing_private_reaches_the_report(project: Project) -> None:
    page = report(project).read_text(encoding="utf-8")
    for planted in ("MRN7743", "Planted", "Surname", "1961-04", "ACC99", "private_archive", str(project.path.parent)):
        assert planted not in page, f"{planted} is in the report"
    assert REMOVED in page


def test_partitions_are_summed_up_without_private_columns(project: Project) -> None:
    summaries = partition_summaries(project.path)
    assert [s["partition"] for s in summaries] == ["training", "tuning", "internal"]
    assert sum(s["cases"] for s in summaries) == PATIENTS
    assert sum(sum(s["classes"].values()) for s in summaries) == PATIENTS
    assert set(summaries[0]["numbers"]) == {"age"}
    assert set(summaries[0]["levels"]) == {"sex"}


def test_the_commands_repeat_what_was_said(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    leave_a_run(project)
    run = project.run("first")
    run.events.write("started", minutes=2.0, epochs=None, overrides={"training.loss": "focal"})
    opening = {"number": 1, "hypothesis": "it works", "primary_endpoint": "auc", "margin": 0.8, "endpoint_met": True}
    opening["declared"] = ["sensitivity", "ap/yes"]
    evaluation = {**fakes.classification().evaluations["internal"], "opening": opening}
    write_json(run.evaluation("internal"), evaluation)
    commands = gather(project, run).provenance["commands"]
    assert commands[0] == "overread train project --name first --set training.loss=focal --minutes 2"
    assert commands[1] == "overread evaluate project --run first"
    assert commands[2].endswith(
        "--on internal --hypothesis 'it works' --primary-endpoint auc --margin 0.8 --declare sensitivity --declare ap/yes"
    )


def test_a_missing_run_is_named(project: Project) -> None:
    with pytest.raises(OverreadError, match=r"There is no run 'other' in this project \(runs: first\)"):
        report(project, "other")


def test_folds_are_gathered_together(tmp_path: Path) -> None:
    project = make_project(tmp_path, folds=3)
    for fold in range(3):
        log = EventLog(project.run("first", fold).events_path)
        for event in fakes.epochs("underfit", 10, fold):
            log.write(**event)
    given = gather(project, project.run("first"))
    assert list(given.events) == ["fold 0", "fold 1", "fold 2"]
    assert [p["partition"] for p in given.partitions] == ["fold 0", "fold 1", "fold 2"]
    page = report(project, "first").read_text(encoding="utf-8")
    assert page.count("Underfitting:") >= 3


def test_the_cleaner_takes_out_words_phrases_and_paths() -> None:
    clean = Cleaner({"MRN-1", "Doe Jane"})
    assert clean({"a": ["seen MRN-1.", 3, None]}) == {"a": [f"seen {REMOVED}.", 3, None]}
    assert clean("Doe Jane, 61") == f"{REMOVED}, 61"
    assert clean("found in /home/someone/studies/a.nii.gz today") == f"found in {REMOVED} today"
    assert clean(r"C:\Users\someone\a.dcm") == REMOVED
    assert clean("dice/liver, 3 mm / voxel, (|A| + |B|) / 2, auc/1") == "dice/liver, 3 mm / voxel, (|A| + |B|) / 2, auc/1"
    assert clean("sha256:abc") == "sha256:abc"


def test_short_numbers_and_class_names_stay(project: Project) -> None:
    words = private_words(project.path, keep=["yes"])
    assert MRN.format(1) in words
    assert not any(w.isdigit() and len(w) < 5 for w in words)


@pytest.mark.parametrize(
    ("kind", "format", "task", "subject"),
    [("abdomen", "nifti", "segmentation", "liver"), ("chest", "png", "classification", "pneumonia")],
)
def test_a_phantom_is_scored_beside_a_threshold(tmp_path: Path, kind: str, format: str, task: str, subject: str) -> None:
    """Read from what the phantom really writes: a name that the two did not share once left every report without it."""
    slices = 12 if kind == "abdomen" else None
    drawn = phantom(tmp_path / "phantom", kind=kind, patients=6, size=96, slices=slices, format=format, workers=1)
    asked = SimpleNamespace(images_folder=drawn.images, question=Question(task, (subject,)))
    (row, *_) = threshold_rows(asked)  # type: ignore[arg-type]
    assert (row["of"], row["interval"][:5]) == (subject, "none:")
    assert 0 < float(row["value"]) <= 1
    assert threshold_rows(SimpleNamespace(images_folder=tmp_path, question=asked.question)) == []  # type: ignore[arg-type]


def test_the_tumour_burden_of_a_phantom_is_scored_beside_a_threshold(tmp_path: Path) -> None:
    drawn = phantom(tmp_path / "phantom", patients=6, size=64, slices=16, format="nifti", workers=1)
    asked = SimpleNamespace(images_folder=drawn.images, question=Question("regression", ("tumour_burden_ml",), units=("ml",)))
    (row,) = threshold_rows(asked)  # type: ignore[arg-type]
    assert (row["score"], row["of"], row["interval"][:5]) == ("Mean absolute error", "tumour_burden_ml", "none:")
    assert row["value"] == f"{drawn.threshold['tumour_burden']['mean_absolute_error_ml']:.2f} ml"
    assert f"below {drawn.threshold['tumour_burden']['below_hu']} HU" in row["method"]
    assert "misses the tumour burden by" in str(drawn)
    other = SimpleNamespace(images_folder=drawn.images, question=Question("regression", ("age",), units=("years",)))
    assert threshold_rows(other) == [], "of another quantity a threshold says nothing"  # type: ignore[arg-type]


PLANTED = ("MRN7743", "Planted", "Surname", "1961-04", "ACC99", "private_archive")


def test_what_goes_with_the_report_holds_nothing_private(project: Project) -> None:
    (project.path / "claim.toml").unlink(missing_ok=True)
    report(project)
    answers = project.path / "claim.toml"
    written = answers.read_text(encoding="utf-8")
    answers.write_text(
        written.replace('[claim.11]\nanswer = ""', f'[claim.11]\nanswer = "as with {MRN.format(3)}, by hand"'), encoding="utf-8"
    )
    before = answers.read_text(encoding="utf-8")
    path = report(project)
    assert answers.read_text(encoding="utf-8") == before, "the authors' file is theirs"
    beside = [
        path.parent / name for name in ("claim.csv", "stard.csv", "tripod-ai.csv", "methods.txt", "model-card.md", "data-card.md")
    ]
    figures = list((path.parent / "figures").iterdir())
    assert {f.suffix for f in figures} == {".svg", ".csv"}
    for file in [path, *beside, *figures]:
        text = file.read_text(encoding="utf-8")
        for planted in (*PLANTED, str(project.path.parent)):
            assert planted not in text, f"{planted} is in {file.name}"
    assert f"as with {REMOVED}, by hand" in (path.parent / "claim.csv").read_text(encoding="utf-8")


def test_label_errors_are_considered_where_one_finding_is_asked_for(project: Project) -> None:
    evaluation = fakes.classification().evaluations["tuning"]
    cases = [{**case, "called": ["metastasis"]} for case in evaluation["cases"]]
    write_json(project.run("first").evaluation("tuning"), {**evaluation, "cases": cases})
    given = gather(project, project.run("first"))
    assert [row["missed"] for row in given.evaluations["tuning"]["label_error"]] == [0.0, 0.05, 0.0, 0.05, 0.1]
    leave_a_run(project)


def test_only_an_audit_of_this_cohort_counts(project: Project) -> None:
    found = {"cohort": "sha256:another", "concerns": []}
    write_json(project.path / "audit" / "audit.json", found)
    assert gather(project, project.run("first")).audit is None
    digest = gather(project, project.run("first")).provenance["hashes"]["Cohort"]
    write_json(project.path / "audit" / "audit.json", {**found, "cohort": digest})
    assert gather(project, project.run("first")).audit is not None


def test_one_fold_tested_alone_is_shown(tmp_path: Path) -> None:
    project = make_project(tmp_path, folds=3)
    run = project.run("first", 0)
    for event in fakes.epochs("good", 10):
        run.events.write(**event)
    write_json(run.evaluation("tuning"), fakes.classification().evaluations["tuning"])
    given = gather(project, project.run("first"))
    assert list(given.evaluations) == ["tuning"]
    trained, evaluated, _ = given.provenance["commands"]
    assert trained.startswith("overread train project --name first --fold 0")
    assert evaluated == "overread evaluate project --run first --fold 0"
    assert "Of 3 folds 1 had been trained" in report(project, "first").read_text(encoding="utf-8")


def test_a_baseline_is_reported_as_one_and_beside_a_network(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    baseline(project)
    evaluate(project, "baseline", panels=False)
    run = project.run("baseline")
    given = gather(project, run)
    assert given.provenance["commands"][0] == "overread baseline project --name baseline"
    assert given.provenance["hashes"]["Model"] == read_json(run.path / "baseline.json")["model"]
    assert given.beside == {}, "a baseline is not set beside itself"
    assert "No network was trained." in report(project, "baseline").read_text(encoding="utf-8")

    network = project.run("network")
    write_json(network.evaluation("tuning"), read_json(run.evaluation("tuning")))  # as good as the baseline
    found = gather(project, network).beside["tuning"]
    assert (found["baseline"], found["reason"]) == ("baseline", "")
    assert found["comparisons"][0]["difference"]["estimate"] == 0
    assert "What does deep learning add?" in report(project, "network").read_text(encoding="utf-8")

    kept = read_json(run.evaluation("tuning"))
    write_json(network.evaluation("tuning"), {**kept, "cases": kept["cases"][1:]})
    assert "not evaluated on the same cases" in gather(project, network).beside["tuning"]["reason"]


def test_the_rule_of_a_split_is_told_and_no_day(tmp_path: Path) -> None:
    project = make_project(tmp_path, split_by="sex")
    assert gather(project, project.run("first")).settings["split"]["rule"] == {"by": "sex", "levels": ["F", "M"]}
    splits = read_json(project.path / "cohort" / "splits.json")
    by_time = {**{name: value for name, value in splits.items() if name != "hash"}, "rule": {"after": "2020-05-17"}}
    write_json(project.path / "cohort" / "splits.json", {**by_time, "hash": digest_json(by_time)})
    assert gather(project, project.run("first")).settings["split"]["rule"] == {"after": "2020"}


def test_what_is_asked_has_the_name_of_its_column(project: Project) -> None:
    assert gather(project, project.run("first")).question["finding"] == "opacity"


def test_an_external_evaluation_is_repeated_by_its_name(project: Project) -> None:
    run = project.run("first")
    opening = {"number": 1, "hypothesis": "holds", "primary_endpoint": "auc", "margin": None, "endpoint_met": None}
    evaluation = {**fakes.classification().evaluations["internal"], "opening": opening, "partition": "external:north"}
    write_json(run.evaluation("external-north"), evaluation)
    given = gather(project, run)
    run.evaluation("external-north").unlink()
    assert "external:north" in given.evaluations
    assert any(c.endswith("--on external:north --hypothesis holds --primary-endpoint auc") for c in given.provenance["commands"])


def test_patients_of_an_external_cohort_are_not_named_either(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    leave_a_run(project)
    shutil.copytree(project.path, project.path / "external" / "north", ignore=shutil.ignore_patterns("runs", "external"))
    links = project.path / "external" / "north" / "cohort" / "private" / "link.csv"
    links.write_text(links.read_text().replace("MRN7743", "MRN8855"))
    project.ledger.append("overlap accepted", reason="MRN8855003 came to both hospitals", cases=1, of="external:north")
    page = report(project, "first").read_text(encoding="utf-8")
    assert "MRN8855" not in page
    assert f"{REMOVED} came to both hospitals" in page
