"""Answers held in memory as rows of an evaluation, so that the paired machinery compares them like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overread.core.question import Question
from overread.evaluation.answered import Answered, ScoredCase
from overread.evaluation.case_rows import case_rows
from overread.evaluation.comparing.compared import Contender
from overread.evaluation.objects.case_rows import case_rows as object_rows
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.scored import number


def contender(name: str, question: Question, cases: Answered | Sequence[ScoredCase] | Sequence[FoundCase]) -> Contender:
    """One reading of the cases, under a name."""
    return Contender(name, ({"question": question.as_dict(), "cases": rows(question, cases)},))


def rows(question: Question, cases: Answered | Sequence[ScoredCase] | Sequence[FoundCase]) -> list[dict[str, Any]]:
    """A row per case: what is true, what was answered, called, how well outlines agree, or which objects were found."""
    if not isinstance(cases, Answered):
        found = [case for case in cases if isinstance(case, FoundCase)]
        return object_rows(question, found) if found else [_outlined(question, c) for c in cases if isinstance(c, ScoredCase)]
    return _measured(question, cases) if question.task == "regression" else case_rows(question, cases)


def _measured(question: Question, table: Answered) -> list[dict[str, Any]]:
    found = []
    for i, case_id in enumerate(table.case_ids):
        values = (dict(zip(question.classes, map(number, line), strict=True)) for line in (table.truth[i], table.answer[i]))
        truth, answer = values
        found.append({"case_id": case_id, "patient_id": table.patient_ids[i], "truth": truth, "answer": answer})
    return found


def _outlined(question: Question, case: ScoredCase) -> dict[str, Any]:
    scores = {f"{key}/{name}": s.value for name in question.classes for key, s in case.structures[name].scores.items()}
    truth = {name: case.structures[name].truth_ml for name in question.classes}
    return {"case_id": case.case_id, "patient_id": case.patient_id, "truth": truth, "scores": scores}
