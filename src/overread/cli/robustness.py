"""overread robustness"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import click

from overread.cli.progress import reporter
from overread.cli.verb import PHANTOM, Outcome, Verb, command, fold_option, project_argument, run_option
from overread.core.score import Interval
from overread.workflow.project import Project

EXAMPLE = """\
overread robustness liver
overread robustness liver --only noise,blur,rotation --limit 50
overread robustness liver --run second --fold 0"""
WIDTH = 98


@click.command(cls=Verb, example=EXAMPLE)
@project_argument
@run_option
@fold_option("Projects of folds: the fold whose model reads its tuning cases.")
@click.option("--only", metavar="NAME,NAME", help="Some of the degradations; all otherwise.")
@click.option("--limit", type=int, metavar="N", help="Read at most N cases, the same ones every time.")
def robustness(project: Path, run_name: str | None, fold: int | None, only: str | None, limit: int | None) -> Outcome:
    """Degrade the tuning images by known amounts: how far does the score of the frozen model fall?

    Noise, blur, contrast, low dose (CT), bias field (MR), rotation, motion, missing k-space (MR), resolution, JPEG, missing
    slices (volumes) and a small adversarial step, each at two or three amounts. For each: the drop of the primary endpoint,
    paired by patient, with its interval, and whether the model holds, drops, or whether the cases are too few to say. The
    internal test stays sealed.
    """
    from overread.workflow.robustness import robustness as examine  # loads torch: not for --help

    opened = Project.open(project)
    names = [word.strip() for word in (only or "").split(",") if word.strip()]
    result = examine(opened, run_name, fold, names, limit, reporter())
    return Outcome(describe(result), result, command("report", project, "--run", result["run"]))


def describe(result: Mapping[str, Any]) -> str:
    """What was read, a line per degradation and amount, how the intervals were made, the rule of the verdicts."""
    fold = "" if result["fold"] is None else f", fold {result['fold']}"
    lines = [PHANTOM] if result["is_phantom"] else []
    lines.append(
        f"Run {result['run']}{fold}, frozen model, {_counts(result['n_cases'], result['n_patients'])} of the tuning partition. "
        "The internal test stays sealed."
    )
    lines += _table(result)
    lines += ["", *(f"Not run: {row['title']}: {row['reason']}." for row in result["not_run"])] if result["not_run"] else []
    lines += ["", *_wrapped(result["rule"])]
    return "\n".join([*lines, *(line for note in result["notes"] for line in ["", *_wrapped(f"Note: {note}")])])


def _table(result: Mapping[str, Any]) -> list[str]:
    of, rows = result["endpoint"], result["rows"]
    name = of["name"] if of["subject"] in ("mean", "all") else f"{of['name']}, {of['subject']}"
    unit = f" {of['unit']}" if of["unit"] else ""
    letters: dict[str, str] = {}
    cells = [("", "", "as read", f"drop ({result['level']:.0%} interval)", "")]
    for k, row in enumerate(rows):
        title = row["title"] if not k or rows[k - 1]["title"] != row["title"] else ""
        drop = Interval.from_dict(row["drop"])
        cells.append(
            (title, row["severity"], f"{row['degraded']:.3f}", f"{_span(drop)} {_letter(drop, letters)}", row["verdict"])
        )
    wide = [max(len(cell[column]) for cell in cells) for column in range(5)]
    return [
        f"{name}: {rows[0]['clean']:.3f}{unit} on the images as they are. A drop above 0 is worse.",
        "",
        *("  ".join(f"{text:<{w}}" for text, w in zip(cell, wide, strict=True)).rstrip() for cell in cells),
        "",
        *(line for method, letter in letters.items() for line in _wrapped(f"({letter}) {method}")),
        *_at_threshold(rows),
        *(line for row in rows if row["remark"] for line in _wrapped(f"{row['title']}, {row['severity']}: {row['remark']}")),
    ]


def _at_threshold(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Two classes: where sensitivity or specificity falls while the threshold stays, which a ranking does not show."""
    if not any(row["also"] for row in rows):
        return []
    drops = [(row, one, Interval.from_dict(one["drop"])) for row in rows for one in row["also"]]
    fallen = [
        f"  {row['title']}, {row['severity']}: {one['name'].lower()} {_span(drop)}, {_counts(drop.n_cases, drop.n_patients)}"
        for row, one, drop in drops
        if drop.low is not None and drop.low > 0
    ]
    said = "At the frozen threshold, drops whose own interval lies above 0; these take no part in the verdicts:"
    none = "At the frozen threshold, no drop of sensitivity or specificity is shown."
    return ["", *([*_wrapped(said), *fallen] if fallen else _wrapped(none))]


def _span(drop: Interval) -> str:
    shown = [f"{round(value, 3) + 0.0:.3f}" for value in (drop.estimate, drop.low, drop.high) if value is not None]  # no "-0.000"
    return f"{shown[0]} (none)" if len(shown) < 3 else f"{shown[0]} ({shown[1]} to {shown[2]})"


def _letter(drop: Interval, letters: dict[str, str]) -> str:
    """The letter under which method, counts and what is in the way stand below the table."""
    parts = [drop.method if drop.method != "none" else "", _counts(drop.n_cases, drop.n_patients)]
    why = ("no interval: " if drop.low is None else "") + drop.reason if drop.reason else ""
    known = "; ".join(part for part in (*parts, why) if part)
    return f"({letters.setdefault(known, ascii_lowercase[len(letters) % 26])})"


def _counts(cases: int, patients: int) -> str:
    return f"{cases} case{'s' * (cases != 1)} of {patients} patient{'s' * (patients != 1)}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
