"""overread explain"""

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
overread explain liver
overread explain liver --method grad_cam,occlusion --patch-mm 16 --case C-0012,C-0040
overread explain liver --run second --target metastasis --format png,nifti,dicom
overread explain liver C-0012 C-0040
overread explain liver-first.overread scan.nii.gz --out maps"""
STUDIES = "explanation/studies"  # in a run: maps of studies that are not of the project


@click.command(cls=Verb, example=EXAMPLE)
@click.argument("subject", metavar="DIR|MODEL", type=click.Path(path_type=Path))
@click.argument("studies", metavar="[STUDY...]", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--method",
    "methods",
    metavar="NAME,NAME",
    callback=names,
    help="Methods; without it those of the trial, or three usual ones.",
)
@click.option("--target", metavar="NAME", help="Class, quantity or structure to ask about; otherwise what was answered.")
@click.option("--layer", metavar="NAME", help="Layer, for methods that look at one; otherwise the usual one of the network.")
@click.option("--patch-mm", type=float, metavar="N", help="Edge of the patch that occlusion takes away (pixels where no mm).")
@click.option(
    "--case", "cases", metavar="ID,ID", callback=names, help="Tuning cases by pseudonym; otherwise some chosen by rule."
)
@click.option("--limit", type=int, metavar="N", help="Explain at most N cases.")
@run_option
@fold_option("Projects of folds: the fold whose model and tuning cases are meant.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for files; needed with MODEL.")
@click.option(
    "--format", "formats", metavar="NAMES", default="png", show_default=True,
    help="Files, with commas between: png (with colour bar), nifti, dicom (parametric map, or a picture where the source has no "
    "place in the patient).",
)  # fmt: skip
@click.option("--show-failed", is_flag=True, help="Draw also what failed its trial, framed in red.")
@click.option(
    "--series", metavar="FIELD=PATTERN", multiple=True, callback=pairs, help="With studies: where series are called otherwise."
)
@click.option(
    "--clinical", metavar="SHEET|NAME=VALUE,...", help="With studies: what is read beside the image, as in `overread read`."
)
def explain(
    subject: Path,
    studies: tuple[Path, ...],
    methods: tuple[str, ...],
    target: str | None,
    layer: str | None,
    patch_mm: float | None,
    cases: tuple[str, ...],
    limit: int | None,
    run_name: str | None,
    fold: int | None,
    out: Path | None,
    formats: str,
    show_failed: bool,
    series: dict[str, str],
    clinical: str | None,
) -> Outcome:
    """Draw maps of what an answer rests on, each stamped with the verdict of its method's trial.

    DIR is a project: some of its tuning cases are explained, the most confident errors first, or those whose pseudonyms follow,
    into the run's page; the internal test stays sealed. Studies that lie on disk are explained by the run's model. MODEL is a
    .overread file or the model folder of a run: the studies named after it are explained into --out. A map whose method failed
    the trial of this model (`overread trial`) is withheld. Of a network that reads clinical values beside the image the part of
    each in the answers is shown, too. Of a baseline (`overread baseline`), which has no network, it is shown
    what each group of features brought to the answers.
    """
    # loads torch: not for --help
    from overread.workflow.explain import explain_project, explain_run_of_features, explain_studies
    from overread.workflow.explanations.covariates import described
    from overread.workflow.explanations.maps.files import parse_formats
    from overread.workflow.explanations.maps.methods import Wish
    from overread.workflow.explanations.subject import is_project
    from overread.workflow.frozen import run_of
    from overread.workflow.readings.clinical import given

    wish = Wish(methods, target, layer, patch_mm, show_failed)
    wanted = parse_formats(formats)
    if is_project(subject):
        opened = Project.open(subject)
        named, paths = _cases_and_paths(studies)
        if paths:
            _refuse_both(cases + named, paths)
            run = run_of(opened, run_name, fold)
            place = out or run.path / STUDIES
            result = explain_studies(run.model, paths, wish, place, limit, wanted, series, reporter(), given(clinical))
            return Outcome(describe(result), result)
        if series or clinical:
            raise OverreadError(
                f"{'--series' if series else '--clinical'} goes with studies, and none was named.",
                "name studies that lie on disk, or leave it out",
            )
        has_files = out is not None or wanted != ("png",)
        values = explain_run_of_features(
            opened, wish, run_name, fold, limit, reporter(), cases=cases + named, has_files=has_files
        )
        if values is not None:
            return Outcome(
                f"{described(values)}\nPage: {values['page']}", values, command("report", subject, "--run", values["run"])
            )
        result = explain_project(opened, wish, run_name, fold, cases + named, limit, out, wanted, reporter())
        of_run = opened.run_words(opened.run(result["run"], fold))
        follow = ("report", subject, "--run", result["run"]) if result["has_trial"] else ("trial", subject, *of_run)
        return Outcome(describe(result), result, command(*follow))
    check_model(subject, out, {"--run": run_name, "--fold": fold, "--case": cases}, "maps")
    assert out is not None
    result = explain_studies(subject, studies, wish, out, limit, wanted, series, reporter(), given(clinical))
    return Outcome(describe(result), result)


def describe(result: Mapping[str, Any]) -> str:
    """A line per case and map, what was withheld or cannot be asked, where the page lies."""
    lines = ["PHANTOM: these maps are about software, not about patients."] if result["is_phantom"] else []
    for case in result["cases"]:
        told = case["told"] or case["answer"]
        lines.append(f"{case['case_id']} ({case['why']}){': ' + told if told else ''}")
        if case["refusal"]:
            lines.append(f"  not explained: {case['refusal']}")
        elif case["is_empty"]:
            lines.append("  nothing was answered here that could be asked about")
        lines += [f"  Warning: {warning}" for warning in case["warnings"]]
        for one in case["maps"]:
            if one.get("file"):
                verdict = {"failed": "FAILED its trial"}.get(one["verdict"], one["verdict"])
                lines.append(f"  {one['title']} of {one['target']}, score {one['score']:.3g}: {verdict}")
    lines.append("")
    for row in result["methods"]:
        if row["is_withheld"]:
            lines.append(f"Withheld: {row['title']} failed its trial. {row['why']}".rstrip())
        if row["left_out"]:
            lines.append(f"Left out: {row['title']}: {row['left_out']}")
        lines += [f"Cannot be asked: {row['title']}: {refusal}" for refusal in row["refusals"]]
    if any(row["is_withheld"] for row in result["methods"]):
        lines.append("To draw them all the same, framed in red: --show-failed")
    lines += [f"Note: {note}" for note in result["notes"]]
    lines += shares_in_words(result["covariates"]) if "covariates" in result else []
    lines.append(f"Page: {result['page']}")
    if result["files"]:
        lines.append(f"Files: {result['files']}")
    return "\n".join(lines).strip()


def shares_in_words(record: Mapping[str, Any]) -> list[str]:
    """Of a network that reads clinical values too: the part of the image and of each value."""
    lines = []
    for target in record["targets"]:
        parts = sorted(target["groups"], key=lambda row: -row["share"])
        said = ", ".join(f"{row['group']} {row['share']:.0%}" for row in parts)
        lines.append(f"What moved the answers about {target['target']}, over {record['n_cases']} tuning cases: {said}")
    return lines


def _cases_and_paths(studies: tuple[Path, ...]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """What was named after a project: pseudonyms of its own cases, and studies that lie on disk."""
    paths = tuple(study for study in studies if study.exists())
    return tuple(str(study) for study in studies if study not in paths), paths


def _refuse_both(cases: tuple[str, ...], paths: tuple[Path, ...]) -> None:
    if cases:
        raise OverreadError(
            f"'{cases[0]}' is no file or folder, while {paths[0]} is: cases and other studies are explained apart.",
            "name only pseudonyms of tuning cases, or only studies that lie on disk",
        )
