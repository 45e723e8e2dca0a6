"""overread uncertainty"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.explained import names
from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option
from overread.core.score import Interval
from overread.reporting.explanation.uncertainty_words import finding, key_of, name_of
from overread.workflow.project import Project

EXAMPLE = """\
overread uncertainty liver
overread uncertainty liver --by dropout,mirror --passes 20
overread uncertainty liver --run ensemble --by members
overread uncertainty liver --on internal"""
WIDTH = 98


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model is asked.")
@click.option(
    "--by", metavar="WAY,WAY", callback=names, help="members, dropout, mirror, changes; without it all that the model has."
)
@click.option(
    "--on",
    type=click.Choice(["tuning", "internal"]),
    default="tuning",
    show_default=True,
    help="Which cases; the internal test only after it was opened by `overread evaluate`.",
)
@click.option("--passes", type=int, default=10, show_default=True, help="Readings by each network, where chance draws them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@click.option("--limit", type=int, metavar="N", help="Read at most N cases, the same ones every time.")
def uncertainty(
    project: Path, run_name: str | None, fold: int | None, by: tuple[str, ...], on: str, passes: int, seed: int, limit: int | None
) -> Outcome:
    """Let the frozen model answer each case several times: does what it is unsure of tell where it is wrong?

    The several answers come from the members of an ensemble, from dropout that stays on, from mirrored images, or from small
    changes of the image. For each case: entropy and what the answers disagree by; for masks also as maps (NIfTI); for objects,
    the share of answers that find them again. Then, by patient and with intervals: how well that tells wrong answers from right
    ones, beside the plain confidence. Nothing is opened.
    """
    from overread.workflow.uncertainty import uncertainty as examine  # loads torch: not for --help

    result = examine(Project.open(project), run_name, fold, by, on, passes, seed, limit, reporter())
    return Outcome(describe(result), result, command("report", project, "--run", result["run"]))


def describe(result: Mapping[str, Any]) -> str:
    """How the cases were read, a line per measure, and where the page, the table and the maps lie."""
    told = result["partitions"][result["on"]]
    lines = [PHANTOM] if result["is_phantom"] else []
    where = "tuning partition. The internal test stays sealed" if result["on"] == "tuning" else "internal test, opened before"
    lines.append(
        f"Run {result['run']}: {told['n_cases']} cases of {told['n_patients']} patients of the {where}; "
        f"{told['ways']['readings']} readings each, by {', '.join(told['ways']['by'])}."
    )
    head = "wrong told from right" if key_of(told["measures"][0]) == "detection" else "rank correlation"
    cells = [("", head, "area under risk-coverage")]
    for row in told["measures"]:
        cells.append((name_of(row["measure"]), _span(row[key_of(row)]), _span(row["aurc"])))
    wide = [max(len(cell[column]) for cell in cells) for column in range(3)]
    lines += ["", *("  ".join(f"{text:<{w}}" for text, w in zip(cell, wide, strict=True)).rstrip() for cell in cells), ""]
    said = finding(told, result["level"])
    lines += [*_wrapped(said[:1].upper() + said[1:])]
    lines += [line for row in told["not_used"] for line in _wrapped(f"Not used: {row['way']}. {row['reason']} ({row['next']})")]
    lines += [line for note in told["notes"] for line in _wrapped(f"Note: {note}")]
    lines += ["", f"Page: {result['page']}", f"Table: {result['table']}"]
    return "\n".join([*lines, *([f"Maps: {result['maps']}"] if result["maps"] else [])])


def _span(values: Mapping[str, Any]) -> str:
    return Interval.from_dict(dict(values)).short


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
