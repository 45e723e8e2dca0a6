"""overread ablate"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, set_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread ablate liver --switch augmentation,deep_supervision --minutes 10
overread ablate liver --switch skips --epochs 20 --seeds 3
overread ablate liver --run first --switch test_changes"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option("--switch", "switches", metavar="NAME,NAME", help="What to switch off, one at a time; the usual parts otherwise.")
@click.option("--run", "run_name", metavar="NAME", help="The run whose settings are the base, or whose frozen model reads.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time for each training.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs for each training, instead of minutes.")
@click.option("--seeds", type=click.IntRange(min=1), help="Trainings of each variant, each with its own seed; by default 3.")
@fold_option("Projects of folds: ablate the run that holds out fold K.")
@click.option("--name", metavar="NAME", help="Name of the ablation, by default 'ablation'.")
@set_option
def ablate(
    project: Path,
    switches: str | None,
    run_name: str | None,
    minutes: float | None,
    epochs: int | None,
    seeds: int | None,
    fold: int | None,
    name: str | None,
    overrides: dict[str, str],
) -> Outcome:
    """Switch one part of a training or of a reading off at a time: what does it add?

    Trainings: skips, augmentation, mirror, copy_paste, normalisation, pretraining, deep_supervision, ema, dropout,
    weight_decay, class_weights, clinical. Each variant is trained as the base is, with the same cases, budget and seeds:
    in all as many trainings as switches and one more, times seeds.
    Readings, with --run: test_mirror and test_changes, gain and seconds per case of the frozen model, nothing trained.
    Scores are of tuning cases, differences are paired by patient. A part that is not there is said to be left out. Writes
    ablation.json and ablation.html into runs/NAME. What is trained is kept: after Ctrl-C, say the same again.
    """
    if minutes is not None and epochs is not None:
        raise click.UsageError("Give --minutes or --epochs, not both.")
    from overread.workflow.ablate import DEFAULT_NAME, PAGE  # loads torch: not for --help
    from overread.workflow.ablate import ablate as switch_off

    def tell(line: str) -> None:
        click.echo(line, err=True)

    opened = Project.open(project)
    named = [word.strip() for word in (switches or "").split(",") if word.strip()]
    found = switch_off(opened, named, run_name, minutes, epochs, seeds, name, fold, overrides, reporter(), tell)
    lines = [PHANTOM] if found["is_phantom"] else []
    lines += [
        *_table(found, "trained"),
        *_table(found, "read"),
        *(f"Note: {note}" for note in (*found["notes"], *found["notes_read"])),
    ]
    lines += ["", f"Page: {opened.run(name or DEFAULT_NAME).path / PAGE}"]
    return Outcome("\n".join(lines), found, command("train", project))


def _table(found: Mapping[str, Any], part: str) -> list[str]:
    """A line for each part, and what was left out."""
    lines = []
    if found[part]:
        title = "trained without" if part == "trained" else f"read otherwise by run {found['read']['run']}"
        lines.append(f"{found['endpoint']['name']} on the tuning cases, {title} (a gain above 0: the part helps):")
        lines += [f"  {_line(row)}" for row in found[part]["rows"]]
    refused = found["not_trained" if part == "trained" else "not_read"]
    lines += [f"  left out: {found['titles'][name]}: {why}" for name, why in refused.items()]
    return [*lines, ""] if lines else []


def _line(row: Mapping[str, Any]) -> str:
    gain = Interval.from_dict(row["gain"]).short
    told = f"{row['title']}: with {row['with']:.3f}, without {row['without']:.3f}, gain {gain}: {row['verdict']}"
    if row.get("spread_over_seeds") is not None:
        return f"{told}; spread over seeds {row['spread_over_seeds']:.3f}"
    if "seconds_with" in row:
        return f"{told}; {row['seconds_with']:.3g} s a case against {row['seconds_without']:.3g} s"
    return told
