"""How the settings of a run were chosen: the candidates, their scores on inner parts, and that the test had no part in it."""

from __future__ import annotations

from typing import Any

from overread.reporting.given import Record
from overread.reporting.proportions import in_words
from overread.reporting.sections.learning_curve import budget_words
from overread.reporting.sections.results import counts, named


def selection_table(selection: Record) -> dict[str, Any]:
    """What the report shows of selection.json."""
    endpoint, candidates = selection["endpoint"], selection["candidates"]
    held = "" if selection["fold"] is None else f"Fold {selection['fold']}: "
    return {
        "told": f"{held}{len(candidates)} candidates were compared by {named(endpoint)} on {selection['inner']} inner parts of "
        f"the training and tuning cases ({counts(selection['n_cases'], selection['n_patients'])}; divided by patient, alike in "
        f"{selection['stratified_by']}), each held out once: {selection['n_trainings']} trainings of "
        f"{budget_words(selection['budget'])}.",
        "sealed": "The internal test had no part in it: its truths stayed under seal and its images were not read. What is "
        "found on it is a nested estimate, for what chose is not what is reported; the scores in this table chose, so the best "
        "of them is too good.",
        "words": selection["words"],
        "score": named(endpoint),
        "rows": [
            {
                "number": candidate["number"],
                "settings": ", ".join(f"{key} = {value}" for key, value in candidate["settings"].items()),
                "mean": in_words({**endpoint, "interval": candidate["interval"]}),
                "parts": ", ".join("not defined" if score is None else f"{score:.3f}" for score in candidate["scores"]),
                "method": candidate["interval"]["method"],
                "is_chosen": candidate["is_chosen"],
                "is_tied": candidate["is_tied"],
            }
            for candidate in candidates
        ],
    }
