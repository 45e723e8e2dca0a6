"""A row per case of a classification: what is true, what was answered, what was called, how far off."""

from __future__ import annotations

from typing import Any

import numpy as np

from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD, Answered
from overread.evaluation.scored import number


def case_rows(question: Question, table: Answered) -> list[dict[str, Any]]:
    return [_case_row(question, table, row) for row in range(len(table.case_ids))]


def _case_row(question: Question, table: Answered, row: int) -> dict[str, Any]:
    truth, answer = table.truth[row], table.answer[row]
    known = np.isfinite(truth) & np.isfinite(answer)
    gap = np.abs(truth[known] - answer[known])
    label: Any = {name: number(v) for name, v in zip(question.classes, truth, strict=True)}
    if question.exclusive:
        label = question.classes[int(truth.argmax())] if known.all() else None
    values = {
        "case_id": table.case_ids[row],
        "patient_id": table.patient_ids[row],
        "truth": label,
        "answer": {name: number(v) for name, v in zip(question.classes, answer, strict=True)},
        "called": [name for name, v in zip(question.classes, table.called[row], strict=True) if v > 0.5],
        "scores": {},
        "reasons": {} if known.all() else {n: "truth not known" for n, k in zip(question.classes, known, strict=True) if not k},
        "error": number(float(gap.max())) if len(gap) else 0.0,
    }
    if table.region is not None:
        values["set"] = _set(question, table.region[row])
    return values if table.fold[row] == NO_FOLD else {**values, "fold": int(table.fold[row])}


def _set(question: Question, region: np.ndarray) -> list[str] | dict[str, list[bool]]:
    """The classes in the set; findings that may occur together: whether "absent" and "present" belong, by finding."""
    if question.exclusive:
        return [name for name, inside in zip(question.classes, region[:, 1], strict=True) if inside > 0.5]
    return {name: [bool(v > 0.5) for v in pair] for name, pair in zip(question.classes, region, strict=True)}
