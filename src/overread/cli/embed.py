"""overread embed"""

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
from overread.workflow.project import Project

EXAMPLE = """\
overread embed chest
overread embed chest --by site,scanner,sex
overread embed chest --run second --limit 300"""
WIDTH = 98


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model is looked into.")
@click.option(
    "--by",
    metavar="NAME,NAME",
    callback=names,
    help="Columns to tell cases apart by, such as site, scanner, sex, age; all otherwise.",
)
@click.option("--limit", type=int, metavar="N", help="At most N cases of each partition, the same ones every time.")
def embed(project: Path, run_name: str | None, fold: int | None, by: tuple[str, ...], limit: int | None) -> Outcome:
    """See cases as the network sees them: which lie near each other, and can their site be told?

    Features of the last layer drawn by principal components, t-SNE and UMAP; a test, with a number, whether site, scanner, sex,
    age or partition can be told from them, beyond what the label says; and for every tuning case the training cases that lie
    nearest, never of the same patient. The truths of the internal test stay sealed.
    """
    from overread.workflow.embed import embed as look  # loads torch: not for --help

    result = look(Project.open(project), run_name, fold, by, limit, reporter())
    return Outcome(describe(result), result, command("report", project, "--run", result["run"]))


def describe(result: Mapping[str, Any]) -> str:
    """What was embedded, what is told from the features, how alike neighbours are, and where the page is."""
    counts = result["n_cases"]
    lines = [PHANTOM] if result["is_phantom"] else []
    lines += [
        f"{counts['training']} training, {counts['tuning']} tuning cases and {counts['internal']} images of the internal test as "
        f"{result['features']['count']} features each.",
        "",
        "Can it be told from the features? (area under the ROC curve; p by patient, and within the label)",
        *(f"  {_told(row)}" for row in result["told"]["rows"]),
        "",
        *_precision(result),
        "",
        f"Page: {result['page']}",
    ]
    return "\n".join([*lines, *(line for note in result["notes"] for line in textwrap.wrap(f"Note: {note}", WIDTH))])


def _told(row: Mapping[str, Any]) -> str:
    if row["interval"] is None:
        return f"{row['column']}: not tried, {row['reason']}"
    within = "" if row["p_within"] is None else f", within the label p {row['p_within']:.2g}"
    return f"{row['column']}: {row['verdict']}. AUC {_span(row['interval'])}, p {row['p']:.2g}{within}"


def _precision(result: Mapping[str, Any]) -> list[str]:
    found = result["precision"]
    return [
        f"Of the {result['k']} nearest training cases, this share is alike ({result['alike']}):",
        f"  by features {_span(found['by_features'])}, by chance {_span(found['by_chance'])}, "
        f"by pixels {_span(found['by_pixels'])}",
        f"  more than by chance {_span(found['over_chance'])}, more than by pixels {_span(found['over_pixels'])}",
    ]


def _span(values: Mapping[str, Any]) -> str:
    return Interval.from_dict(dict(values)).short
