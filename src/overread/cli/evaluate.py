"""overread evaluate"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from overread.cli.progress import reporter
from overread.cli.scores import describe
from overread.cli.verb import Outcome, Verb, command, fold_option, run_option
from overread.core.errors import OverreadError
from overread.core.question import PICTURES, TASKS
from overread.evaluation.result import Result
from overread.evaluation.rules import SAMPLINGS
from overread.workflow.evaluate import evaluate as score_run
from overread.workflow.evaluate import evaluate_answers
from overread.workflow.external import PREFIX
from overread.workflow.project import Project
from overread.workflow.scoring.survival import evaluate_survival, survival_lines

EXAMPLE = """\
overread evaluate liver
overread evaluate liver --on internal --hypothesis "The liver's Dice is above 0.90" --primary-endpoint dice/liver --margin 0.90
overread evaluate liver --on external:twente
overread evaluate --truth masks --answers predictions --task segmentation
overread evaluate --truth coco.json --answers results.json --task detection
overread evaluate --truth true_images --answers made_images --task translate --patients patients.csv
overread evaluate --truth outcomes.csv --answers risks.csv --task survival"""

PATH = click.Path(exists=True, path_type=Path)
DECLARATION = ("hypothesis", "primary_endpoint", "margin", "threshold_rule", "declare")
OURS = ("run_name", "on", "fold", "yes", *DECLARATION)
LABELS = ("positive", "ordered", "threshold", "sampling", "prevalence")
MASKS = ("spacing", "tolerance_mm")
OBJECTS = ("matching",)
IMAGES = ("read",)
COMMON = ("truth", "answers", "task", "patients", "out")
HEARD = {  # by task: the options of anybody's answers that it listens to
    "classification": (*COMMON, "id_column", "classes", *LABELS),
    "regression": (*COMMON, "id_column", "classes"),
    "segmentation": (*COMMON, "classes", *MASKS),
    "detection": (*COMMON, "classes", "threshold", "spacing", *OBJECTS),
    "instances": (*COMMON, "classes", "threshold", "spacing", *OBJECTS),
    "autoencode": (*COMMON, "classes"),
    "vae": (*COMMON, "classes"),
    "translate": (*COMMON, "classes", *IMAGES),
    "restore": (*COMMON, "classes", *IMAGES),
    "synthesize": COMMON,
    "survival": (*COMMON, "id_column", "edges"),
}
SECTIONS = {
    "A run of a project": ("run_name", "on", "fold"),
    "A sealed test": (*DECLARATION, "yes"),
    "Anybody's answers": (*COMMON[:-1], "id_column", "classes", "out"),
    "Anybody's classes": LABELS,
    "Anybody's masks": MASKS,
    "Anybody's objects": OBJECTS,
    "Anybody's images": IMAGES,
    "Anybody's risks": ("edges",),
}  # fmt: skip


class On(click.ParamType):
    """Which cases: "tuning", "internal", or "external:NAME"."""

    name = "on"

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> str:
        word = str(value)
        if word in ("tuning", "internal") or (word.startswith(PREFIX) and word != PREFIX):
            return word
        self.fail(f"'{word}' is none of tuning, internal, external:NAME.", parameter, ctx)


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("project", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@run_option
@click.option(
    "--on",
    metavar="tuning|internal|external:NAME",
    type=On(),
    default="tuning",
    show_default=True,
    help="Which cases to score.",
)
@fold_option("Score the run that held out fold K; all folds together where it is not given.")
@click.option("--hypothesis", help="What is to be shown, in one sentence.")
@click.option("--primary-endpoint", metavar="METRIC[/SUBJECT]", help="The one score that decides, e.g. dice/liver.")
@click.option("--margin", type=float, help="The value that the interval of the primary endpoint must clear.")
@click.option("--threshold-rule", help="How the operating point was chosen, e.g. 'sensitivity >= 0.95'.")
@click.option("--declare", metavar="METRIC[/SUBJECT]", multiple=True, help="A secondary endpoint. May be repeated.")
@click.option("--yes", is_flag=True, help="Open the seal without asking.")
@click.option("--truth", type=PATH, help="The truth: a folder of masks or images, a sheet, or label files.")
@click.option("--answers", type=PATH, help="The answers, in the same form.")
@click.option("--task", type=click.Choice([*TASKS, "survival"]), help="The task.")
@click.option("--patients", metavar="COLUMN|SHEET", help="Column of the truth, or a sheet, that names the patient.")
@click.option("--positive", metavar="CLASS", help="Which of two classes is the disease.")
@click.option("--ordered", is_flag=True, help="The classes are grades, named from low to high with --class.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="The operating point, chosen beforehand.")
@click.option(
    "--sampling",
    type=click.Choice(SAMPLINGS),
    default="unknown",
    show_default=True,
    help="How cases were gathered; enriched: positives were sought out.",
)
@click.option(
    "--prevalence",
    metavar="[CLASS=]SHARE",
    multiple=True,
    help="Share of positives where the model is to be used, e.g. 0.02.",
)
@click.option(
    "--class", "classes", metavar="NAME[=VALUE]", multiple=True, help="A column, a structure and its value, or a channel."
)
@click.option("--id-column", metavar="COLUMN", help="The column that names the case.")
@click.option("--spacing", type=float, nargs=3, metavar="Z Y X", help="Millimetres between pixels, for masks that do not say.")
@click.option("--tolerance-mm", type=float, default=2.0, show_default=True, help="Tolerance of the surface Dice.")
@click.option(
    "--matching",
    metavar="CRITERION",
    default="auto",
    show_default=True,
    help="When an answer finds an object: 'iou 0.5', 'distance 10 mm', 'hit'.",
)
@click.option("--read", type=PATH, help="Images that the model was given, to be scored beside its answers.")
@click.option("--edge", "edges", type=float, multiple=True, help="Where groups of risk part; thirds where not given.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the evaluation here, with pseudonyms.",
)
def evaluate(project: Path | None, **words: Any) -> Outcome:
    """Score a model, or anybody's answers, with intervals.

    With DIR: the answers of a run, on tuning cases unless --on internal is said. Opening the internal
    test is written into the ledger with the hypothesis, the endpoints and the model; what was not
    declared before is reported as exploratory. --on external:NAME is the same for patients from elsewhere
    (see overread external), and shows how scores and patients differ from those at home.

    With --truth and --answers: predictions of any program. No project and no torch are needed.
    Detection and instances: COCO truth and results; YOLO text and other label files; sheets with a row
    per box (case, class, x0, y0, x1, y1 as pixel edges, z0 and z1 in volumes, score in the answers); or folders
    of masks (with --class NAME=VALUE every connected part is an object, without it every value is one).
    Autoencode, vae, translate and restore: two folders of images with the same names (NIfTI, PNG, DICOM), one per case.
    Survival: the truth holds id, time and event, the answers id and risk.
    """
    said = _said(click.get_current_context())
    ours, foreign = {key: words[key] for key in OURS}, {key: value for key, value in words.items() if key not in OURS}
    if project is None:
        return _anybody(said, **foreign)
    if foreign["truth"] or foreign["answers"]:
        raise click.UsageError("Give DIR, or --truth with --answers and --task, not both.")
    _refuse_unheard(said, OURS, "a run of a project")
    return _run(project, **ours)


def _said(context: click.Context) -> dict[str, str]:
    """Name -> option, of the options that were given."""
    given = [p for p in context.command.params if isinstance(p, click.Option) and p.name in context.params]
    return {str(p.name): p.opts[0] for p in given if context.get_parameter_source(str(p.name)) is ParameterSource.COMMANDLINE}


def _refuse_unheard(said: dict[str, str], heard: tuple[str, ...], what: str) -> None:
    unheard = [option for name, option in said.items() if name not in heard]
    if unheard:
        raise click.UsageError(f"{unheard[0]} means nothing to {what}; leave it out.")


def _anybody(said: dict[str, str], truth: Path | None, answers: Path | None, task: str | None, **words: Any) -> Outcome:
    if truth is None or answers is None or task is None:
        raise click.UsageError("Give the project's folder DIR, or --truth with --answers and --task.")
    _refuse_unheard(said, HEARD[task], task if task in (*PICTURES, "synthesize", "survival") else f"a {task}")
    edges = words.pop("edges")
    if task == "survival":
        named = {name: words[name] for name in ("patients", "id_column", "out")}
        found = evaluate_survival(truth, answers, edges=edges or None, **named)
        return Outcome("\n".join(survival_lines(found)), found)
    words |= {"classes": _classes(words["classes"]), "prevalence": _prevalence(words["prevalence"])}
    result = evaluate_answers(truth, answers, task, progress=reporter(), **words)
    return Outcome(describe(result), result)


def _prevalence(words: tuple[str, ...]) -> float | dict[str, float] | None:
    """``("0.02",)`` is the share of positives, ``("nodule=0.1", "effusion=0.2")`` shares by class."""
    named = dict(word.rpartition("=")[::2] for word in words)
    try:
        shares = {name.strip(): float(value) for name, value in named.items()}
    except ValueError as error:
        raise OverreadError(f"--prevalence {' '.join(words)}: a share is no number.", "e.g. 0.02, or nodule=0.02") from error
    if "" in shares and len(words) > 1:
        raise OverreadError(f"--prevalence {' '.join(words)}: several shares need names.", "e.g. nodule=0.02")
    return shares.get("", shares) if shares else None


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
    if on != "tuning":
        again = command("evaluate", folder, *_again(on, run_name, fold, words), "--yes")
        words["declared"] = words.pop("declare")
        declared = words if yes else asked_before_opening(project, on, words, again)
    result: Result = score_run(
        project, run_name, on, fold, declared, progress=reporter(), tell=lambda line: click.echo(line, err=True)
    )
    return Outcome(describe(result), result, command("report", folder, *(["--run", run_name] if run_name else [])))


def _again(on: str, run_name: str | None, fold: int | None, declared: dict[str, Any]) -> list[str]:
    """The words that say once more what was said: pasted, they must open the same test, for the same run."""
    words = ["--on", on]
    for option, value in {"run": run_name, "fold": fold, **declared}.items():
        for one in value if isinstance(value, tuple) else (value,):
            words += [f"--{option.replace('_', '-')}", str(one)] if one not in (None, "") else []
    return words


def asked_before_opening(project: Project, on: str, said: dict[str, Any], again: str) -> dict[str, Any]:
    """What neither the options nor project.toml declare is asked for, and then whether the seal shall be opened.

    again  the command that needs nobody to be asked
    """
    what = "The internal test" if on == "internal" else f"The external cohort '{on.removeprefix(PREFIX)}'"
    if not sys.stdin.isatty():
        raise OverreadError(
            f"{what} stays sealed: nobody is at the terminal to be asked.",
            f"declare hypothesis and primary endpoint, then {again}",
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
    times = sum(e["entry"] == "opening" and _is_of(e["partition"], on) for e in project.ledger.entries())
    click.echo("", err=True)
    for key, value in declared.items():
        click.echo(f"{key.replace('_', ' ')}: {value if value not in (None, ()) else 'none'}", err=True)
    click.echo(f"Openings so far: {times}. Each one is written into the ledger and cannot be taken back.", err=True)
    click.confirm(f"Open {what[0].lower()}{what[1:]} now?", abort=True, err=True)
    return declared


def _is_of(partition: str, on: str) -> bool:
    """Whether an opening in the ledger was of this test; folds are parts of the internal one."""
    return partition == on or (on == "internal" and partition.startswith("fold-"))


def _number(text: str) -> float | None:
    if text.strip().lower() == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise OverreadError(f"The margin '{text}' is not a number.", "e.g. 0.9, or none") from error
