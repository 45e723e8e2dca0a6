"""overread select"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, set_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread select liver --try training.learning_rate=1e-3,1e-4 --minutes 10
overread select liver --try training.loss=dice,dice_ce --try training.augmentation.elastic=0,2 --inner 5
overread select liver --fold all --try training.patch=[64,64,64],[96,96,96]"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option(
    "--try",
    "tries",
    metavar="KEY=VALUE,VALUE",
    multiple=True,
    help="A line of [training] and the values to compare; list the plainest first. May be repeated: all combinations.",
)
@click.option("--inner", type=click.IntRange(min=2), help="Inner parts, by default 3.")
@fold_option("Select for the run that holds out fold K, or for each fold by itself.", or_all=True)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time for each training.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs for each training, instead of minutes.")
@click.option("--name", metavar="NAME", help="Name of the run that is trained at the end, by default 'selected'.")
@set_option
def select(
    project: Path,
    tries: tuple[str, ...],
    inner: int | None,
    fold: int | str | None,
    minutes: float | None,
    epochs: int | None,
    name: str | None,
    overrides: dict[str, str],
) -> Outcome:
    """Choose among ways to train, without the test having any part in it.

    Divides the training and tuning cases by patient into inner parts, trains every candidate with each part held
    out once, and takes the best mean of the primary endpoint; of candidates within its spread the first listed.
    The winner is then trained as `overread train` does. The internal test stays sealed, so what
    `overread evaluate` finds on it afterwards is the estimate of nested cross-validation.
    What is trained is kept: after Ctrl-C, say the same again.
    """
    if minutes is not None and epochs is not None:
        raise click.UsageError("Give --minutes or --epochs, not both.")
    from overread.workflow.select import DEFAULT_NAME
    from overread.workflow.select import select as choose

    def tell(line: str) -> None:
        click.echo(line, err=True)

    found = choose(Project.open(project), tries, inner, fold, minutes, epochs, name, overrides, reporter(), tell)
    is_phantom = any(one["is_phantom"] for one in found)
    lines = [PHANTOM] if is_phantom else []
    lines += [line for one in found for line in (*_table(one), one["words"], "")]
    held = ["--fold", str(fold)] if isinstance(fold, int) else []
    values = {"run": name or DEFAULT_NAME, "is_phantom": is_phantom, "selections": found}
    return Outcome("\n".join(lines).rstrip(), values, command("evaluate", project, "--run", values["run"], *held))


def _table(found: dict[str, Any]) -> list[str]:
    endpoint = found["endpoint"]
    held = "" if found["fold"] is None else f"Fold {found['fold']}: "
    lines = [f"{held}{endpoint['name']}, mean over {found['inner']} inner parts ({endpoint['better']} is better):"]
    for one in found["candidates"]:
        mark = "*" if one["is_chosen"] else " "
        settings = ", ".join(f"{key} = {value}" for key, value in one["settings"].items())
        parts = ", ".join("none" if score is None else f"{score:.3f}" for score in one["scores"])
        lines.append(f" {mark}{one['number']}  {settings}: {Interval.from_dict(one['interval'])}; parts {parts}")
    return lines
