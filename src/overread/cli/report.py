"""overread report"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.verb import Outcome, Verb, command, project_argument, run_option
from overread.cohort.index import has_internal_test, read_splits
from overread.reporting.paper.answers import FILE
from overread.workflow.project import Project
from overread.workflow.report import report as write_report


@click.command(cls=Verb, example="overread report liver\noverread report liver --run dice")
@project_argument
@run_option
def report(project: Path, run_name: str | None) -> Outcome:
    """Write one HTML page with everything that was done and found.

    One file, no network needed, prints well: the question, the flow of the data, the plan with its
    reasons, the curves, the scores with intervals, the worst, median and random cases, what was not
    done, limitations and methods as drafts, and the checklist CLAIM 2024. Names, numbers and dates of
    patients are not in it.

    Beside it: the figures as SVG with their numbers as CSV, the checklists as CSV (CLAIM, STARD,
    TRIPOD+AI), the methods as text, a model card and a data card. What only the authors know is
    asked in DIR/claim.toml, which is written once and then theirs.
    """
    opened = Project.open(project)
    path = write_report(opened, run_name)
    answers = opened.path / FILE
    text = f"Report: {path}\nBeside it: figures/, claim.csv, methods.txt, model-card.md, data-card.md\nYours to answer: {answers}"
    return Outcome(text, {"report": str(path), "answers": str(answers)}, _next(opened, project, path))


def _next(opened: Project, project: Path, report: Path) -> str:
    """Tuning scores lead to the internal test; after that the model may read. What has no truth is compared with real images."""
    if opened.question.task == "synthesize" or opened.question.is_unpaired:
        return command("fidelity", project, "--run", report.parent.name)
    if (report.parent / "evaluation-internal.json").exists() or not has_internal_test(read_splits(project)):
        models = sorted(report.parent.glob("*.overread"))
        return command("read", *models[:1], "STUDY", "--out", "answers") if models else command("ledger", project)
    return command("evaluate", project, "--run", report.parent.name, "--on", "internal")
