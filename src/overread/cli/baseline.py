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
overread baseline pneumonia --fold all --name handmade
overread baseline pneumonia --clinical age --clinical sex --name with_age
overread baseline pneumonia --clinical age --clinical sex --no-images --name clinical"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@fold_option("Fit the baseline that holds out fold K, or one for each fold.", or_all=True)
@click.option("--name", metavar="NAME", default=DEFAULT_NAME, show_default=True, help="Name of the run.")
@click.option("--clinical", metavar="COLUMN", multiple=True, help="A column of the sheet as a feature too. May be repeated.")
@click.option("--no-images", is_flag=True, help="The columns alone, without features of the images.")
def baseline(project: Path, fold: int | str | None, name: str, clinical: tuple[str, ...], no_images: bool) -> Outcome:
    """Fit a baseline of hand-made features on the same split: what does a network add?

    Measures brightness, texture, shape and gradients of every image, fits small models (logistic regression,
    random forest, gradient boosting) on the training cases, takes the one that is best on the tuning cases,
    and writes its answers as a run, so that `overread evaluate --run baseline` scores it like a network.
    What a network reaches beyond it is what deep learning added. With --clinical the small models also learn from
    columns of the sheet, such as age; with --no-images from these alone. `overread explain DIR --run baseline` then shows what
    each brought to the answers.
    The internal test stays sealed.
    """
    fitted = fit(Project.open(project), name, fold, reporter(), clinical, images=not no_images)
    held = ["--fold", str(fold)] if isinstance(fold, int) else []
    values = {"run": name, "baselines": [{"folder": str(one.run.path), **one.as_dict()} for one in fitted]}
    return Outcome("\n".join(_told(one) for one in fitted), values, command("evaluate", project, "--run", name, *held))


def _told(one: Fitted) -> str:
    held = "" if one.fold is None else f"Fold {one.fold}: "
    sources = ["the images"] * one.images + ([", ".join(one.clinical)] if one.clinical else [])
    return (
        f"{held}{one.chosen} was best on {one.cases['tuning']} tuning cases, of {len(one.tried)} small models fitted on "
        f"{one.cases['training']} training cases with {one.features} {'' if one.clinical else 'hand-made '}features"
        f"{' of ' + ' and of '.join(sources) if one.clinical else ''}."
    )
