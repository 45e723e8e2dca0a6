"""overread report"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.verb import Outcome, Verb, command, project_argument, run_option
from overread.workflow.project import Project
from overread.workflow.report import report as write_report


@click.command(cls=Verb, example="overread report liver\noverread report liver --run dice")
@project_argument
@run_option
def report(project: Path, run_name: str | None) -> Outcome:
    """Write one HTML page with everything that was done and found.

    One file, no network needed, prints well: the question, the flow of the data, the plan with its
    reasons, the curves, the scores with intervals, the worst, median and random cases, and what was
    not done. Names, numbers and dates of patients are not in it.
    """
    opened = Project.open(project)
    path = write_report(opened, run_name)
    return Outcome(f"Report: {path}", {"report": str(path)}, _next(project, path))


def _next(project: Path, report: Path) -> str:
    """Tuning scores lead to the internal test; after that the model may read."""
    if (report.parent / "evaluation-internal.json").exists():
        models = sorted(report.parent.glob("*.overread"))
        return command("read", *models[:1], "STUDY", "--out", "answers") if models else command("ledger", project)
    return command("evaluate", project, "--run", report.parent.name, "--on", "internal")
