"""Cases as an evaluation file holds them, made ready to compute their scores again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD
from overread.evaluation.objects.found_case import FoundCase, Hits, Listed, criterion_of
from overread.metrics.objects.average_precision import LIMITS
from overread.metrics.objects.matching import Matched


def case_of_row(question: Question, row: Mapping[str, Any]) -> FoundCase:
    """What was found, missed and false, without places and sizes."""
    try:
        marks = {name: row["marks"][name] for name in question.classes}
    except KeyError as error:
        raise OverreadError(
            f"The evaluation says nothing of the answers to {row.get('case_id')}.", "evaluate again with this version"
        ) from error
    truths = tuple(name for name in question.classes for _ in range(marks[name]["truths"]))
    answers = tuple(name for name in question.classes for _ in marks[name]["scores"])
    partner, overlap, first = [], [], 0
    for name in question.classes:
        own = np.array(marks[name]["hit"], dtype=bool)
        partner.append(np.where(own, first + np.cumsum(own) - 1, -1))
        there = np.full(len(own), np.nan)
        there[own] = marks[name]["overlap"]
        overlap.append(there)
        first += marks[name]["truths"]
    scores = np.array([score for name in question.classes for score in marks[name]["scores"]], dtype=float)
    nothing = np.full(len(answers), np.nan)
    matched = Matched(truths, answers, scores, _joined(partner, int), _joined(overlap, float), nothing)
    forms = next(iter(marks.values()))["limits"] if marks else {}
    return FoundCase(
        str(row["case_id"]),
        str(row["patient_id"]),
        _listed(truths),
        _listed(answers),
        matched,
        np.array([flag for name in question.classes for flag in marks[name]["called"]], dtype=bool),
        {form: {name: _hits(marks[name]["limits"][form]) for name in question.classes} for form in forms},
        {name: np.array(marks[name]["panoptic"], dtype=float) for name in question.classes},
        {},
        criterion_of(question, "auto", is_planar=True),
        is_planar=True,
        fold=int(row.get("fold", NO_FOLD)),
    )


def _hits(values: Mapping[str, Any]) -> Hits:
    """One word of 0 and 1 per answer, a letter per limit of overlap -> (L, A) bool."""
    table = np.array([[letter == "1" for letter in word] for word in values["hit"]], dtype=bool).reshape(-1, len(LIMITS))
    return Hits(np.array(values["scores"], dtype=float), table.T)


def _listed(classes: tuple[str, ...]) -> Listed:
    unknown = np.full(len(classes), np.nan)
    return Listed(classes, np.full((len(classes), 6), np.nan), unknown, unknown)


def _joined(arrays: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, kind), *arrays]).astype(kind)
