"""overread external"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, column_options, command, fold_option, pairs, run_option
from overread.core.errors import OverreadError
from overread.workflow.cohorts.elsewhere import Columns
from overread.workflow.external import external as take_in
from overread.workflow.external import label_of, open_external
from overread.workflow.project import Project

EXAMPLE = """\
overread external liver twente --images twente/studies --truth twente/masks --sheet twente/patients.csv
overread external pneumonia twente --images films --sheet labels.csv --label diagnosis --name J18=pneumonia --name none=normal
overread external liver twente --run second"""

PATH = click.Path(exists=True, path_type=Path)
SECTIONS = {
    "What is there": ("images", "truth", "sheet"),
    "Where it is called otherwise than in the project": (
        "label", "names", "group_by", "id_column", "site", "scanner", "date", "side", "covariates", "series",
    ),
    "What is let in": ("leave_out_faulty", "leak_override"),
    "Which model reads it": ("run_name", "fold"),
}  # fmt: skip


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("project", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("name", metavar="NAME")
@click.option("--images", type=PATH, help="Folder of its images; not given where the cohort was taken in before.")
@click.option("--truth", type=PATH, help="Folder of masks, or a file of labels.")
@click.option("--sheet", type=PATH, help="CSV or Excel: ids, patients, covariates, labels.")
@click.option("--label", metavar="COLUMN", multiple=True, help="Column that holds the truth. May be repeated.")
@click.option(
    "--name", "names", metavar="VALUE=NAME", multiple=True, callback=pairs, help="Which class or structure a value here means."
)
@column_options
@click.option(
    "--series",
    metavar="FIELD=PATTERN",
    multiple=True,
    callback=pairs,
    help="Which series of an exam counts, where it is called otherwise, e.g. kernel=B30f.",
)
@click.option("--leave-out-faulty", is_flag=True, help="Leave out cases whose mask does not fit the image, instead of stopping.")
@click.option(
    "--leak-override",
    metavar="REASON",
    default="",
    help="Why patients or images that the project has too are accepted; goes into the ledger.",
)
@run_option
@fold_option("Which fold's model reads it.")
def external(project: Path, name: str, images: Path | None, run_name: str | None, fold: int | None, **words: Any) -> Outcome:
    """Take in patients from elsewhere, and let the frozen model read them.

    Classes, rules and the choice of series come from the project; columns of the sheet too, where they have
    the same names. The cohort lies in DIR/external/NAME with pseudonyms of its own, all its truths under seal.
    Nobody may be in both: patients are compared by their ids, images by their pixels, and one that the project
    has is refused by name.

    Without --images: a cohort that was taken in before is read by another model (--run). The seal is opened by
    overread evaluate DIR --on external:NAME.
    """
    opened = Project.open(project)
    facts: dict[str, Any] = {}
    lines: list[str] = []
    if images is not None:
        made = _taken_in(opened, name, images, words)
        assert made.summary is not None
        facts, lines = dict(made.summary.facts), list(made.summary.lines)
    elif any(value for key, value in words.items()):
        raise click.UsageError("Options about the cohort go with --images, when it is taken in.")
    other = open_external(opened, name)
    if not opened.runs():
        lines.append("No model has read it: there is none yet.")
        return Outcome("\n".join(lines), facts, command("train", project))
    from overread.workflow.readings.external import read_external

    done = read_external(opened, name, run_name, fold, reporter())
    lines += ["", f"The model of run '{done.run}' has read {done.read} cases; their truths stay sealed."]
    lines += [f"Not read, and counted as an error: {case_id}: {why}" for case_id, why in done.refused.items()]
    lines += [f"The model also reads {name}, which {count} cases lack: read as missing." for name, count in done.missing.items()]
    facts["reading"] = {"run": done.run, "fold": fold, "read": done.read, "refused": done.refused, "missing": done.missing}
    chosen = [*(["--run", run_name] if run_name else []), *(["--fold", fold] if fold is not None else [])]
    return Outcome("\n".join(lines).lstrip(), facts, command("evaluate", project, "--on", label_of(other), *chosen))


def _taken_in(project: Project, name: str, images: Path, words: dict[str, Any]) -> Project:
    columns = Columns(
        words["id_column"],
        tuple(words["label"]),
        words["group_by"],
        words["site"],
        words["scanner"],
        words["date"],
        words["side"],
        tuple(words["covariates"]),
    )
    if words["truth"] is None and words["sheet"] is None and project.settings.truth.sheet:
        raise OverreadError(
            "Nothing says what is true of these cases: the project's truth is a sheet, and none is given here.",
            "give the truth with --sheet or --truth; to read studies without truth use `overread read`",
        )
    return take_in(
        project,
        name,
        images,
        words["truth"],
        words["sheet"],
        columns=columns,
        names=words["names"],
        series=words["series"],
        leak_override=words["leak_override"],
        leave_out_faulty=words["leave_out_faulty"],
        progress=reporter(),
    )
