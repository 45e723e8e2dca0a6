"""Which run is meant where none is named, and what is said where there is nothing in it."""

from __future__ import annotations

import os
import shlex

import pytest
from torch import nn

from overread.cohort.subdivision import Subdivision, write_subdivision
from overread.core.errors import OverreadError, Stopped
from overread.record.files import write_json, write_text
from overread.training.loop import Outcome
from overread.workflow.comparisons.contenders import find_contenders
from overread.workflow.external import open_external
from overread.workflow.frozen import run_of
from overread.workflow.init import init
from overread.workflow.learning.part_of import refuse_a_part
from overread.workflow.plan import plan
from overread.workflow.project import PLANNED, Project
from overread.workflow.report import gather, report
from overread.workflow.scoring.parts import parts_of
from overread.workflow.train import train
from reporting import fakes
from workflow.balls import film_project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return film_project(tmp_path_factory.mktemp("latest run"), "ball", positive="large")


@pytest.fixture
def project(made: Project) -> Project:
    """Without runs; its folder's name holds a blank."""
    for path in sorted((made.path / "runs").rglob("*"), reverse=True) if (made.path / "runs").exists() else ():
        path.rmdir() if path.is_dir() else path.unlink()
    return made


def leave(project: Project, name: str, file: str, age: int) -> None:
    """A run that holds one file and was changed so many seconds ago."""
    folder = project.path / "runs" / name
    write_text(folder / file, "{}")
    now = folder.stat().st_mtime
    os.utime(folder, (now - age, now - age))


@pytest.mark.parametrize("file", ["model/model.json", "predictions/tuning/answers.csv", "fold-1/model/model.json"])
def test_a_run_with_a_model_or_answers_is_meant_before_one_that_was_only_planned(project: Project, file: str) -> None:
    leave(project, "early", file, 30)
    leave(project, "first", file, 20)
    leave(project, "dense", "plan.toml", 10)
    leave(project, "bare", ".lock", 0)
    assert project.run().name == "first"
    assert project.latest(*PLANNED) == "dense", "what is resumed is what was planned last"


def test_where_none_holds_a_model_the_last_one_is_meant(project: Project) -> None:
    assert project.run().name == "first"
    leave(project, "early", "plan.toml", 10)
    leave(project, "late", "plan.toml", 0)
    assert project.run().name == "late"


def test_a_refused_training_leaves_no_run(project: Project) -> None:
    with pytest.raises(OverreadError, match="unett"):
        train(project, epochs=1, name="dense", overrides={"training.architecture": "unett"})
    with pytest.raises(OverreadError, match="unett"):
        plan(project, "dense", overrides={"training.architecture": "unett"})
    assert project.runs() == ()


def test_a_run_with_nothing_in_it_is_not_reported(project: Project) -> None:
    leave(project, "dense", ".lock", 0)
    (project.path / "runs" / "dense" / "fold-0").mkdir()
    with pytest.raises(OverreadError) as caught:
        report(project, "dense")
    assert caught.value.what == "Run 'dense' holds no plan, no model and no scores: there is nothing to report."
    command = caught.value.next.partition("`")[2].rpartition("`")[0]
    assert shlex.split(command) == ["overread", "train", str(project.path), "--name", "dense"]
    assert [p.name for p in (project.path / "runs" / "dense").glob("*.html")] == []


@pytest.mark.parametrize("fold", [None, 2])
def test_the_command_that_finishes_a_snapshot_can_be_pasted(project: Project, fold: int | None) -> None:
    assert shlex.split(project.resume_command(project.run("my run", fold))) == [
        *("overread", "train", str(project.path), "--name", "my run"),
        *(() if fold is None else ("--fold", "2")),
        "--resume",
    ]


def test_a_snapshot_is_refused_with_that_command(project: Project) -> None:
    run = project.run("first")
    cases = project.cohort().of("tuning")
    rows = [",".join(("case_id", *project.question.classes)), *(f"{case.case_id},0.5,0.5" for case in cases)]
    write_text(run.predictions / "tuning" / "answers.csv", "\n".join(rows) + "\n")
    write_json(run.model / "model.json", {"state": "in training"})
    with pytest.raises(OverreadError, match="snapshot of unfinished training") as caught:
        parts_of(project, None, "tuning", None)
    assert project.resume_command(run) in caught.value.next


def test_a_training_that_is_stopped_ends_with_a_command_that_can_be_pasted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overread.workflow.train._learn", lambda *_: Outcome("stopped", nn.Identity(), 3, 1, 0.1))
    monkeypatch.setattr("overread.workflow.train.freeze", lambda *_: None)
    with pytest.raises(Stopped, match="Stopped after 3 steps") as caught:
        train(project, epochs=1, name="my run", overrides={"training.batch": "4", "training.architecture": "resnet10"})
    assert shlex.split(caught.value.next) == ["overread", "train", str(project.path), "--name", "my run", "--resume"]


def test_epochs_that_were_learned_again_after_a_kill_count_once(project: Project) -> None:
    run = project.run("first")
    events = list(fakes.epochs("good", 12))
    steps = {event["epoch"]: event["step"] for event in events}
    for event in events[:10]:
        run.events.write(**event)
    run.events.write("resumed", step=steps[7], epoch=7, minutes=1.0)
    for event in events[7:]:
        run.events.write(**event)
    given = gather(project, run).events[""]
    assert [e["epoch"] for e in given if e["event"] == "epoch"] == list(range(1, 13))
    page = report(project, "first").read_text(encoding="utf-8")
    assert "12 epochs" in page
    assert "15 epochs" not in page


def test_what_is_to_be_run_next_holds_the_folder_in_quotes(project: Project) -> None:
    said = []
    for verb in (
        lambda: report(project, "nobody"),
        lambda: parts_of(project, "nobody", "tuning", None),
        lambda: run_of(project, "nobody", None),
        lambda: find_contenders([project.path], (), "tuning"),
        lambda: find_contenders([project.path], ("a", "b"), "internal"),
        lambda: open_external(project, "twente"),
        lambda: find_contenders([project.run("a").path, project.run("b").path], (), "internal"),
    ):
        leave(project, "a", "plan.toml", 0)
        with pytest.raises(OverreadError) as caught:
            verb()
        said.append(caught.value.next)
    assert all(shlex.quote(str(project.path)) in words for words in said), said


def test_a_part_of_a_curve_says_what_to_do_in_commands_that_can_be_pasted(project: Project) -> None:
    run, place = project.run("part"), shlex.quote(str(project.path))
    write_subdivision(run.subdivision, Subdivision(frozenset("a"), frozenset("b"), "a learning curve"))
    with pytest.raises(OverreadError, match="one training of a learning curve") as caught:
        refuse_a_part(project, "part", None)
    assert f"`overread train {place}`" in caught.value.next
    assert f"`overread evaluate {place} --run NAME --on internal`" in caught.value.next


def test_a_project_that_is_there_already_is_updated_by_a_command_that_can_be_pasted(made: Project) -> None:
    with pytest.raises(OverreadError, match="There is a project in") as caught:
        init(made.path, made.images_folder)
    assert f"`overread update {shlex.quote(str(made.path))}`" in caught.value.next
