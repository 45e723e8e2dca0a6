"""overread label-next"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option, set_option
from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread label-next chest unlabelled/ --count 20
overread label-next chest unlabelled/ --by uncertainty --run second
overread label-next chest --simulate --count 50 --minutes 2"""
SHOWN = 10
BETTER = "That the proposals are better is shown: the interval of a difference lies beyond 0."
LUCK = "No difference is shown: no interval lies beyond 0 on the better side. Take the number for luck."


@click.command("label-next", cls=Verb, example=EXAMPLE)
@project_argument
@click.argument("studies", nargs=-1, type=click.Path(path_type=Path))
@click.option("--count", type=int, default=20, show_default=True, help="Studies to propose; with --simulate, in each round.")
@click.option(
    "--by",
    type=click.Choice(["both", "uncertainty", "diversity", "chance"]),
    default="both",
    show_default=True,
    help="What the model is unsure of, what is unlike all that is labelled, or of the first those of the second.",
)
@run_option
@fold_option("Projects of folds: the fold whose model looks.")
@click.option("--refusal", type=click.Choice(["on", "warn", "off"]), help="Of images unlike those of training, as in read.")
@click.option("--clinical", metavar="SHEET", help="Clinical values that the model reads: a sheet, or age=63,sex=F.")
@click.option("--simulate", is_flag=True, help="Label training cases in rounds instead: does the proposal save labels?")
@click.option("--start", type=float, metavar="P", help="Simulation: percent of the training patients labelled at first [25].")
@click.option("--rounds", type=click.IntRange(min=1), help="Simulation: rounds of labelling [2].")
@click.option("--repeats", type=click.IntRange(min=1), help="Simulation: how often, each with its own beginning and seed [2].")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Simulation: time for each training.")
@click.option("--epochs", type=click.IntRange(min=1), help="Simulation: epochs for each training, instead of minutes.")
@click.option("--name", metavar="NAME", help="Simulation: folder of its runs in DIR/runs [labelling].")
@set_option
def label_next(
    project: Path,
    studies: tuple[Path, ...],
    count: int,
    by: str,
    run_name: str | None,
    fold: int | None,
    refusal: str | None,
    clinical: str | None,
    simulate: bool,
    start: float | None,
    rounds: int | None,
    repeats: int | None,
    minutes: float | None,
    epochs: int | None,
    name: str | None,
    overrides: dict[str, str],
) -> Outcome:
    """Which unlabelled studies should a reader label next, and does that save labels?

    A trained model looks at studies without labels: those that it is unsure of, and among them those unlike all that
    is labelled already, come first. The list names your studies and lies in DIR/cohort/private. Label them, add them
    to folder and sheet, and take them in with update; the log keeps count. With --simulate nothing new is needed:
    training cases are labelled in rounds, by proposal and by chance, and both are scored on the same tuning cases.
    """
    of_simulation: dict[str, Any] = {
        "--start": start,
        "--rounds": rounds,
        "--repeats": repeats,
        "--minutes": minutes,
        "--epochs": epochs,
    }
    of_simulation |= {"--name": name, "--set": overrides or None}
    opened = Project.open(project)
    if simulate:
        if studies:
            raise click.UsageError("--simulate takes training cases, no studies.")
        if start is not None and not 0 < start < 100:
            raise OverreadError(f"--start {start:g} is no share to begin with.", "give a percentage between 0 and 100")
        from overread.workflow.labelling.simulation import simulate as label_in_rounds

        share = None if start is None else start / 100
        found = label_in_rounds(
            opened, count, by, share, rounds, repeats, minutes, epochs, name, fold, overrides, reporter(), _tell
        )
        return Outcome("\n".join(_simulated(found)), found, command("learning-curve", project))
    given = [option for option, value in of_simulation.items() if value is not None]
    if given:
        raise click.UsageError(f"{given[0]} belongs to --simulate.")
    if not studies:
        raise click.UsageError("Name the studies without labels, or say --simulate.")
    from overread.workflow.label_next import label_next as propose
    from overread.workflow.readings.clinical import given as clinical_values

    values = clinical_values(clinical)
    found = propose(opened, studies, count, by, run_name, fold, refusal, values, progress=reporter())
    return Outcome("\n".join(_proposed(found)), found, command("update", project))


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _proposed(found: Mapping[str, Any]) -> list[str]:
    rows = found["proposals"]
    lines = [f"{len(rows)} of {found['pool']} studies to label next, by run {found['run']} ({found['by']}):"]
    for rank, row in enumerate(rows[:SHOWN], 1):
        unsure = "not defined" if row["uncertainty"] is None else f"{row['uncertainty']:.3f}"
        far = "" if row["distance"] is None else f", distance to what is labelled {row['distance']:.2f}"
        lines.append(f"  {rank:>3}  {row['study']}: {found['measure'].replace('_', ' ')} {unsure}{far}")
    if len(rows) > SHOWN:
        lines.append(f"  ... {len(rows) - SHOWN} more in the list")
    for name, why in list(found["reasons"].items())[:SHOWN]:
        lines.append(f"  left out: {name}: {why}")
    if len(found["reasons"]) > SHOWN:
        lines.append(f"  ... {len(found['reasons']) - SHOWN} more were left out")
    lines += [f"  {name} is missing for {n} studies, and read as missing" for name, n in found["clinical_missing"].items() if n]
    if found["proposed_before"]:
        since = found["labelled_since"]
        lines.append(f"Of {found['proposed_before']} studies proposed before, {since} are cases of this project now.")
    return [*lines, "", f"List: {found['list']}", f"Log: {found['log']}"]


def _simulated(found: Mapping[str, Any]) -> list[str]:
    endpoint = found["endpoint"]
    lines = [PHANTOM] if found["is_phantom"] else []
    better = f"({endpoint['better']} is better)"
    lines.append(f"{endpoint['name']} on {found['n_cases']} tuning cases {better}; {found['repeats']} repeats:")
    for point in found["points"]:
        shown = {way: ", ".join("-" if v is None else f"{v:.3f}" for v in values) for way, values in point["scores"].items()}
        if point["gain"] is None:
            lines.append(f"  {point['cases']['chance']:g} cases labelled: {shown['chance']}")
        else:
            gain = Interval.from_dict(point["gain"])
            lines.append(f"  {point['cases']['chance']:g} cases: by chance {shown['chance']}; proposed {shown['proposed']}")
            lines.append(f"      proposed less chance {gain.short}")
    saved = found["labels_saved"]
    if saved is not None:
        word = "fewer" if saved >= 0 else "more"
        lines.append(f"For the best score that both ways reached, the proposals needed {abs(saved):.0f} labels {word}.")
    lines.append(BETTER if found["is_shown"] else LUCK)
    return [*lines, "", *(f"- {note}" for note in found["notes"])]
