"""The frozen model of a run, for every verb that asks one; refused by name where there is none."""

from __future__ import annotations

from overread.core.errors import OverreadError
from overread.reading.model import Model, load_model
from overread.record.run import RunFolder
from overread.workflow.ensembles.record import refuse_over_folds
from overread.workflow.project import Project


def run_of(project: Project, name: str | None, fold: int | None) -> RunFolder:
    refuse_over_folds(project, name)
    if project.folds and fold is None:
        raise OverreadError(
            f"This project has {len(project.folds)} folds, each with a model and tuning cases of its own.",
            "say which with --fold K",
        )
    if not project.folds and fold is not None:
        raise OverreadError("This project has partitions, no folds.", "leave --fold out")
    run = project.run(name, fold)
    if not run.path.is_dir():
        known = ", ".join(project.runs()) or "none yet"
        shown = run.name if fold is None else f"{project.run(name).name}, fold {fold}"
        raise OverreadError(
            f"There is no run '{shown}' in this project (runs: {known}).", f"train first: `{project.command('train')}`"
        )
    return run


def model_of(project: Project, run: RunFolder) -> Model:
    if not (run.model / "model.json").exists():
        is_baseline = (run.path / "baseline.json").exists()
        why = "is a baseline of hand-made features and has no network" if is_baseline else "has no model"
        raise OverreadError(
            f"Run '{run.name}' {why}, so there is nothing that could read.",
            f"train one with `{project.command('train')}`, or name another run with --run",
        )
    model = load_model(run.model)
    if model.card.state != "frozen":
        raise OverreadError(
            f"The model of run '{run.name}' is a snapshot of unfinished training.", f"finish it: `{project.resume_command(run)}`"
        )
    return model
