"""overread real-or-fake"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from overread.cli.verb import PHANTOM, Outcome, Verb, project_argument
from overread.core.score import Interval
from overread.workflow.project import Project
from overread.workflow.real_or_fake import make_room, score_room

EXAMPLE = """\
overread real-or-fake pneumonia --made samples
overread real-or-fake pneumonia --made samples --real training --count 60 --name second
overread real-or-fake pneumonia --made samples --real other-hospital --name third --seed 7
overread real-or-fake pneumonia --answers R1.json R2.json"""
WIDTH = 98
ROOM = ("made", "real", "count", "name")
SCORES = ("answers",)
PATH = click.Path(path_type=Path)


@click.command(cls=Verb, example=EXAMPLE, sections={"Make a room": ROOM, "Score what readers saved": SCORES})
@project_argument
@click.option("--made", metavar="FOLDER", type=PATH, help="Folder of made images: PNG, NIfTI, DICOM, .npz, by any program.")
@click.option(
    "--real", metavar="tuning|training|FOLDER", default="tuning", show_default=True, help="Where the real images come from."
)
@click.option("--count", type=int, default=40, show_default=True, metavar="N", help="Images in all, half of each kind.")
@click.option("--name", default="first", show_default=True, metavar="NAME", help="Name of the room.")
@click.option("--answers", type=PATH, metavar="FILE...", help="Files that readers saved, or a folder of them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw, the order, and resampling.")
@click.argument("more_answers", metavar="", nargs=-1, type=PATH)
def real_or_fake(
    project: Path,
    made: Path | None,
    real: str,
    count: int,
    name: str,
    answers: Path | None,
    seed: int,
    more_answers: tuple[Path, ...],
) -> Outcome:
    """Can readers tell made images from real ones? A blinded reading room, and its scores.

    With --made: one HTML page, offline, that shows real and made images one at a time in an order fixed by the seed. The reader
    answers by key and says how sure; the page notes the time and saves a file. Which image is which is not in the page: the key
    stays in the project's private folder. Both kinds are brought to one size, number format and range of greys.

    With --answers: accuracy against chance with intervals, per reader and pooled, ROC from confidence, agreement, and a page.

    Images of the internal test are never shown.
    """
    opened = Project.open(project)
    if answers is not None:
        if made is not None:
            raise click.UsageError("Say --made to make a room, or --answers to score one, not both.")
        result = score_room(opened, [answers, *more_answers], seed)
        return Outcome(describe(result), result)
    if made is None:
        raise click.UsageError("Say --made FOLDER to make a room, or --answers FILE to score one.")
    if more_answers:
        raise click.UsageError(f"'{more_answers[0]}' stands alone; give folders after --made and --real.")
    result = make_room(opened, made, real, count, seed, name)
    return Outcome(describe_room(result), result, opened.command("real-or-fake", "--answers", "FILE"))


def describe_room(result: Mapping[str, Any]) -> str:
    """What is in the room, how it was blinded, and what it can show."""
    lines = [PHANTOM] if result["is_phantom"] else []
    lines.append(f"Room {result['name']}: {result['images']} images, page {shlex.quote(result['page'])}")
    lines += _wrapped("Shown: " + "; ".join(result["shown"]) + ".")
    lines += [line for remark in result["remarks"] for line in _wrapped(f"Not on the page: {remark}.")]
    if result["least_told_from_chance"] is not None:
        least = f"{result['least_told_from_chance']:.0%}"
        lines += _wrapped(f"To be told from chance, one reader of all these images must be right in {least} of them.")
    lines += [line for note in result["notes"] for line in _wrapped(note)]
    return "\n".join([*lines, "", *_wrapped("Give readers the page alone, and a code each; they send back a file.")])


def describe(result: Mapping[str, Any]) -> str:
    """A line per reader, all answers together, agreement, and what it does not show."""
    lines = [PHANTOM] if result["is_phantom"] else []
    counts = f"{result['items']} images, {result['made']} made and {result['items'] - result['made']} real"
    lines += [f"Room {result['name']}: {counts}. Chance is 50 %.", ""]
    rows: list[tuple[str, ...]] = [("", "read", "accuracy", "", "fakes found", "reals found", "AUC", "seconds")]
    rows += [_row(one["reader"], one) for one in result["readers"]]
    rows += [_row("all answers", result["pooled"])] if len(result["readers"]) > 1 else []
    wide = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines += ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]
    mean = result["mean"]
    if mean is not None and mean["accuracy"] is not None:
        lines.append(f"Mean accuracy, for readers like these {mean['readers']}: {_span(mean['accuracy'])}")
    for row in result["agreement"]:
        lines.append(f"{row['name']} of {' and '.join(row['readers'])}: {_span(row['kappa'])}")
    lines += [f"Accuracy, {row['part']}: {_span(row['accuracy'])}" for row in result["by_time"] if row["read"]]
    lines += ["", *(line for note in result["notes"] for line in _wrapped(note))]
    return "\n".join([*lines, "", f"Page: {result['page']}"])


def _row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    seconds = "" if one["seconds"] is None else f"{one['seconds']:.1f}"
    found = [_span(one["accuracy"]), one["against_chance"], _only(one["sensitivity"]), _only(one["specificity"])]
    return (name, str(one["read"]), *found, _only(one["auc"]), seconds)


def _span(values: Mapping[str, Any]) -> str:
    return Interval.from_dict(dict(values)).short


def _only(values: Mapping[str, Any]) -> str:
    return "-" if values["estimate"] is None else f"{values['estimate']:.3f}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
