"""Whose answers are to be explained: a frozen model of a run, and some of its tuning cases."""

from __future__ import annotations

from dataclasses import dataclass

from overread.cohort.index import Cohort
from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.reading.model import Model
from overread.record.run import RunFolder
from overread.workflow.project import Project
from overread.workflow.robust.suite import some_of
from overread.workflow.robust.target import model_of, run_of


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
    run = run_of(project, run_name, fold)
    model = model_of(project, run)
    cohort = project.cohort_of(run, fold)
    cases = some_of(cohort.of("tuning"), project.question, limit)
    if not cases:
        raise OverreadError("There are no tuning cases in this project.", "look at cohort/splits.json")
    return Subject(project, run, model, cohort, cases)
