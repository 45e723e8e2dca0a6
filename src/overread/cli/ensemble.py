"""overread ensemble"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, project_argument
from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread ensemble liver --runs first,second,third
overread ensemble liver --runs first,second --weights 2,1 --score
overread ensemble liver --runs first,second --fold all
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
@click.option("--score", is_flag=True, help="Score it and each member on the tuning cases, paired.")
def ensemble(
    project: Path,
    runs: str,
    name: str | None,
    weights: str | None,
    fold: int | str | None,
    over: str | None,
    gate: str | None,
    score: bool,
) -> Outcome:
    """Let several trained models answer together, as one run with one model file.

    Probabilities, numbers and voxel maps are averaged; boxes and instances are fused. Calibration, operating points and
    clean-up are fitted on the joint answers to the tuning cases and frozen. The new run is evaluated, compared, reported
    and read with like any other; the internal test is not touched.

    An ensemble --over folds has no internal test of its own, as each case was learned from by one of its members:
    its folds are evaluated, and external cohorts.
    """
    from overread.workflow.ensemble import ensemble as combine  # loads torch: not for --help
    from overread.workflow.ensembles.beside import refuse_over_folds_scores, score_members

    if score:
        refuse_over_folds_scores(over)
    opened = Project.open(project)
    names = [word.strip() for word in runs.split(",") if word.strip()]
    made = combine(opened, names, name, _numbers(weights), fold, over, gate, reporter())
    first = made[0]
    title = first.name
    lines = [f"Run '{title}' is an ensemble of {len(first.members)} {'model' if len(first.members) == 1 else 'models'}."]
    for one in made:
        held = "" if one.fold is None else f"Fold {one.fold}: "
        lines.append(f"{held}{'; '.join(one.members)}. Model: {one.file}")
    lines += [f"Note: {note}" for note in dict.fromkeys(note for one in made for note in one.notes)]
    values = {"run": title, "ensembles": [one.as_dict() for one in made]}
    if score:
        besides = [score_members(opened, one.name, one.fold, names, reporter()) for one in made]
        values["beside"] = besides
        lines += [line for beside in besides for line in _beside(beside)]
    if over is not None:
        return Outcome("\n".join(lines), values, command("evaluate", project, "--run", *names))
    chosen = ["--fold", str(fold)] if isinstance(fold, int) else []
    return Outcome("\n".join(lines), values, command("evaluate", project, "--run", title, *chosen))


def _beside(beside: dict[str, Any]) -> list[str]:
    """The ensemble's score on the tuning cases, and of each member, with what it adds to answer together."""
    lines = [f"{beside['endpoint']['name']} on the tuning cases: ensemble {beside['ensemble']:.3f}"]
    for row in beside["members"]:
        lines.append(f"  {row['run']} {row['value']:.3f}; ensemble less {row['run']}: {Interval.from_dict(row['gain']).short}")
    return [*lines, *(f"Note: {note}" for note in beside["notes"])]


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
