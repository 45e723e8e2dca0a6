"""The training on shuffled truths: the project's own plan and trainer, with every truth given to another patient by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.progress import Progress
from overread.cohort.subdivision import OPEN, Subdivision, write_subdivision
from overread.core.case import Case
from overread.core.errors import OverreadError, Stopped
from overread.reading.model import Model, load_model
from overread.record.events import read_events
from overread.record.files import digest_json
from overread.record.run import RunFolder
from overread.workflow.explanations.subject import Subject
from overread.workflow.project import Project
from overread.workflow.train import DEFAULT_MINUTES, is_finished, train

FOLDER = "explanation/shuffled-labels"
PART_OF = "a trial of explanations"
TASKS = ("classification", "regression")
SEED = 0


@dataclass(frozen=True)
class Budget:
    """One of the two, and the settings of the run's own training."""

    minutes: float | None
    epochs: int | None
    overrides: Mapping[str, str]


class ShuffledProject(Project):
    """The project as it would be if its truths said nothing of its images."""

    def cohort_of(self, run: RunFolder, fold: int | None = None, *, check: bool = True) -> Cohort:
        return shuffled(super().cohort_of(run, fold, check=check))


def shuffled(cohort: Cohort) -> Cohort:
    """The same cases with the truths of training and tuning each dealt anew, patient by patient; no truth is lost or doubled."""
    dealt = {case.case_id: case for side in OPEN for case in _dealt(cohort.of(side))}
    cases = tuple(dealt.get(case.case_id, case) for case in cohort.cases)
    return replace(cohort, cases=cases, digest=digest_json([cohort.digest, "truths dealt by chance", SEED]))


def _dealt(cases: tuple[Case, ...]) -> list[Case]:
    """Truths in the order of shuffled patients go to cases in the order of patients."""
    names = sorted({case.patient_id for case in cases})
    others = dict(zip(names, np.random.default_rng(SEED).permutation(len(names)).tolist(), strict=True))
    takers = sorted(cases, key=lambda case: (case.patient_id, case.case_id))
    givers = sorted(cases, key=lambda case: (others[case.patient_id], case.case_id))
    return [replace(taker, truth=giver.truth) for taker, giver in zip(takers, givers, strict=True)]


def shuffled_model(subject: Subject, fold: int | None, minutes: float | None, again: str, progress: Progress | None) -> Model:
    """The model of a training on shuffled truths, made by the plan and with the budget of the run; trained once and kept.

    minutes  of training, instead of the run's own budget
    again    the command that goes on, said where the user stops
    It lies in the run's folder, where no list of runs looks, and sees nothing of the internal test.
    """
    refuse_other_tasks(subject)
    project = ShuffledProject(subject.project.path)
    cohort = subject.project.cohort_of(subject.run, fold)
    budget = _budget(subject.run, minutes)
    name = _name(project, subject.run, cohort, budget)
    run = project.run(name, fold)
    if not run.subdivision.exists():
        sides = {side: frozenset(case.case_id for case in cohort.of(side)) for side in OPEN}
        write_subdivision(run.subdivision, Subdivision(sides["training"], sides["tuning"], PART_OF))
    if not is_finished(run):
        resume = run.checkpoint.exists()
        try:
            train(project, budget.minutes, budget.epochs, fold, resume, name, budget.overrides, progress)
        except Stopped as stopped:
            raise Stopped(stopped.what, again) from stopped
    return load_model(run.model)


def refuse_other_tasks(subject: Subject) -> None:
    """Labels can be dealt anew where they are values, and a run can be trained again where it was trained."""
    task = subject.project.question.task
    if task not in TASKS:
        raise OverreadError(
            f"Label randomisation is for {' and '.join(TASKS)}; this project asks for {task}, and outlines of one patient do not "
            "lie on the image of another.",
            "leave --labels out",
        )
    if subject.model.card.members:
        raise OverreadError(
            "This run is an ensemble, which was not trained as one.",
            "put the run of one member on trial with --run, or leave --labels out",
        )


def _budget(run: RunFolder, minutes: float | None) -> Budget:
    started = next((event for event in read_events(run.events_path) if event["event"] == "started"), {})
    overrides = started.get("overrides") or {}
    if minutes is not None:
        return Budget(minutes, None, overrides)
    if started.get("epochs"):
        return Budget(None, started["epochs"], overrides)
    return Budget(started.get("minutes") or DEFAULT_MINUTES, None, overrides)


def _name(project: Project, run: RunFolder, cohort: Cohort, budget: Budget) -> str:
    """Where the training lies, in words of `Project.run`: another cohort or another budget is another training."""
    about = digest_json([cohort.digest, budget.minutes, budget.epochs, dict(budget.overrides), SEED])
    return str(Path(run.path.relative_to(project.path / "runs"), FOLDER, about[7:15]))
