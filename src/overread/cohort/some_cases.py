"""Some of many cases, where reading all would take too long: the same ones every time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Question


def some_of(cases: Sequence[Case], question: Question, limit: int | None) -> tuple[Case, ...]:
    """At most `limit` cases, drawn by the hash of their pseudonyms: the same every time.

    Classes come in turn where there are any, and a patient's second case after the first of all others.
    """
    if limit is None or limit >= len(cases):
        return tuple(cases)
    if limit < 1:
        raise OverreadError(f"--limit {limit} leaves no case.", "give the number of cases to read, such as --limit 50")
    groups: dict[tuple[float | None, ...], list[Case]] = {}
    for case in _by_chance(cases):
        values = case.truth.values if case.truth is not None and question.task == "classification" else {}
        groups.setdefault(tuple(values.get(name) for name in question.classes), []).append(case)
    in_turn = [case for several in zip_longest(*groups.values()) for case in several if case is not None]
    kept = {case.case_id for case in in_turn[:limit]}
    return tuple(case for case in cases if case.case_id in kept)


def _by_chance(cases: Sequence[Case]) -> list[Case]:
    drawn = sorted(cases, key=lambda c: hashlib.sha256(c.case_id.encode()).digest())
    before: Counter[str] = Counter()
    turns = []
    for case in drawn:
        turns.append(before[case.patient_id])
        before[case.patient_id] += 1
    return [case for _, case in sorted(zip(turns, drawn, strict=True), key=lambda pair: pair[0])]
