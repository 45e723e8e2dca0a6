"""overread audit"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.audit.concern import SEVERITIES
from overread.cli.progress import reporter
from overread.cli.verb import Outcome, Verb, column_options, command, pairs
from overread.cohort.ask import Said
from overread.cohort.request import Request
from overread.core.errors import OverreadError
from overread.core.question import LABELLED
from overread.core.score import Interval
from overread.workflow.audit import Audit
from overread.workflow.audit import audit as look
from overread.workflow.audits.readers import Agreement, audit_readers

SHOWN = 3

EXAMPLE = """\
overread audit liver
overread audit films --sheet labels.xlsx --label pneumonia --group-by patient --splits split
overread audit --readers ANNA=masks_anna --readers BEN=masks_ben --fuse staple --out masks"""

FOUND = 3  # exit code where something was found that --fail-on names
PATH = click.Path(exists=True, path_type=Path)
OF_FOLDER = (
    "truth", "sheet", "task", "label", "positive", "names", "multi_label", "group_by", "id_column", "site", "scanner",
    "date", "side", "covariates", "series", "splits",
)  # fmt: skip
OF_READERS = ("words", "grades", "classes", "patients", "rule", "tolerance_mm")
READERS_ALONE, FOLDER_ALONE = set(OF_READERS), {*OF_FOLDER, "fail_on"} - {"id_column"}  # what says nothing to the other half
SECTIONS = {
    "A folder that is no project yet": OF_FOLDER,
    "Readers": OF_READERS,
}


@click.command(cls=Verb, example=EXAMPLE, sections=SECTIONS)
@click.argument("path", metavar="[DIR|FOLDER]", required=False, type=PATH)
@click.option(
    "--fail-on",
    type=click.Choice(["fault", "warning", "never"]),
    default="fault",
    show_default=True,
    help=f"End with exit code {FOUND} where something as grave was found, for pipelines.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; of --fuse, the new folder or sheet.")
@click.option("--truth", type=PATH, help="Folder of masks, or a file of labels.")
@click.option("--sheet", type=PATH, help="CSV or Excel: ids, patients, covariates, labels.")
@click.option("--task", type=click.Choice(LABELLED), help="Where it does not show.")
@click.option("--label", metavar="COLUMN", multiple=True, help="Column with the truth; several are findings.")
@click.option("--positive", metavar="CLASS", help="Which class is the disease.")
@click.option("--name", "names", metavar="VALUE=NAME", multiple=True, callback=pairs, help="What a value of the truth means.")
@click.option("--multi-label", is_flag=True, help="A column of 0 and 1 is a finding of its own.")
@column_options
@click.option("--series", metavar="FIELD=PATTERN", multiple=True, callback=pairs, help="Which series of an exam counts.")
@click.option("--splits", metavar="FILE|COLUMN|none", help="The split to check; by default the one the data bring.")
@click.option(
    "--readers",
    "words",
    metavar="[NAME=]PATH",
    multiple=True,
    help="A reader's sheet or folder of masks; once per reader. Or one sheet with a column 'reader'.",
)
@click.option("--grades", metavar="COLUMN", multiple=True, help="A column whose categories have an order. May be repeated.")
@click.option("--class", "classes", metavar="NAME=VALUE", multiple=True, help="Masks: a structure and its value.")
@click.option("--patients", metavar="COLUMN|SHEET", help="Column of the sheets, or a sheet, that names the patient.")
@click.option(
    "--fuse", "rule", metavar="RULE", help="Make one reference standard: majority, any, all, staple, or a reader's name."
)
@click.option("--tolerance-mm", type=float, default=2.0, show_default=True, help="Tolerance of the surface Dice.")
def audit(path: Path | None, fail_on: str, out: Path | None, id_column: str | None, **options: Any) -> Outcome:
    """Look for what would make a score wrong, before anything is trained.

    With DIR, a project, or FOLDER, images that are no project yet: patients, studies and images on both sides of the split;
    the same image twice, also mirrored, resized or windowed; contradicting labels; ways to the answer that are not
    disease (headers, borders, background, burned-in marks); faults of labels and masks; whether there are cases enough;
    and patients and images that an external cohort of the project has too.
    Writes a page and a record. Truths of the internal test stay sealed. Training refuses a cohort with a leak.

    With --readers: do they agree, and on what? Categories get Cohen's kappa for every two readers and Fleiss' for all; grades
    a weighted kappa; measurements the intraclass correlation and limits of agreement; masks Dice, surface distances and the
    agreement of volumes. With --fuse the reads become one reference standard, and how is written beside it.
    """
    readers = {name: options.pop(name) for name in OF_READERS}
    if (path is None) == (not readers["words"]):
        raise click.UsageError("Give DIR or FOLDER, or --readers, not both.")
    _refuse_others(READERS_ALONE if path is not None else FOLDER_ALONE)
    if path is None:
        return _of_readers(out, id_column, **readers)
    splits = options.pop("splits")
    found = look(path, request=_request(path, id_column, options), splits=splits, out=out, progress=reporter())
    grave = {"fault": ("fault",), "warning": ("fault", "warning"), "never": ()}[fail_on]
    code = FOUND if any(concern.severity in grave for concern in found.concerns) else 0
    follow = command("plan", path) if found.is_project and not code else ""
    return Outcome(_said(found), dict(found.record), follow, code)


def _refuse_others(names: set[str]) -> None:
    """An option of the other half of this verb would do nothing, and the user would not know."""
    context = click.get_current_context()
    said = {name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    given = [p.opts[0] for p in context.command.params if p.name in said]
    if given:
        half = "readers (--readers)" if names is READERS_ALONE else "images (DIR or FOLDER)"
        raise click.UsageError(f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} about {half}.")


def _request(path: Path, id_column: str | None, options: dict[str, Any]) -> Request:
    multi_label, label = options.pop("multi_label"), options.pop("label")
    said = Said(
        options.pop("task"),
        tuple(label),
        options.pop("names"),
        positive=options.pop("positive"),
        exclusive=False if multi_label else None,
    )
    return Request(path, said=said, id_column=id_column, **options)


def _said(found: Audit) -> str:
    """Faults and warnings with what to do; notes by their first sentence; names of files for the terminal alone."""
    lines = [", ".join(f"{what} {count}" for what, count in found.counts), *(f"Note: {note}" for note in found.notes)]
    for concern in found.concerns:
        lines += ["", f"{concern.severity.upper()} ({concern.subject}): {concern.statement}"]
        if concern.severity == "note":
            continue
        lines += [f"  What it means: {concern.meaning}", f"  How sure: {concern.certainty}", f"  What to do: {concern.advice}"]
        for group in list(concern.cases)[:SHOWN]:
            named = [found.names.get(case, case) for case in list(group)[:SHOWN]]
            lines.append(f"  For example: {' | '.join(named)}" + (" | ..." if len(group) > SHOWN else ""))
    counts = [sum(c.severity == severity for c in found.concerns) for severity in SEVERITIES]
    summary = ", ".join(f"{n} {s if n == 1 else s + 's'}" for n, s in zip(counts, SEVERITIES, strict=True))
    return "\n".join([*lines, "", f"{summary}. The page: {found.folder / 'audit.html'}"])


def _of_readers(
    out: Path | None,
    id_column: str | None,
    words: tuple[str, ...],
    grades: tuple[str, ...],
    classes: tuple[str, ...],
    patients: str | None,
    rule: str | None,
    tolerance_mm: float,
) -> Outcome:
    found = audit_readers(
        _paths(words),
        grades=grades,
        classes=_values(classes),
        patients=patients,
        id_column=id_column,
        rule=rule,
        out=out,
        tolerance_mm=tolerance_mm,
    )
    follow = (
        command("init", "PROJECT", "--images", "IMAGES", "--truth" if out and out.is_dir() else "--sheet", out) if out else ""
    )
    return Outcome(_described(found), found.as_dict(), follow)


def _paths(words: tuple[str, ...]) -> dict[str, Path] | Path:
    if len(words) == 1 and (Path(words[0]).exists() or "=" not in words[0]):
        return Path(words[0])
    named: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not name or not path:
            raise OverreadError(f"--readers {word}: expected NAME=PATH, once per reader.", "e.g. --readers ANNA=anna.csv")
        if name in named:
            raise OverreadError(f"--readers names {name} twice.", "call a second session of a reader ANNA-2, for example")
        named[name] = Path(path)
    return named


def _values(words: tuple[str, ...]) -> dict[str, int] | None:
    named = dict(word.rpartition("=")[::2] for word in words)
    if not all(name and value.strip().isdecimal() for name, value in named.items()):
        raise OverreadError(f"--class {' '.join(words)}: expected NAME=VALUE with whole numbers.", "e.g. --class liver=1")
    return {name: int(value) for name, value in named.items()} or None


def _described(found: Agreement) -> str:
    lines = [f"{found.n_cases} cases of {found.n_patients} patients, readers {', '.join(found.readers)}."]
    for subject in dict.fromkeys(row["subject"] for row in found.scores):
        rows = [row for row in found.scores if row["subject"] == subject]
        width = max(len(row["name"]) for row in rows)
        across = max(len(row["between"]) for row in rows)
        lines += ["", f"{subject}:"]
        lines += [f"  {row['name']:<{width}}  {row['between']:<{across}}  {_value(row)}" for row in rows]
    methods = dict.fromkeys(row["interval"]["method"] for row in found.scores if row["interval"]["low"] is not None)
    lines += ["", *(f"Intervals: {method}." for method in methods)] if methods else []
    lines += ["", *(f"Note: {note}" for note in found.notes)] if found.notes else []
    if found.fused is not None:
        lines += ["", f"Fused by '{found.fused['rule']}' into {found.fused['written']}; how stands in the fusion.json beside it."]
    return "\n".join(lines)


def _value(row: Mapping[str, Any]) -> str:
    interval = Interval.from_dict(row["interval"])
    unit = f" {row['unit']}" if row["unit"] else ""
    counts = f"{interval.n_cases} cases, {interval.n_patients} patients"
    if interval.estimate is None:
        return f"not defined: {interval.reason} ({counts})"
    if interval.low is None or interval.high is None:
        return f"{_rounded(interval.estimate)}{unit} (no interval: {interval.reason}; {counts})"
    low, high = _rounded(interval.low), _rounded(interval.high)
    return f"{_rounded(interval.estimate)}{unit} ({interval.level:.0%} {low} to {high}; {counts})"


def _rounded(value: float) -> str:
    """Three decimals, and no minus before nothing."""
    return f"{round(value, 3) + 0.0:.3f}"
