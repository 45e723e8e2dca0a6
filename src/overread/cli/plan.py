"""overread plan"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, project_argument, set_option
from overread.workflow.project import Project

# Where a choice with a reason lies in the plan, if not at its top.
PLACES = {
    "architecture": ("network", "name"),
    "dimensions": ("preparation", "dimensions"),
    "spacing": ("preparation", "spacing"),
    "patch": ("preparation", "patch"),
    "batch": ("sampling", "batch"),
    "sampling": ("sampling", "scheme"),
}


@click.command(cls=Verb, example="overread plan liver\noverread plan liver --name small --set training.patch=64,64,64")
@project_argument
@click.option("--name", metavar="NAME", help="Name of the run that the plan is for; numbered where none is given.")
@fold_option("Plan for the run that holds out fold K.")
@set_option
def plan(project: Path, name: str | None, fold: int | None, overrides: dict[str, str]) -> Outcome:
    """Look at the training cases and write down how a network will be trained, and why.

    Measures spacing, sizes, intensities and class balance, chooses spacing, patch, batch, network,
    normalisation and precision, and writes each choice with its reason into DIR/runs/NAME/plan.toml.
    Takes one case through the whole chain and writes a page to look at before hours are spent.
    """
    from overread.workflow.plan import plan as make_plan

    made = make_plan(Project.open(project), name, fold, overrides, reporter())
    values = made.plan.as_dict()
    run = made.run.path.parent.name if fold is not None else made.run.name
    lines = [f"Plan of run '{run}':", *_choices(values), "", *_expected(made.plan.expected)]
    pages = [f"Written: {made.run.plan}", f"Look at: {made.run.path / 'preflight.html'}"]
    held = ["--fold", str(fold)] if fold is not None else []
    again = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    follow = command("train", project, "--name", run, *held, *again, "--minutes", 15)
    return Outcome("\n".join([*lines, *pages]), {"run": run, "path": str(made.run.plan), "plan": values}, follow)


def _choices(plan: dict[str, Any]) -> list[str]:
    reasons: dict[str, str] = plan["reasons"]
    width = max(map(len, reasons), default=0)
    return [f"  {key:<{width}}  {_words(_value(plan, key))}{reason}" for key, reason in reasons.items()]


def _value(plan: dict[str, Any], key: str) -> Any:
    value: Any = plan
    for step in PLACES.get(key, (key,)):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _words(value: Any) -> str:
    """A choice, followed by a dash; nothing for a table or for what is not set: the reason says it."""
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list | tuple):
        return " x ".join(str(inner) for inner in value) + " - " if value else ""
    return f"{str(value).lower() if isinstance(value, bool) else value} - "


def _expected(expected: dict[str, Any]) -> list[str]:
    if not expected:
        return []
    stages = ["Stages, from the entry to the head:", *(f"  {line}" for line in expected.get("stages", ()))]
    return [
        *(stages if len(stages) > 1 else []),
        f"Measured here ({expected['device']}): {expected['seconds_per_step']} s for a step,"
        f" {expected['memory_gib']} GiB of memory, {expected['parameters']} weights.",
    ]
