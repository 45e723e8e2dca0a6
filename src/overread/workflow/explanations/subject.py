"""Whose answers are to be explained: a frozen model of a run, and some of its tuning cases; or a model that was given alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from overread.cohort.index import Cohort
from overread.cohort.some_cases import some_of
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.reading.model import Model, load_model
from overread.record.run import RunFolder
from overread.workflow.frozen import model_of, run_of
from overread.workflow.project import Project
from overread.workflow.unfit import refuse_images


@dataclass(frozen=True)
class Subject:
    """A frozen model and cases that it is asked about; truths of the internal test stay sealed."""

    project: Project
    run: RunFolder
    model: Model
    cohort: Cohort
    cases: tuple[Case, ...]


def subject_of(project: Project, run_name: str | None, fold: int | None, limit: int | None) -> Subject:
    """The model of a run and at most `limit` tuning cases, the same ones every time; all where None."""
    refuse_images(project)
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    cohort = project.cohort_of(run, fold)
    cases = some_of(cohort.of("tuning"), project.question, limit)
    if not cases:
        raise OverreadError("There are no tuning cases in this project.", "look at cohort/splits.json")
    return Subject(project, run, model, cohort, cases)


def is_project(path: Path) -> bool:
    return (path / "project.toml").exists()


def called(path: Path) -> str:
    """The name of a model that was given: of a file its own, of the model folder of a run that of the run."""
    if not path.is_dir():
        return path.stem
    run = path.resolve().parent
    return f"{run.parent.name}-{run.name}" if run.name.startswith("fold-") else run.name


def refuse_without_gradients(path: Path) -> None:
    """A form of a model that answers and cannot be explained."""
    if path.suffix.lower() == ".onnx":
        raise OverreadError(
            f"{path.name} is an ONNX network: it answers, but it has no gradients, and its layers cannot be asked.",
            "explain the .overread file, or the model folder of the run, that it was exported from",
        )


def model_at(path: Path) -> Model:
    """A model that was given as a file or a folder."""
    refuse_without_gradients(path)
    model = load_model(path, precision="float32")
    if model.card.state != "frozen":
        raise OverreadError(
            f"{path.name} is a snapshot of an unfinished training; its decisions were not fitted.", "finish the training first"
        )
    return model
