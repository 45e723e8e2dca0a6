"""overread audit"""

from __future__ import annotations

from pathlib import Path

import click

from overread.cli.verb import Outcome, Verb, command
from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.workflow.audit_readers import Agreement, audit_readers

EXAMPLE = """\
overread audit --readers reads.csv
overread audit --readers ANNA=masks_anna --readers BEN=masks_ben --fuse staple --out masks"""


@click.command(cls=Verb, example=EXAMPLE)
@click.option(
    "--readers",
    "words",
    metavar="[NAME=]PATH",
    multiple=True,
    required=True,
    help="A reader's sheet or folder of masks; once per reader. Or one sheet with a column 'reader'.",
)
@click.option("--grades", metavar="COLUMN", multiple=True, help="A column whose categories have an order. May be repeated.")
@click.option("--class", "classes", metavar="NAME=VALUE", multiple=True, help="Masks: a structure and its value.")
@click.option("--patients", metavar="COLUMN|SHEET", help="Column of the sheets, or a sheet, that names the patient.")
@click.option("--id-column", metavar="COLUMN", help="The column that names the case.")
@click.option(
    "--fuse", "rule", metavar="RULE", help="Make one reference standard: majority, any, all, staple, or a reader's name."
)
@click.option("--out", type=click.Path(path_type=Path), help="New folder (masks) or new sheet for the fused reads.")
@click.option("--tolerance-mm", type=float, default=2.0, show_default=True, help="Tolerance of the surface Dice.")
def audit(
    words: tuple[str, ...],
    grades: tuple[str, ...],
    classes: tuple[str, ...],
    patients: str | None,
    id_column: str | None,
    rule: str | None,
    out: Path | None,
    tolerance_mm: float,
) -> Outcome:
    """Compare readers: do they agree, and what do they agree on?

    Categories get Cohen's kappa for every two readers and Fleiss' for all; grades a weighted kappa; measurements the
    intraclass correlation and limits of agreement; masks Dice, surface distances and the agreement of volumes. Every
    number has an interval by patient. With --fuse the reads become one reference standard, and how is written beside it.
    """
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


def _value(row: dict[str, object]) -> str:
    interval = Interval.from_dict(row["interval"])  # type: ignore[arg-type]
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
