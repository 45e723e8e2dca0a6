"""An external result beside the result at home: how the scores moved, and how the patients differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.evaluation.afterwards.shift import drop_table, shift_table
from overread.evaluation.result import Result
from overread.record.files import read_json
from overread.workflow.partitions import partition_summaries
from overread.workflow.project import Project
from overread.workflow.scoring.parts import Part

WORDS = {"internal": "the internal test", "tuning": "the tuning cases"}
MOST_NAMED = 6


def compared_with(part: Part) -> Result | None:
    """The internal result of the same model, else its tuning result; None where it has neither."""
    for partition in ("internal", "tuning"):
        path = part.run.evaluation(partition)
        if path.exists():
            found = read_json(path)
            if found["model"] == part.model:
                return Result(found)
    return None


def shift_of(project: Project, part: Part, reference: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """The table of differences, the table of patients, and both in words.

    "name", "compared_with" ("internal" or "tuning"), "n_cases" and "n_patients" of that, "drop" and "shift" rows
    (see `overread.evaluation.afterwards.shift`), "notes"
    """
    other = part.external
    assert other is not None
    home = {s["partition"]: s for s in partition_summaries(project.path)}
    against = reference["partition"]
    here = partition_summaries(other.path)[0]
    there = home.get(against) or home.get(part.run.name.replace("-", " ")) or next(iter(home.values()))
    rows = drop_table(result, reference)
    shift = shift_table(here, there, home.get("training"))
    return {
        "name": other.path.name,
        "compared_with": against,
        "n_cases": reference["n_cases"],
        "n_patients": reference["n_patients"],
        "drop": rows,
        "shift": shift,
        "notes": [*_about(against, reference), *_drop_words(rows, against), *_shift_words(shift, against)],
    }


def _about(against: str, reference: Mapping[str, Any]) -> list[str]:
    size = f"{reference['n_cases']} cases of {reference['n_patients']} patients"
    if against == "internal":
        return [f"Compared with the internal test of the same model ({size})."]
    return [
        f"Compared with the tuning cases ({size}): the internal test of this model was never opened. Its decisions were fitted "
        "on these cases, so part of a drop is due to that."
    ]


def _drop_words(rows: list[dict[str, Any]], against: str) -> list[str]:
    """The primary endpoint's change in a sentence, and whether thresholds and calibration were touched."""
    lines = ["Network, threshold and calibration are those frozen in the model; nothing was fitted here."]
    for row in rows:
        gap = row["difference"]
        if row["role"] != "primary" or gap["low"] is None:
            continue
        meaning = {"worse": "worse than", "better": "better than", "not shown": "no difference shown from"}.get(row["moved"])
        ends = f"{gap['low']:+.3f} to {gap['high']:+.3f}"
        told = f": {meaning} {WORDS[against]}" if meaning else ""
        lines.append(
            f"{row['name']} {row['subject']}: {row['external']['estimate']:.3f} here, {row['reference']['estimate']:.3f} on "
            f"{WORDS[against]}; difference {gap['estimate']:+.3f} ({gap['level']:.0%} {ends}){told}."
        )
    return lines


def _shift_words(shift: list[dict[str, Any]], against: str) -> list[str]:
    unlike = [f"{row['what']} {row['of']}".strip() for row in shift if row["unlike"]]
    if not unlike:
        return []
    more = f" and {len(unlike) - MOST_NAMED} more" if len(unlike) > MOST_NAMED else ""
    return [
        f"The patients differ from those of {WORDS[against]} (standardised difference of 0.2 or more) in "
        f"{', '.join(unlike[:MOST_NAMED])}{more}; scores that depend on the share of disease, such as PPV, move with it."
    ]
