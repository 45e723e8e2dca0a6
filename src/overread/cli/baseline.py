"""overread baseline"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, project_argument
from overread.workflow.baseline import DEFAULT_NAME, Fitted
from overread.workflow.baseline import baseline as fit
from overread.workflow.project import Project

EXAMPLE = """\
overread baseline pneumonia
overread baseline pneumonia --fold all --name handmade"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@fold_option("Fit the baseline that holds out fold K, or one for each fold.", or_all=True)
@click.option("--name", metavar="NAME", default=DEFAULT_NAME, show_default=True, help="Name of the run.")
def baseline(project: Path, fold: int | str | None, name: str) -> Outcome:
    """Fit a baseline of hand-made features on the same split: what does a network add?

    Measures brightness, texture, shape and gradients of every image, fits small models (logistic regression,
    random forest, gradient boosting) on the training cases, takes the one that is best on the tuning cases,
    and writes its answers as a run, so that `overread evaluate --run baseline` scores it like a network.
    What a network reaches beyond it is what deep learning added. The internal test stays sealed.
    """
    fitted = fit(Project.open(project), name, fold, reporter())
    held = ["--fold", str(fold)] if isinstance(fold, int) else []
    values = {"run": name, "baselines": [{"folder": str(one.run.path), **one.as_dict()} for one in fitted]}
    return Outcome("\n".join(_told(one) for one in fitted), values, command("evaluate", project, "--run", name, *held))


def _told(one: Fitted) -> str:
    held = "" if one.fold is None else f"Fold {one.fold}: "
    return (
        f"{held}{one.chosen} was best on {one.cases['tuning']} tuning cases, of {len(one.tried)} small models fitted on "
        f"{one.cases['training']} training cases with {one.features} hand-made features."
    )
