"""overread inside"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.explained import check_model, names
from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, command, fold_option, pairs, run_option
from overread.core.errors import OverreadError
from overread.workflow.project import Project

EXAMPLE = """\
overread inside liver
overread inside liver --part maps,field --layer encoder.2 --case C-0012
overread inside liver-first.overread scan.nii.gz --out inside"""


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("subject", metavar="DIR|MODEL", type=click.Path(path_type=Path))
@click.argument("study", metavar="[STUDY]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--part", "parts", metavar="NAME,NAME", callback=names,
    help="Some of: layers, kernels, maps, attention, field, excite, weights; all otherwise.",
)  # fmt: skip
@click.option("--layer", metavar="NAME", help="Layer to look at, by its name in the layer table; otherwise three on the way.")
@click.option("--case", metavar="ID", help="Tuning case by pseudonym; otherwise one chosen by rule.")
@run_option
@fold_option("Projects of folds: the fold whose model and tuning cases are meant.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for page and pictures; needed with MODEL.")
@click.option(
    "--series", metavar="FIELD=PATTERN", multiple=True, callback=pairs, help="With MODEL: where series are called otherwise."
)
def inside(
    subject: Path,
    study: Path | None,
    parts: tuple[str, ...],
    layer: str | None,
    case: str | None,
    run_name: str | None,
    fold: int | None,
    out: Path | None,
    series: dict[str, str],
) -> Outcome:
    """Look inside a network: its layers, kernels and maps, what excites it, how far it sees, what training changed.

    DIR is a project: a frozen model of it is shown tuning cases, and the run's page gets a section; the internal test stays
    sealed. MODEL is a .overread file or the model folder of a run, with one study to show it, or none; the page goes into --out.
    """
    from overread.workflow.explanations.subject import is_project  # loads torch: not for --help
    from overread.workflow.inside import inside_model, inside_project

    if is_project(subject):
        _refuse_of_model(subject, study, out, series)
        opened = Project.open(subject)
        result = inside_project(opened, run_name, fold, case, layer, parts, reporter())
        of_run = opened.run_words(opened.run(result["run"], fold))
        return Outcome(describe(result), result, command("explain", subject, *of_run))
    check_model(subject, out, {"--run": run_name, "--fold": fold, "--case": case}, "page")
    assert out is not None
    result = inside_model(subject, study, out, layer, parts, series, reporter())
    return Outcome(describe(result), result)


def describe(result: Mapping[str, Any]) -> str:
    """What was found in a few lines, what cannot be shown, where the page lies."""
    made = result["parts"]
    lines = ["PHANTOM: what is shown here is about software, not about patients."] if result["is_phantom"] else []
    shown = f", shown {result['case']}" if result["case"] else ""
    lines.append(f"{result['network']}{shown}; layers {', '.join(result['layers'])}")
    if "layers" in made:
        found = made["layers"]
        lines.append(
            f"  {found['parameters']:,} parameters, {found['macs'] / 1e6:,.0f} million multiplications per image, "
            f"{len(found['rows'])} layers"
        )
    if "attention" in made:
        weighing = [row["weighs"] for row in made["attention"]["blocks"]]
        told = [f"{weighing.count(what)} weigh {what}" for what in ("channels", "places") if what in weighing]
        lines.append(f"  blocks with learned attention: {', '.join(told)}")
    for one in made["field"]["layers"] if "field" in made else ():
        unit = "mm" if one["is_mm"] else "pixels"
        lines.append(f"  {one['layer']} sees: 95 % of the influence within {one['radius']:.1f} {unit}")
    if "weights" in made:
        known = [row for row in made["weights"]["rows"] if row["change"] is not None]
        ends = [pick(known, key=lambda row: row["change"]) for pick in (max, min) if known]
        moved = [f"{word}: {row['name']} ({row['change']:.2g})" for word, row in zip(("most", "least"), ends, strict=False)]
        lines += [f"  moved in training {'; '.join(moved)}"] if moved else []
    lines += [f"Not shown: {one['title']}: {one['reason']} {one['next']}".rstrip() for one in result["refused"]]
    lines += [f"Note: {note}" for note in result["notes"]]
    return "\n".join([*lines, f"Page: {result['page']}"])


def _refuse_of_model(project: Path, study: Path | None, out: Path | None, series: Mapping[str, str]) -> None:
    if study is not None or series:
        raise OverreadError(
            f"{project} is a project, whose own tuning cases are shown; a study goes with a model.",
            "give the .overread file of a run in place of the project",
        )
    if out is not None:
        raise OverreadError("--out goes with a model; the page of a project lies in its run.", "leave --out out")
