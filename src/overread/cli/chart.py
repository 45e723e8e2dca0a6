"""overread chart"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.networks_words import table
from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, project_argument
from overread.workflow.project import Project

EXAMPLE = """\
overread chart liver
overread chart liver --on internal --repeats 10"""


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@click.option(
    "--on", type=click.Choice(["tuning", "internal"]), default="tuning", show_default=True, help="Which evaluations are drawn."
)
@click.option("--repeats", type=int, default=5, show_default=True, help="Readings of the one case, of which the median counts.")
def chart(project: Path, on: str, repeats: int) -> Outcome:
    """Draw every model that was tried: accuracy against parameters, multiplications and seconds.

    Drawn are the runs of DIR that were evaluated, ensembles with all their members, baselines without a cost. Of the internal
    test only evaluations made before are read; nothing is opened. Writes chart.html and chart.json into DIR.
    """
    from overread.workflow.chart import chart as chart_project  # loads torch: not for --help

    opened = Project.open(project)
    result = chart_project(opened, on, repeats, reporter())
    names = ",".join(row["run"] for row in result["runs"][:2])
    follow = command("compare", project, "--runs", names, "--on", on) if len(result["runs"]) > 1 else ""
    return Outcome(describe(result), result, follow)


def describe(result: Mapping[str, Any]) -> str:
    """The table, what the costs rest on, and what the chart cannot say."""
    from overread.reporting.diagrams.chart_page import COLUMNS, PARTITIONS, conditions, rows_of

    lines = ["PHANTOM: these scores are about software, not about patients."] if result["is_phantom"] else []
    lines.append(f"{result['endpoint_name']} on {PARTITIONS[result['partition']]}")
    lines += [*table(COLUMNS, rows_of(result)), "", conditions(result)]
    lines += [f"Note: {note}" for note in result["notes"]]
    return "\n".join([*lines, f"Page: {result['page']}"])
