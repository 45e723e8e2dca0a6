"""overread ensemble"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, project_argument
from overread.core.errors import OverreadError
from overread.workflow.project import Project

EXAMPLE = """\
overread ensemble liver --runs first,second,third
overread ensemble liver --runs first,second --weights 2,1 --fold all
overread ensemble liver --runs first --over folds --name final
overread ensemble nodules --runs first,second --gate has-nodule:first"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option("--runs", metavar="RUN,RUN", required=True, help="Frozen runs of this project whose models answer together.")
@click.option("--name", metavar="NAME", help="Name of the new run; ensemble where none is given.")
@click.option("--weights", metavar="W,W", help="Trust in each run, in their order; all alike where none are given.")
@fold_option("Projects of folds: an ensemble of the models that hold out fold K, or one for each fold.", or_all=True)
@click.option(
    "--over",
    type=click.Choice(["folds"]),
    help="Projects of folds: make one model for new patients of the models of all folds of one run.",
)
@click.option(
    "--gate",
    metavar="PROJECT[:RUN]",
    help="Detection, instances: a classifier of another project; a case that it does not call is answered with no object.",
)
def ensemble(
    project: Path, runs: str, name: str | None, weights: str | None, fold: int | str | None, over: str | None, gate: str | None
) -> Outcome:
    """Let several trained models answer together, as one run with one model file.

    Probabilities, numbers and voxel maps are averaged; boxes and instances are fused. Calibration, operating points and
    clean-up are fitted on the joint answers to the tuning cases and frozen. The new run is evaluated, compared, reported
    and read with like any other; the internal test is not touched.

    An ensemble --over folds has no internal test of its own, as each case was learned from by one of its members:
    its folds are evaluated, and external cohorts.
    """
    from overread.workflow.ensemble import ensemble as combine  # loads torch: not for --help

    names = [word.strip() for word in runs.split(",") if word.strip()]
    made = combine(Project.open(project), names, name, _numbers(weights), fold, over, gate, reporter())
    first = made[0]
    title = first.name
    lines = [f"Run '{title}' is an ensemble of {len(first.members)} {'model' if len(first.members) == 1 else 'models'}."]
    for one in made:
        held = "" if one.fold is None else f"Fold {one.fold}: "
        lines.append(f"{held}{'; '.join(one.members)}. Model: {one.file}")
    lines += [f"Note: {note}" for note in dict.fromkeys(note for one in made for note in one.notes)]
    values = {"run": title, "ensembles": [one.as_dict() for one in made]}
    if over is not None:
        return Outcome("\n".join(lines), values, command("evaluate", project, "--run", *names))
    chosen = ["--fold", str(fold)] if isinstance(fold, int) else []
    return Outcome("\n".join(lines), values, command("evaluate", project, "--run", title, *chosen))


def _numbers(text: str | None) -> list[float] | None:
    """ "1,1,2" -> [1.0, 1.0, 2.0]"""
    if text is None:
        return None
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise OverreadError(
            f"--weights '{text}': expected numbers with commas between.", "write for example --weights 1,1,2"
        ) from None
