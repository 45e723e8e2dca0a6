"""overread train"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, project_argument, set_option
from overread.record.events import read_events
from overread.workflow.project import Project

EXAMPLE = """\
overread train liver --minutes 15
overread train liver --name dice --set training.loss=dice --epochs 100
overread train liver --name dice --resume
overread train liver --fold all --minutes 15"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time to train for; the schedule adapts to it.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs to train for, instead of minutes; the same on every machine.")
@fold_option("Train the run that holds out fold K, or one run for each fold.", or_all=True)
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--name", metavar="NAME", help="Name of the run; numbered where none is given.")
@set_option
def train(
    project: Path,
    minutes: float | None,
    epochs: int | None,
    fold: int | str | None,
    resume: bool,
    name: str | None,
    overrides: dict[str, str],
) -> Outcome:
    """Train a network and freeze it as a model.

    Makes a plan where there is none, trains for the time given, and at the end fits operating point
    and calibration on the tuning cases and writes one model file. Ctrl-C stops politely: the model so
    far is valid, and --resume goes on. The internal test is not touched.
    """
    if minutes is not None and epochs is not None:
        raise click.UsageError("Give --minutes or --epochs, not both.")
    from overread.workflow.learning.plan_file import read_plan
    from overread.workflow.train import train as run_training

    run = run_training(Project.open(project), minutes, epochs, fold, resume, name, overrides, reporter())
    finished = [event for event in read_events(run.events_path) if event["event"] == "finished"]
    models = sorted(run.path.rglob("*.overread"))
    name = run.path.parent.name if isinstance(fold, int) else run.name
    spent = f" after {finished[-1]['step']} steps in {finished[-1]['minutes']:.1f} minutes" if finished else ""
    plans = [read_plan(path) for path in sorted(run.path.rglob("plan.toml"))]
    warned = dict.fromkeys(plan.reasons["known_too_late"] for plan in plans if "known_too_late" in plan.reasons)
    lines = [f"Run '{name}' is trained{spent}.", *(f"Model: {model}" for model in models), *warned]
    held = ["--fold", str(fold)] if isinstance(fold, int) else []
    values = {"run": name, "folder": str(run.path), "models": [str(model) for model in models], "warnings": list(warned)}
    step = command("evaluate", project, "--run", name, *held)
    if plans and plans[0].question.task == "synthesize":
        step = command("sample", *models, "--out", f"{name}-made")
    elif plans and plans[0].question.is_unpaired:
        step = command("fidelity", project, "--run", name, *held)
    return Outcome("\n".join(lines), values, step)
