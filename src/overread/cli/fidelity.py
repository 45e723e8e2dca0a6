"""overread fidelity"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread fidelity films
overread fidelity films --run second --count 1000 --steps 50
overread fidelity films --features classifier.overread
overread fidelity films --features inception:inception_v3_google-0cc3c7bd.pth"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model makes the images.")
@click.option("--count", type=int, default=500, show_default=True, help="Images to make.")
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
    """
    from overread.workflow.fidelity import fidelity as judge  # loads torch: not for --help

    opened = Project.open(project)
    record = judge(
        opened, run_name, count, fold=fold, features=features, minutes=minutes, seed=seed, steps=steps, progress=reporter()
    )
    rows = [f"  {row['name']:<40} {Interval.from_dict(row['interval']).short}" for row in record["fidelity"]["scores"]]
    lines = [PHANTOM] if record["is_phantom"] else []
    lines += [
        f"{record['fidelity']['n_made']} images made by run {record['run']}, seen by {record['fidelity']['network']}:",
        *rows,
    ]
    lines += ["", record["memory"]["sentence"], f"Page: {record['page']}"]
    return Outcome("\n".join(lines), record, command("report", project, "--run", record["run"]))
