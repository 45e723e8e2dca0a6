"""Explanations: what was tried and shown on the page beside, and which methods failed; the maps themselves stay there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.reporting.given import Record
from overread.reporting.words import listed

PAGE = "explanation.html"
MADE = {
    "trial": "the trial of the methods",
    "maps": "maps",
    "covariates": "the part that each column has in an answer",
    "inside": "what is inside the network",
    "embedding": "cases as points, and similar cases",
    "uncertainty": "uncertainty",
    "flips": "the smallest changes that flip an answer",
}


def explanation_section(name: str, records: Mapping[str, Record]) -> dict[str, Any]:
    """What the report says of `explanation/` of one training."""
    trial = records.get("trial")
    return {
        "name": name,
        "made": f"Made for this model: {listed([words for part, words in MADE.items() if part in records])}.",
        "page": f"{name.replace(' ', '-')}/{PAGE}" if name else PAGE,
        "is_tried": trial is not None,
        "told": tried_words(trial),
        "rows": [_row(row) for row in (trial or {}).get("methods", ())],
    }


def tried_words(trial: Record | None) -> str:
    """The trial in one sentence."""
    if trial is None:
        return "No attribution method was tried on this model, so no map of it may be believed."
    failed = [row["title"] for row in trial["methods"] if row["verdict"] == "failed"]
    passed = [row["title"] for row in trial["methods"] if row["verdict"] == "passed"]
    told = f"Tried on {trial['n_cases']} tuning cases of {trial['n_patients']} patients. "
    told += f"Failed: {listed(failed)}. " if failed else "None failed. "
    return told + (f"Passed all criteria that were tried: {listed(passed)}; a pass is no proof." if passed else "None passed.")


def _row(row: Record) -> dict[str, Any]:
    failed = [each["title"] for each in row["criteria"] if each["verdict"] == "failed"]
    untried = [each["title"] for each in row["criteria"] if each["verdict"] == "not tried"]
    return {"title": row["title"], "verdict": row["verdict"], "failed": listed(failed), "untried": listed(untried)}
