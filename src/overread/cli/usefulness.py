"""overread usefulness"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.evaluate import asked_before_opening
from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, pairs, project_argument, set_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread usefulness pneumonia --made made --minutes 10
overread usefulness pneumonia --made made --sheet made.csv --label class --name-class yes=ill --repeats 3
overread usefulness pneumonia --on internal --hypothesis "Made images raise the AUC" --primary-endpoint auc"""
PATH = click.Path(exists=True, path_type=Path)
SECTIONS = {
    "The made images": ("made", "truth", "sheet", "label", "id_column", "classes"),
    "The sealed test": ("hypothesis", "primary_endpoint", "yes"),
}


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@project_argument
@click.option("--made", type=click.Path(path_type=Path), help="Folder of made images, e.g. of overread sample.")
@click.option("--truth", type=PATH, help="Their masks, where the project segments.")
@click.option("--sheet", type=PATH, help="A sheet with their classes; the one of overread sample, or subfolders, otherwise.")
@click.option("--label", metavar="COLUMN", help="Column of the sheet that holds the class.")
@click.option("--id-column", metavar="COLUMN", help="Column of the sheet that names the image.")
@click.option(
    "--name-class", "classes", metavar="VALUE=CLASS", multiple=True, callback=pairs, help="What a value means in the project."
)
@click.option(
    "--on", type=click.Choice(["tuning", "internal"]), default="tuning", show_default=True, help="Which cases to score."
)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time for each training.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs for each training, instead of minutes.")
@click.option("--repeats", type=click.IntRange(min=1), help="Trainings of each side, each with its own seed; by default 3.")
@fold_option("Projects of folds: hold out fold K.")
@click.option("--name", metavar="NAME", help="Name of the trial, by default 'usefulness'.")
@click.option("--hypothesis", help="What is to be shown, in one sentence.")
@click.option("--primary-endpoint", metavar="METRIC[/SUBJECT]", help="The one score that decides, e.g. auc.")
@click.option("--yes", is_flag=True, help="Open the seal without asking.")
@set_option
def usefulness(project: Path, **words: Any) -> Outcome:
    """Train without and with made images: do they help?

    Both get the same plan, cases, seeds and budget; made images are added to training alone, and only where each of them says
    that it is synthetic. The project is not changed. Scores are compared on the same cases, paired by patient.
    --on internal does so on the sealed test: the seal is opened once for each training, and each opening stands in the
    ledger. Writes usefulness.json and usefulness.html into runs/NAME. What is trained is kept: after Ctrl-C, and for
    --on internal, say the same again.
    """
    if words["minutes"] is not None and words["epochs"] is not None:
        raise click.UsageError("Give --minutes or --epochs, not both.")
    opened = Project.open(project)
    declare = _declared(opened, project, words)
    from overread.workflow.generation.made_beside import MadeImages  # loads torch: not for --help
    from overread.workflow.usefulness import DEFAULT_NAME, PAGE, Asked
    from overread.workflow.usefulness import usefulness as try_them

    def tell(line: str) -> None:
        click.echo(line, err=True)

    about = {"truth": words["truth"], "sheet": words["sheet"], "label": words["label"], "id_column": words["id_column"]}
    if words["made"] is None and (any(about.values()) or words["classes"]):
        raise click.UsageError("--truth, --sheet, --label, --id-column and --name-class belong to --made FOLDER.")
    made = None if words["made"] is None else MadeImages(words["made"], **about, names=words["classes"])
    kept = ("on", "minutes", "epochs", "repeats", "name", "fold", "overrides")
    found = try_them(opened, made, Asked(**{k: words[k] for k in kept}, declare=declare), reporter(), tell)
    lines = [PHANTOM] if found["is_phantom"] else []
    lines += [f"WARNING: {warning}" for warning in found["warnings"]]
    lines += [*_lines(found), *(f"Note: {note}" for note in (*found["parts"][found["on"]]["notes"], *found["notes"]))]
    lines += ["", f"Page: {opened.run(words['name'] or DEFAULT_NAME).path / PAGE}"]
    internal = command("usefulness", project, *_trial_words(words), "--on", "internal")
    after = internal if words["on"] == "tuning" else command("ledger", project)
    return Outcome("\n".join(lines), found, after)


def _declared(project: Project, folder: Path, words: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is said before the seal is opened; asked for where it was not said."""
    if words["on"] == "tuning":
        return None
    said = {
        "hypothesis": words["hypothesis"],
        "primary_endpoint": words["primary_endpoint"],
        "margin": None,
        "threshold_rule": None,
        "declared": (),
    }
    if words["yes"]:
        return said
    again = command("usefulness", folder, *_trial_words(words), "--on", "internal", "--yes")
    return asked_before_opening(project, "internal", said, again)


def _trial_words(words: Mapping[str, Any]) -> tuple[str, ...]:
    """The words by which this trial is found again."""
    name = ("--name", words["name"]) if words["name"] else ()
    return name if words["fold"] is None else (*name, "--fold", str(words["fold"]))


def _lines(found: Mapping[str, Any]) -> list[str]:
    part = found["parts"][found["on"]]
    where = {"tuning": "the tuning cases", "internal": "the internal test"}[found["on"]]
    gain, difference = (Interval.from_dict(part[key]) for key in ("gain", "difference"))
    lines = [f"{part['words']} ({part['endpoint']['name']} on {where}, {len(found['seeds'])} trainings of each)"]
    for side in ("without", "with"):
        each = "; ".join("not defined" if s is None else Interval.from_dict(s).short for s in part["scores"][side])
        lines.append(f"  {side} made images: {part['values'][side]:.3f}; each training {each}")
    p = "" if part["p"] is None else f", p = {part['p']:.3g}"
    lines.append(f"  with less without, these trainings: {difference}{p}")
    if len(found["seeds"]) > 1:
        lines.append(f"  gain, over trainings too (above 0: they help): {gain}")
    for side in ("without", "with"):
        steps = ", ".join(f"{one['steps']} steps ({one['passes']:g} passes)" for one in found["trainings"][side])
        lines.append(f"  {side}: {found['trainings'][side][0]['cases']} training images; {steps}")
    return lines
