"""overread fidelity"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread fidelity films
overread fidelity films --run second --count 1000 --steps 50
overread fidelity films --features classifier.overread
overread fidelity harmonise
overread fidelity films --features inception:inception_v3_google-0cc3c7bd.pth"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model makes the images.")
@click.option(
    "--count", type=int, default=500, show_default=True, help="Images to make; of a translation the most that are compared."
)
@click.option(
    "--features",
    metavar="MODEL|RUN|inception:FILE",
    default="",
    help="What compares images: a model file, the folder of a pretraining, Inception; else an encoder that learns once.",
)
@click.option("--minutes", type=float, default=5.0, show_default=True, help="In which that encoder learns.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same images.")
@click.option("--steps", type=int, metavar="N", help="Diffusion: steps from noise to image.")
def fidelity(
    project: Path,
    run_name: str | None,
    fold: int | None,
    count: int,
    features: str,
    minutes: float,
    seed: int,
    steps: int | None,
) -> Outcome:
    """How near are made images to real ones, how varied, and are training images repeated?

    Frechet and kernel distance, precision, recall, density, coverage and diversity against the tuning images, each with its
    interval and beside what real images get; and the distance of each made image to its nearest training image. Which network
    looks is part of every number. The internal test stays sealed.

    Of a translation without pairs the tuning images of the first kind are taken, translated and as they were read, against those
    of the second: did they move towards it?
    """
    from overread.workflow.fidelity import fidelity as judge  # loads torch: not for --help

    opened = Project.open(project)
    record = judge(
        opened, run_name, count, fold=fold, features=features, minutes=minutes, seed=seed, steps=steps, progress=reporter()
    )
    lines = [PHANTOM] if record["is_phantom"] else []
    lines += [*_rows(record), "", record["memory"]["sentence"], f"Page: {record['page']}"]
    return Outcome("\n".join(lines), record, command("report", project, "--run", record["run"]))


def _rows(record: dict[str, Any]) -> list[str]:
    """The scores; of a translation beside what the same images have untouched."""
    found = record["fidelity"]
    if "kinds" not in record:
        head = f"{found['n_made']} images made by run {record['run']}, seen by {found['network']}:"
        return [head, *(f"  {row['name']:<40} {_short(row)}" for row in found["scores"])]
    first, second = record["kinds"]
    untouched = {row["metric"]: row for row in record["untouched"]}
    return [
        f"{found['n_made']} images of kind {first} translated by run {record['run']}, beside {found['n_real']} real ones of kind "
        f"{second}, seen by {found['network']}:",
        f"  {'':<40} {'translated':<26} as they were read",
        *(f"  {row['name']:<40} {_short(row):<26} {_short(untouched[row['metric']])}" for row in found["scores"]),
    ]


def _short(row: dict[str, Any]) -> str:
    return Interval.from_dict(row["interval"]).short
