"""Is there enough? What the parts that will be scored can and cannot show, before anything is trained or opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overread.audit.audited import Audited, called
from overread.audit.concern import Concern, several
from overread.audit.size.rows import (
    ASSUMED_AREA,
    ASSUMPTIONS,
    GAIN,
    MARGIN,
    WANTED,
    Part,
    comparison_rows,
    interval_rows,
    parts_to_score,
    subjects_of,
)
from overread.core.question import Question

# Half widths beyond which nothing can be said; of a mean absolute error as a share of itself.
TOO_WIDE = {"auc": 0.10, "sensitivity": 0.10, "specificity": 0.10, "dice": 0.05, "mae": 0.25}


def look_for_size(audited: Audited) -> list[Concern]:
    """What the parts that will be scored can and cannot show."""
    question = audited.question
    if question is None:
        return []
    concerns = []
    for part in parts_to_score(audited):
        rows = interval_rows(question, part)
        absent = _absent(question, part)
        told = {name for concern in absent for name in (*concern.evidence["absent"], *concern.evidence["only"])}
        concerns += [*absent, *_impossible(part, [row for row in rows if row["subject"] not in told])]
        concerns += _widths(part, rows, audited)
        concerns += _comparison(part, comparison_rows(question, part))
    return concerns


def size_table(audited: Audited) -> dict[str, Any]:
    """Expected intervals, power of comparisons, and what was assumed."""
    question = audited.question
    parts = parts_to_score(audited) if question is not None else []
    return {
        "intervals": [row for part in parts for row in interval_rows(question, part)] if question else [],
        "comparisons": [row for part in parts for row in comparison_rows(question, part)] if question else [],
        "assumptions": ASSUMPTIONS,
    }


def _absent(question: Question, part: Part) -> list[Concern]:
    """Classes of which the part holds no case, or nothing else."""
    if question.task == "regression" or not part.is_counted:
        return []
    names = subjects_of(question) if question.task == "classification" else question.classes
    lacking = [name for name in names if part.counts.get(name, 0) == 0]
    full = [name for name in names if question.task == "classification" and part.counts.get(name, 0) >= part.cases]
    if not lacking and not full:
        return []
    told = [f"no case of {several(lacking)}"] * bool(lacking) + [f"nothing but {several(full)}"] * bool(full)
    return [
        Concern(
            "class-absent-where-scored",
            "size",
            "warning",
            f"{called(part.name)}: {' and '.join(told)} among {part.cases} cases of {part.patients} patients.",
            "Nothing can be said about these: sensitivity, specificity or the area under the curve do not exist.",
            "Certain: counted.",
            "Bring in patients of the absent kind, or take the class out of the question.",
            {"absent": lacking, "only": full},
            partitions=(part.name,),
        )
    ]


def _impossible(part: Part, rows: Sequence[Mapping[str, Any]]) -> list[Concern]:
    """Scores that will have no interval at all, though the class is there, or may be."""
    lacking = [row for row in rows if row["half_width"] is None]
    if not lacking:
        return []
    told = several([f"{row['metric']} ({row['subject']})" for row in lacking])
    return [
        Concern(
            "score-without-interval",
            "size",
            "warning",
            f"{called(part.name)}: {len(lacking)} of {len(rows)} scores rest on fewer than two independent cases: {told}.",
            "Whatever these come to, nothing can be said about them.",
            "Certain: counted." if part.is_counted else "An expectation from the share of cases whose truth is open.",
            "Bring in patients of these kinds, or report the score without a claim.",
            {"rows": [dict(row) for row in lacking]},
            partitions=(part.name,),
        )
    ]


def _widths(part: Part, rows: Sequence[Mapping[str, Any]], audited: Audited) -> list[Concern]:
    """A warning for what would be too wide to say anything, else a note of the widths to expect."""
    measured = [row for row in rows if row["half_width"] is not None]
    wide = [row for row in measured if row["half_width"] > TOO_WIDE[row["metric"]]]
    shown = wide or measured
    if not shown:
        return []
    worst = max(shown, key=lambda row: row["half_width"] / TOO_WIDE[row["metric"]])
    counted = f"{called(part.name)}: {part.cases} cases of {part.patients} patients"
    unknown = "" if audited.patients_known else " Nothing names the patients, so each case was taken for one; it may be worse."
    needed = worst["patients_needed"]
    advice = (
        f"About {needed} patients like these give +-{WANTED:.2f}."
        if needed
        else "No number of patients below a million is enough."
    )
    return [
        Concern(
            "interval-too-wide" if wide else "expected-interval",
            "size",
            "warning" if wide else "note",
            f"{counted}. {_told(worst)}." + (f" {len(wide)} of {len(rows)} scores will be that vague." if wide else ""),
            "A good and a poor model would look alike." if wide else "This is how precise the scores will be.",
            f"An expectation from formulas that assume {ASSUMPTIONS[worst['metric']]}"
            + (f" and {ASSUMPTIONS['design effect']}" if part.inflation > 1 else "")
            + f".{unknown}",
            advice if wide else f"{advice} Say the expected width in the protocol.",
            {"rows": [dict(row) for row in shown]},
            partitions=(part.name,),
        )
    ]


def _told(row: Mapping[str, Any]) -> str:
    interval = row["interval"]
    names = {"auc": "An area under the curve", "dice": "A mean Dice", "mae": "A mean absolute error"}
    name = names.get(row["metric"], f"A {row['metric']}")
    if row["metric"] == "mae":
        return f"{name} ({row['subject']}) will have an interval of about +-{row['half_width']:.0%} of itself"
    low, high, assumed = interval["low"], interval["high"], interval["estimate"]
    return f"{name} ({row['subject']}) of {assumed:.2f} will have a 95 % interval of about {low:.2f} to {high:.2f}"


def _comparison(part: Part, rows: Sequence[Mapping[str, Any]]) -> list[Concern]:
    """Comparisons that would fail although there is something to find."""
    weak = [row for row in rows if row["power_of_gain"] < 0.8]
    if not weak:
        return []
    worst = min(weak, key=lambda row: row["power_of_gain"])
    least = worst["smallest_gain"]
    return [
        Concern(
            "comparison-without-power",
            "size",
            "note",
            f"{called(part.name)}: a second model whose area under the curve ({worst['subject']}) is {GAIN:.2f} higher would be "
            f"shown to be better in {worst['power_of_gain']:.0%} of such studies. "
            + (f"A gain of {least:.2f} would be shown in 80 %. " if least else "No gain would be shown in 80 % of them. ")
            + f"That it is no worse by {MARGIN:.2f} would be shown in {worst['power_of_non_inferiority']:.0%} if both are equal.",
            "A comparison that finds no difference would mean nothing here.",
            f"An expectation from formulas that assume an area of {ASSUMED_AREA} for the first model and "
            f"{ASSUMPTIONS['comparison']}.",
            "Plan no comparison on these cases, or bring in more patients.",
            {"rows": [dict(row) for row in weak]},
            partitions=(part.name,),
        )
    ]
