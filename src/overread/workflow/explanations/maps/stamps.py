"""A map carries the verdict of the day on which it was drawn; one that a later trial has overtaken is not shown any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.reporting.page_parts import Part
from overread.workflow.explanations.maps.verdicts import judged

OVERTAKEN = (
    'its maps were drawn before the trial as it is now, with the verdict "{then}" where the trial now says "{now}"; draw them '
    "again with `overread explain`"
)


def as_judged_now(maps: Part, trial: Mapping[str, Any]) -> Part:
    """The part "maps" with the verdicts of the trial; maps that are stamped otherwise are left out, and it is said of which."""
    rows, overtaken = [], set()
    for row in maps.record["methods"]:
        now = judged(trial, row["method"], row["parameters"])
        if now.verdict == row["verdict"]:
            rows.append(row)
            continue
        overtaken.add(row["method"])
        left_out = OVERTAKEN.format(then=row["verdict"], now=now.verdict)
        judged_now = {"verdict": now.verdict, "criteria": now.criteria, "why": now.why}
        rows.append({**row, **judged_now, "is_withheld": False, "left_out": left_out})
    cases = [{**case, "maps": [one for one in case["maps"] if one["method"] not in overtaken]} for case in maps.record["cases"]]
    kept = {one.get("file") for case in cases for one in case["maps"]}
    pictures = {name: png for name, png in maps.pictures.items() if name in kept}
    return Part({**maps.record, "has_trial": True, "methods": rows, "cases": cases}, pictures)
