"""One row per case: what was found, missed and false, and what a comparison needs to compute its scores again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD
from overread.evaluation.objects.found_case import FoundCase, Listed
from overread.evaluation.scored import number

MATCHED, MISSED, FALSE = "matched", "missed", "false"


def case_rows(question: Question, cases: Sequence[FoundCase]) -> list[dict[str, Any]]:
    return [_row(question, case) for case in cases]


def _row(question: Question, case: FoundCase) -> dict[str, Any]:
    listed = _objects(case)
    called = [row["class"] for row in listed if row["state"] != MISSED]
    states = [row["state"] for row in listed]
    row: dict[str, Any] = {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "truth": {name: case.truth.classes.count(name) for name in question.classes},
        "answer": {name: called.count(name) for name in question.classes},
        "scores": {},
        "reasons": {},
        "objects": listed,
        "marks": {name: _marks(case, name) for name in question.classes},
        "error": float(states.count(MISSED) + states.count(FALSE)),
    }
    return row if case.fold == NO_FOLD else {**row, "fold": case.fold}


def _objects(case: FoundCase) -> list[dict[str, Any]]:
    """At the operating point, by falling score; missed objects of the truth last. A matched one has the answer's box."""
    partner, scores = case.matched.partner, case.matched.scores
    called = [int(k) for k in np.argsort(-scores, kind="stable") if case.called[k]]
    rows = []
    for k in called:
        is_hit = partner[k] >= 0
        row = _object(case, case.answer, k, MATCHED if is_hit else FALSE)
        row |= {"score": number(scores[k])}
        if is_hit:
            size = _object(case, case.truth, int(partner[k]), MATCHED)
            row |= {"size_mm": size["size_mm"], "size_px": size["size_px"], "overlap": number(case.matched.overlap[k])}
            apart = number(case.matched.distance[k])
            row |= {"distance_mm": apart if case.unit == "mm" else None, "distance_px": apart if case.unit == "px" else None}
        rows.append(row)
    found = {int(partner[k]) for k in called if partner[k] >= 0}
    missed = [k for k in range(len(case.truth.classes)) if k not in found]
    return [*rows, *(_object(case, case.truth, k, MISSED) for k in missed)]


def _object(case: FoundCase, of: Listed, k: int, state: str) -> dict[str, Any]:
    """Size of the truth where there is one, else of the answer."""
    return {
        "state": state,
        "class": of.classes[k],
        "score": None,
        "size_mm": number(of.longest[k]) if case.unit == "mm" else None,
        "size_px": number(of.pixels[k]),
        "box": [float(f"{v:.6g}") for v in of.boxes[k]],
        "overlap": None,
        "distance_mm": None,
        "distance_px": None,
    }


def _marks(case: FoundCase, name: str) -> dict[str, Any]:
    """One class: number of truths; scores of all answers with the truth that each found (-1: none) by the criterion; the same at
    ten limits of overlap as the number of limits that a hit keeps, for boxes and masks; sums of panoptic quality."""
    full = case.matched
    own = [k for k, of in enumerate(full.answer_classes) if of == name]
    return {
        "truths": case.truth.classes.count(name),
        "scores": [number(full.scores[k]) for k in own],
        "hit": [int(full.partner[k] >= 0) for k in own],
        "called": [int(case.called[k]) for k in own],
        "overlap": [number(full.overlap[k]) for k in own if full.partner[k] >= 0],
        "limits": {
            form: {
                "scores": [number(s) for s in by[name].scores],
                "hit": ["".join(map(str, column)) for column in _bits(by[name].hit)],
            }
            for form, by in case.hits.items()
        },
        "panoptic": [number(v) for v in case.panoptic[name]],
    }


def _bits(hit: np.ndarray) -> list[list[int]]:
    """(L, A) bool -> one list of 0 and 1 per answer."""
    return [[int(v) for v in column] for column in hit.T]
