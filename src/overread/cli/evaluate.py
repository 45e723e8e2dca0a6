"""overread evaluate"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.scores import describe
from overread.cli.verb import Outcome, Verb, command, fold_option, run_option
from overread.core.errors import OverreadError
from overread.evaluation.result import Result
from overread.workflow.evaluate import evaluate as score_run
from overread.workflow.evaluate import evaluate_answers
from overread.workflow.project import Project

EXAMPLE = """\
overread evaluate liver
overread evaluate liver --on internal --hypothesis "The liver's Dice is above 0.90" --primary-endpoint dice/liver --margin 0.90
overread evaluate --truth masks --answers predictions --task segmentation"""

PATH = click.Path(exists=True, path_type=Path)
DECLARATION = ("hypothesis", "primary_endpoint", "margin", "threshold_rule", "declare")
OURS = ("run_name", "on", "fold", "yes", *DECLARATION)
SECTIONS = {
    "A run of a project": ("run_name", "on", "fold"),
    "The internal test": (*DECLARATION, "yes"),
    "Anybody's answers": (
        "truth", "answers", "task", "patients", "positive", "threshold", "classes", "id_column", "spacing", "tolerance_mm", "out",
    ),
}  # fmt: skip


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("project", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@run_option
@click.option(
    "--on", type=click.Choice(["tuning", "internal"]), default="tuning", show_default=True, help="Which cases to score."
)
@fold_option("Score the run that held out fold K; all folds together where it is not given.")
@click.option("--hypothesis", help="What is to be shown, in one sentence.")
@click.option("--primary-endpoint", metavar="METRIC[/SUBJECT]", help="The one score that decides, e.g. dice/liver.")
@click.option("--margin", type=float, help="The value that the interval of the primary endpoint must clear.")
@click.option("--threshold-rule", help="How the operating point was chosen, e.g. 'sensitivity >= 0.95'.")
@click.option("--declare", metavar="METRIC[/SUBJECT]", multiple=True, help="A secondary endpoint. May be repeated.")
@click.option("--yes", is_flag=True, help="Open the internal test without asking.")
@click.option("--truth", type=PATH, help="The truth, a folder of masks or a sheet.")
@click.option("--answers", type=PATH, help="The answers, in the same form.")
@click.option("--task", type=click.Choice(["classification", "regression", "segmentation"]), help="The task.")
@click.option("--patients", metavar="COLUMN|SHEET", help="Column of the truth, or a sheet, that names the patient.")
@click.option("--positive", metavar="CLASS", help="Which of two classes is the disease.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="The operating point, chosen beforehand.")
@click.option("--class", "classes", metavar="NAME[=VALUE]", multiple=True, help="A column, or a structure and its value.")
@click.option("--id-column", metavar="COLUMN", help="The column that names the case.")
@click.option("--spacing", type=float, nargs=3, metavar="Z Y X", help="Millimetres between pixels, for masks that do not say.")
@click.option("--tolerance-mm", type=float, default=2.0, show_default=True, help="Tolerance of the surface Dice.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the evaluation here, with pseudonyms.",
)
def evaluate(project: Path | None, **words: Any) -> Outcome:
    """Score a model, or anybody's answers, with intervals.

    With DIR: the answers of a run, on tuning cases unless --on internal is said. Opening the internal
    test is written into the ledger with the hypothesis, the endpoints and the model; what was not
    declared before is reported as exploratory.

    With --truth and --answers: predictions of any program. No project and no torch are needed.
    """
    ours, foreign = {key: words[key] for key in OURS}, {key: value for key, value in words.items() if key not in OURS}
    if project is None:
        return _anybody(**foreign)
    if foreign["truth"] or foreign["answers"]:
        raise click.UsageError("Give DIR, or --truth with --answers and --task, not both.")
    return _run(project, **ours)


def _anybody(truth: Path | None, answers: Path | None, task: str | None, classes: tuple[str, ...], **words: Any) -> Outcome:
    if truth is None or answers is None or task is None:
        raise click.UsageError("Give the project's folder DIR, or --truth with --answers and --task.")
    result = evaluate_answers(truth, answers, task, classes=_classes(classes), progress=reporter(), **words)
    return Outcome(describe(result), result)


def _classes(words: tuple[str, ...]) -> dict[str, int] | tuple[str, ...] | None:
    """``("liver=1", "spleen=2")`` are structures with values, ``("malignant",)`` is a column."""
    if not any("=" in word for word in words):
        return words or None
    named = dict(word.rpartition("=")[::2] for word in words)
    if not all(value.strip().isdecimal() for value in named.values()):
        raise OverreadError(
            f"--class {' '.join(words)}: expected NAME=VALUE with whole numbers.", "e.g. --class liver=1 --class spleen=2"
        )
    return {name: int(value) for name, value in named.items()}


def _run(folder: Path, run_name: str | None, on: str, fold: int | None, yes: bool, **words: Any) -> Outcome:
    project = Project.open(folder)
    declared = None
    if on == "internal":
        words["declared"] = words.pop("declare")
        declared = words if yes else _asked(project, folder, words)
    result: Result = score_run(
        project, run_name, on, fold, declared, progress=reporter(), tell=lambda line: click.echo(line, err=True)
    )
    return Outcome(describe(result), result, command("report", folder, *(["--run", run_name] if run_name else [])))


def _asked(project: Project, folder: Path, said: dict[str, Any]) -> dict[str, Any]:
    """What neither the options nor project.toml declare is asked for, and then whether the seal shall be opened."""
    if not sys.stdin.isatty():
        raise OverreadError(
            "The internal test stays sealed: nobody is at the terminal to be asked.",
            f"declare hypothesis and primary endpoint, then {command('evaluate', folder, '--on', 'internal', '--yes')}",
        )
    settings = project.settings.evaluation
    declared = {key: value if value not in (None, "", ()) else getattr(settings, key) for key, value in said.items()}
    if not declared["hypothesis"]:
        declared["hypothesis"] = click.prompt("Hypothesis, in one sentence", err=True)
    if not declared["primary_endpoint"]:
        declared["primary_endpoint"] = click.prompt("Primary endpoint, as metric or metric/subject (auc, dice/liver)", err=True)
    if declared["margin"] is None:
        margin = click.prompt("Margin that its interval must clear (a number, or none)", default="none", err=True)
        declared["margin"] = _number(margin)
    times = sum(entry["entry"] == "opening" for entry in project.ledger.entries())
    click.echo("", err=True)
    for key, value in declared.items():
        click.echo(f"{key.replace('_', ' ')}: {value if value not in (None, ()) else 'none'}", err=True)
    click.echo(f"Openings so far: {times}. Each one is written into the ledger and cannot be taken back.", err=True)
    click.confirm("Open the internal test now?", abort=True, err=True)
    return declared


def _number(text: str) -> float | None:
    if text.strip().lower() == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise OverreadError(f"The margin '{text}' is not a number.", "e.g. 0.9, or none") from error
