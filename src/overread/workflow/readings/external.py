"""A frozen model reads an external cohort; the answers lie where `evaluate --on external:NAME` finds them.

Images only: the truths of the cohort stay under their seal.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from overread.cohort.clinical import cells
from overread.cohort.progress import Progress
from overread.core.errors import OverreadError
from overread.reading.model import load_model
from overread.workflow.ensembles.record import is_over_folds
from overread.workflow.external import label_of, open_external
from overread.workflow.learning.maps import MapWriter
from overread.workflow.learning.predict import read_cases, write_answers
from overread.workflow.learning.refusing import Watch, enter_partition
from overread.workflow.learning.slices import SliceLog
from overread.workflow.project import Project
from overread.workflow.read import as_trained
from overread.workflow.readings.clinical import variables_of
from overread.workflow.scoring.openings import file_word


@dataclass(frozen=True)
class ExternalReading:
    """What was read.

    refused  case_id -> why it could not be read; these count as errors
    missing  clinical variable that the model reads -> cases that have no value there
    """

    folder: Path
    run: str
    fold: int | None
    read: int
    refused: dict[str, str]
    missing: dict[str, int] = field(default_factory=dict)


def read_external(
    project: Project, name: str, run_name: str | None = None, fold: int | None = None, progress: Progress | None = None
) -> ExternalReading:
    """Let the frozen model of a run answer every case of an external cohort, once, by the decisions it was frozen with."""
    other = open_external(project, name)
    if project.folds and fold is None and not is_over_folds(project.run(run_name)):
        raise OverreadError(
            f"This project has {len(project.folds)} folds, each with a model of its own; an external cohort tests one model.",
            "say which with --fold K",
        )
    run = project.run(run_name, fold)
    if not (run.model / "model.json").exists():
        ready = [name for name in project.runs() if (project.run(name, fold).model / "model.json").exists()]
        raise OverreadError(
            f"Run '{run.name}' has no model.",
            f"say which run reads them: --run {ready[-1]}" if ready else f"train one: `{project.command('train')}`",
        )
    model = load_model(run.model)
    if model.card.state != "frozen":
        raise OverreadError(
            f"The model of run '{run.name}' is a snapshot of unfinished training.", f"finish it: `{project.resume_command(run)}`"
        )
    cohort = other.cohort()
    refused: dict[str, str] = {}
    folder = run.predictions / file_word(label_of(other))
    maps = MapWriter(run.path / f".probabilities-{folder.name}", project.question, is_phantom=cohort.is_phantom)
    watch = None if model.guard is None else Watch(model.guard)
    slices = SliceLog()
    answers = read_cases(
        model.predictor,
        cohort,
        cohort.of("internal"),
        progress,
        "Reading the external images (truths stay sealed)",
        refused=refused,
        adapt=lambda image: as_trained(image, model.card)[0],
        maps=maps,
        watch=watch,
        slices=slices,
    )
    if watch is not None:
        enter_partition(run, label_of(other), watch)
    shutil.rmtree(folder, ignore_errors=True)
    write_answers(
        answers,
        model.card.decisions,
        project.question,
        folder,
        model=model.card.sha256,
        partition=label_of(other),
        is_phantom=cohort.is_phantom,
        refused=refused,
        maps=maps,
        slices=slices,
    )
    counts = {v.name: len(cohort.cases) - len(cells(cohort.cases, v.name)) for v in variables_of(model.card)}
    missing = {name: count for name, count in counts.items() if count}
    return ExternalReading(folder, project.run(run_name).name, fold, len(answers), refused, missing)
