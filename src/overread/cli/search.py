"""overread search"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, set_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread search liver --minutes 60
overread search liver --minutes 60 --over training.learning_rate=1e-4..1e-2:log --over training.loss=dice,dice_ce
overread search liver --trials 20 --trial-epochs 5 --method random --range-test
overread search liver --resume --minutes 120"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Time for all of it, the training at the end included."
)
@click.option("--trials", type=click.IntRange(min=1), help="The most trials.")
@click.option("--trial-minutes", type=click.FloatRange(min=0, min_open=True), help="Time of a trial; a twentieth of --minutes.")
@click.option("--trial-epochs", type=click.IntRange(min=1), help="Epochs of a trial, instead: the same on every machine.")
@click.option(
    "--over",
    metavar="KEY=LOW..HIGH[:log]|A,B",
    multiple=True,
    help="A line of [training] with the range, or the values, to go through. May be repeated; by default the usual ones.",
)
@click.option("--method", type=click.Choice(["tpe", "random", "grid"]), help="How trials are proposed, by default tpe.")
@click.option("--range-test", is_flag=True, help="First find out how high the learning rate may be, and search around that.")
@click.option("--seed", type=int, help="Seed of the proposals, by default 0.")
@fold_option("Projects of folds: search for the run that holds out fold K.")
@click.option("--name", metavar="NAME", help="Name of the run that is trained at the end, by default 'searched'.")
@click.option("--resume", is_flag=True, help="Go on with a search that was stopped.")
@set_option
def search(
    project: Path,
    name: str | None,
    fold: int | None,
    overrides: dict[str, str],
    resume: bool,
    **words: Any,
) -> Outcome:
    """Try many settings for a short time each, and train the best: the best model within a budget.

    Every trial learns from the training cases and is scored on the tuning cases; the first one is as project.toml says. The
    next is proposed by what the others found (Optuna). A trial that falls behind is ended early. At the end the best is
    compared with the first, paired, and trained four times as long as a trial. Writes search.json and search.html into the
    run. The internal test stays sealed. After Ctrl-C, --resume goes on; finished trials are kept.
    """
    from overread.workflow.search import DEFAULT_NAME  # loads torch: not for --help
    from overread.workflow.search import search as run_search
    from overread.workflow.searching.asked import Asked
    from overread.workflow.searching.found import PAGE

    def tell(line: str) -> None:
        click.echo(line, err=True)

    found = run_search(Project.open(project), Asked(**words), name, fold, overrides, reporter(), tell, resume=resume)
    held = () if fold is None else ("--fold", str(fold))
    lines = [PHANTOM] if found["is_phantom"] else []
    lines += [found["words"], "", *_table(found), "", *(f"Note: {note}" for note in found["notes"])]
    place = Project.open(project).run(found["name"], fold).path
    lines += ["", f"Page: {place / PAGE}"]
    return Outcome("\n".join(lines), found, command("evaluate", project, "--run", name or DEFAULT_NAME, *held))


def _table(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['endpoint']['name']} on the tuning cases ({found['endpoint']['better']} is better):"]
    for row in found["trials"]:
        mark = "*" if row["is_best"] else " "
        settings = ", ".join(f"{key} = {value}" for key, value in row["settings"].items()) or "as in project.toml"
        value = row["state"] if row["interval"] is None else Interval.from_dict(row["interval"]).short
        lines.append(f" {mark}{row['number']}  {value}; {settings}")
    if found["importances"]:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in found["importances"].items())
        lines += ["", f"What mattered among these trials (functional analysis of variance): {shares}"]
    return lines
