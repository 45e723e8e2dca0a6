"""overread compare"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.comparison import describe, describe_readers
from overread.cli.verb import Outcome, Verb
from overread.core.errors import OverreadError
from overread.workflow.compare import compare as compare_models
from overread.workflow.comparisons.readers import compare_readers

EXAMPLE = """\
overread compare old.json new.json
overread compare liver --runs first,second --on internal
overread compare old.json new.json --endpoint auc --margin 0.05
overread compare small=s1.json+s2.json+s3.json big=b1.json+b2.json+b3.json
overread compare --readers reads.csv --truth truth.csv --model answers.csv --positive malignant
overread compare --readers without.csv --aided with.csv --truth truth.csv --positive malignant"""

SHEET = click.Path(exists=True, dir_okay=False, path_type=Path)
MODELS = ("runs", "on", "endpoints", "test")
READERS = ("readers", "aided", "again", "truth", "model", "positive", "threshold", "column", "call", "patients", "id_column")
SECTIONS = {"Models": MODELS, "Readers": READERS}


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("places", metavar="[[NAME=]A [NAME=]B ... | DIR]", nargs=-1)
@click.option(
    "--runs", metavar="RUN,RUN", help="Runs of the project DIR; the first is the reference. All evaluated ones otherwise."
)
@click.option(
    "--on", type=click.Choice(["tuning", "internal"]), default="tuning", show_default=True, help="Which evaluation of the runs."
)
@click.option("--endpoint", "endpoints", metavar="METRIC[/SUBJECT]", multiple=True, help="What to compare. May be repeated.")
@click.option("--test", type=click.Choice(["wilcoxon"]), help="Ranks instead of means; one case per patient only.")
@click.option("--margin", type=float, help="The difference that would matter, set before the answers were seen.")
@click.option(
    "--aim",
    type=click.Choice(["non-inferior", "superior", "equivalent"]),
    default="non-inferior",
    show_default=True,
    help="What is to be shown with the margin.",
)
@click.option("--readers", type=SHEET, help="Reads: one row per case and reader, with a column 'reader'.")
@click.option("--aided", type=SHEET, help="Reads of the same readers with the model's help.")
@click.option(
    "--again", type=SHEET, help="Second reads of the same readers, without a truth: how far each agrees with their first read."
)
@click.option("--truth", type=SHEET, help="The truth of the reads, a row per case.")
@click.option("--model", type=SHEET, help="The model's probabilities for the same cases.")
@click.option("--positive", metavar="CLASS", help="Which value of the truth is the disease.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="The model's operating point, chosen beforehand.")
@click.option("--column", metavar="COLUMN", help="The readers' rating, higher for more suspicious.")
@click.option("--call", metavar="COLUMN", help="The readers' yes or no.")
@click.option("--patients", metavar="COLUMN", help="The column of the truth that names the patient.")
@click.option("--id-column", metavar="COLUMN", help="The column that names the case.")
@click.option("--out", type=click.Path(path_type=Path), help="Write comparison.json: a file, or a folder for it.")
def compare(places: tuple[str, ...], readers: Path | None, **words: Any) -> Outcome:
    """Compare models, or readers and a model, on the same cases.

    Models: A, B ... are evaluation files or run folders, or DIR is a project. Every one is compared with the first by the
    paired test that fits the score; cases of one patient are never taken as independent. Several runs of one recipe are
    joined with +. Nothing is opened: only evaluations made before are read.

    Readers: a sheet of reads against the truth, with a model beside them, with and without its help, or read twice.
    """
    if readers is None:
        return _models(places, **{key: words[key] for key in (*MODELS, "margin", "aim", "out")})
    if places:
        raise click.UsageError("Give models (A B), or --readers, not both.")
    chosen = {key: words[key] for key in (*READERS[1:], "endpoints", "margin", "aim", "out")}
    result = compare_readers(readers, **chosen)
    return Outcome(describe_readers(result), result)


def _models(places: tuple[str, ...], runs: str | None, test: str | None, **words: Any) -> Outcome:
    if not places:
        raise OverreadError("Nothing was named to compare.", "overread compare A.json B.json, or overread compare DIR")
    named = [word.strip() for word in (runs or "").split(",") if word.strip()]
    result = compare_models(places, runs=named, ranks=test == "wilcoxon", **words)
    return Outcome(describe(result), result)
