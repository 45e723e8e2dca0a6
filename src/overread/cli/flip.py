"""overread flip"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.explained import names
from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, project_argument, run_option
from overread.workflow.project import Project

EXAMPLE = """\
overread flip pneumonia
overread flip pneumonia --case C-0012,C-0040
overread flip liver --run second --limit 2"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model and tuning cases are meant.")
@click.option(
    "--case", "cases", metavar="ID,ID", callback=names, help="Tuning cases by pseudonym; otherwise some chosen by rule."
)
@click.option("--limit", type=int, metavar="N", help="Change at most N cases; 4 where no case is named.")
def flip(project: Path, run_name: str | None, fold: int | None, cases: tuple[str, ...], limit: int | None) -> Outcome:
    """Turn an answer by the smallest change of its image: how little is enough?

    For some tuning cases: the smallest change aimed at the network, voxel by voxel, in standard deviations, grey levels or
    HU, and shares of the window, beside random noise of the same size; and the least noise, blur, contrast and the like
    that turns the answer. Pictures and tables go to the run's page. For teaching: this estimates no clinical risk.
    The internal test stays sealed.
    """
    from overread.workflow.flip import flip as turn  # loads torch: not for --help

    opened = Project.open(project)
    result = turn(opened, run_name, fold, cases, limit, reporter())
    follow = command("robustness", project, *opened.run_words(opened.run(result["run"], fold)))
    return Outcome(describe(result), result, follow)


def describe(result: Mapping[str, Any]) -> str:
    """A paragraph per case: what turns the answer, and what noise of that size does."""
    lines = ["PHANTOM: these changes are about software, not about patients."] if result["is_phantom"] else []
    for row in result["cases"]:
        if "left" in row:
            lines.append(f"{row['case_id']}: left out, {row['left']}")
            continue
        lines.append(f"{row['case_id']}: {row['before']}")
        for one in row["changes"]:
            if one["size_sd"] is None:
                lines.append(f"  {one['title']}: not turned by any within its range of values")
                continue
            noise = f"noise of that size turns it in {one['noise']['flips']} of {one['noise']['draws']} draws"
            lines.append(f"  {one['title']}: {one['words']}: {one['after']}; {noise}")
        turning = [one for one in row["worsened"] if one["turns"]]
        lines += [f"  {one['title']}, {one['amount']}: {one['after']}" for one in turning]
        if len(turning) < len(row["worsened"]):
            lines.append(f"  not turned by: {'; '.join(_not_turned(row))}")
    lines += ["", *(f"Note: {note}" for note in result["notes"]), f"Page: {result['page']}"]
    return "\n".join(lines)


def _not_turned(row: Mapping[str, Any]) -> list[str]:
    return [f"{one['title']}, {one['amount']}" for one in row["worsened"] if not one["turns"]]
