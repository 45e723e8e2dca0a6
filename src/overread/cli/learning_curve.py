"""overread learning-curve"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, pairs, project_argument, set_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread learning-curve liver --minutes 15
overread learning-curve liver --shares 25,50,100 --repeats 3 --epochs 50
overread learning-curve liver --against training.weights=run:pretrained --minutes 5
overread learning-curve liver"""


def shares(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...]:
    """``"10,25"`` -> ``(0.1, 0.25)``."""
    try:
        return tuple(float(word.strip(" %")) / 100 for word in text.split(",")) if text else ()
    except ValueError as error:
        raise click.BadParameter(f"'{text}' is no list of percentages; write 10,25,50,100.") from error


@click.command("learning-curve", cls=Verb, example=EXAMPLE)
@project_argument
@click.option(
    "--shares",
    metavar="P,P,...",
    callback=shares,
    help="Percent of the training patients; all of them are always trained too. By default 10,25,50,100.",
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time for each training.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs for each training, instead of minutes.")
@click.option("--repeats", type=click.IntRange(min=1), help="Trainings of each share, by default 2: how far do they lie apart?")
@fold_option("Draw the curve of the run that holds out fold K.")
@click.option("--name", metavar="NAME", help="Folder of its runs in DIR/runs, by default 'curve'.")
@set_option
@click.option(
    "--against",
    metavar="SETTING=VALUE",
    multiple=True,
    callback=pairs,
    help="Train every share a second way, with this setting too, and compare the curves. May be repeated.",
)
def learning_curve(
    project: Path,
    shares: tuple[float, ...],
    minutes: float | None,
    epochs: int | None,
    repeats: int | None,
    fold: int | None,
    name: str | None,
    overrides: dict[str, str],
    against: dict[str, str],
) -> Outcome:
    """Would more patients help? Train on parts of the patients and forecast the score at twice as many.

    The smaller parts lie within the larger ones and are alike in every class; every training has the same
    budget and the same tuning cases, by which it is scored. A power law is fitted, and the forecast has an
    interval, or it is said that the points carry none. Writes DIR/learning-curve.json; `overread report` draws it.
    What is trained is kept: after Ctrl-C, say the same again. The internal test is neither opened nor read.
    """
    if minutes is not None and epochs is not None:
        raise click.UsageError("Give --minutes or --epochs, not both.")
    from overread.workflow.learning_curve import learning_curve as draw

    def tell(line: str) -> None:
        click.echo(line, err=True)

    opened = Project.open(project)
    found = draw(opened, shares, minutes, epochs, repeats, name, fold, overrides, reporter(), tell, against)
    lines = [PHANTOM] if found["is_phantom"] else []
    lines += [*_table(found), "", found["verdict"]["words"], *_against(found), *(f"- {note}" for note in found["notes"])]
    return Outcome("\n".join(lines), found, command("report" if opened.runs() else "train", project))


def _against(found: dict[str, Any]) -> list[str]:
    """The second way, share by share."""
    second = found.get("against")
    if not second:
        return []
    lines = ["", f"{second['name']}, by how much it is better:"]
    for point, gain in zip(second["points"], second["gains"], strict=True):
        lines.append(f"  {100 * point['share']:>4g} %, {point['patients']:g} patients: {Interval.from_dict(gain)}")
    return [*lines, "", second["words"]]


def _table(found: dict[str, Any]) -> list[str]:
    endpoint = found["endpoint"]
    of = "" if endpoint["subject"] == "all" else f", {endpoint['subject']}"
    unit = f" in {endpoint['unit']}" if endpoint["unit"] else ""
    lines = [f"{endpoint['name']}{of}{unit}, on tuning cases ({endpoint['better']} is better):"]
    for point in found["points"]:
        told = Interval.from_dict(point["interval"])
        lines.append(f"  {100 * point['share']:>4g} %, {point['patients']:g} patients: {told}")
    return lines
