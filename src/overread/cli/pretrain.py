"""overread pretrain"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, set_option
from overread.workflow.project import Project

EXAMPLE = """\
overread pretrain liver --minutes 30
overread pretrain pneumonia --method contrastive --images more-films --minutes 30
overread pretrain liver --name pretrained --resume"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option(
    "--method",
    type=click.Choice(["masked", "contrastive"]),
    help="Fill in hidden parts, or tell views of images apart; by default what fits the network.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Further studies without labels, beside the training images.",
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time to learn for, by default 15.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs to learn for, instead of minutes.")
@fold_option("Leave out the images of fold K, for a run that holds it out.")
@click.option("--resume", is_flag=True, help="Go on with one that was stopped; say --images again.")
@click.option("--name", metavar="NAME", help="Name of the run, by default 'pretrained'.")
@set_option
def pretrain(
    project: Path,
    method: str | None,
    images: Path | None,
    minutes: float | None,
    epochs: int | None,
    fold: int | None,
    resume: bool,
    name: str | None,
    overrides: dict[str, str],
) -> Outcome:
    """Let the network learn from images without labels first; a training then begins from its weights.

    Looks at the images of the training partition, and at those of a further folder where one is given: never at
    tuning or internal test images, by whom the network is judged later. Images of the folder with the pixels of
    one of these are left out and counted. Leaves weights, no answers: `--set training.weights=run:NAME` uses them.
    """
    if minutes is not None and epochs is not None:
        raise click.UsageError("Give --minutes or --epochs, not both.")
    from overread.workflow.pretrain import pretrain as run_pretraining
    from overread.workflow.starts.pretrained import read_record

    run = run_pretraining(Project.open(project), method, images, minutes, epochs, fold, resume, name, overrides, reporter())
    record = read_record(run)
    name = run.path.parent.name if fold is not None else run.name
    held = ["--fold", str(fold)] if fold is not None else []
    again = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    follow = command("train", project, "--name", f"from-{name}", *held, "--set", f"training.weights=run:{name}", *again)
    values = {"run": name, "folder": str(run.path), "is_phantom": record["is_phantom"], "pretraining": record}
    return Outcome("\n".join(_told(name, record)), values, follow)


def _told(name: str, record: dict[str, Any]) -> list[str]:
    images, losses = record["images"], record["losses"]
    lines = [PHANTOM] if record["is_phantom"] else []
    lines.append(
        f"'{name}' learned without labels ({record['loss']}) for {record['steps']} steps, {record['minutes_spent']:g} minutes."
    )
    seen = f"Images: {images['training']} of the training partition"
    lines.append(f"{seen}{_further(images)}.")
    if losses:
        lines.append(f"Loss: {losses[0]:.4g} in the first epoch, {losses[-1]:.4g} in the last.")
    return [*lines, "Whether it helps is to be measured: train once from these weights and once from random ones."]


def _further(images: dict[str, Any]) -> str:
    if not images["further"] and not images["left_out"]:
        return ""
    left = ", ".join(f"{count} {reason}" for reason, count in sorted(images["left_out"].items()))
    return f" and {images['further']} further ones" + (f" (left out: {left})" if left else "")
