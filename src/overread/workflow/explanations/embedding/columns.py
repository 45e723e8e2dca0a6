"""By what embedded cases are told apart: partition, label, answer, site, scanner, sex, age and other columns of the sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Decisions, Question
from overread.evaluation.groups.bands import FEW_VALUES, OTHERS, UNKNOWN, Bands, bands, cells_of
from overread.metrics.calibration import calibrated
from overread.metrics.table import positive_class
from overread.workflow.scoring.groups import group_columns

PARTITIONS = {"training": "training", "tuning": "tuning", "internal": "internal test"}
MOST = 12  # columns; beyond, --by chooses
ABOUT = ("label", "partition", "answer")  # always there


@dataclass(frozen=True)
class Column:
    """Groups of the cases.

    kind   "label", "answer", "partition" or "column"
    level  (N,) group of each case
    order  the groups as they are shown
    whole  (N,) of a label in words: each as it is, also where rare ones are shown together
    """

    name: str
    kind: str
    level: tuple[str, ...]
    order: tuple[str, ...]
    rule: str
    whole: tuple[str, ...] = ()

    @property
    def is_graded(self) -> bool:
        """The groups have an order: bands of a number."""
        return self.rule.startswith(("years", "cut into"))


def columns_of(
    cases: Sequence[Case],
    partition: Mapping[str, str],
    labels: Mapping[str, Mapping[str, Any]],
    answers: Mapping[str, str],
    by: Sequence[str],
) -> tuple[list[Column], list[str]]:
    """The columns, and why some were left out.

    labels   name -> case_id -> label of the cases that are not sealed
    answers  case_id -> answer in words; empty where there is not one per case
    by       columns that were asked for; all where none is named
    """
    ids, patients = [case.case_id for case in cases], [case.patient_id for case in cases]
    asked = group_columns(cases)
    chosen, notes = _chosen(asked, by)
    found = [Column("partition", "partition", tuple(PARTITIONS[partition[i]] for i in ids), tuple(PARTITIONS.values()), "")]
    several = [*((name, "label", cells) for name, cells in labels.items()), *((name, "column", asked[name]) for name in chosen)]
    if answers:
        several.append(("answer", "answer", answers))
    for name, kind, cells in several:
        values = cells_of(cells, ids)
        made = bands(name, values, patients)
        whole = tuple(str(v or UNKNOWN) for v in values) if kind == "label" and any(isinstance(v, str) for v in values) else ()
        if made.refusal and whole:
            made = _commonest(name, whole, patients)
        if made.refusal:
            notes.append(f"Column '{name}' makes no groups: {made.refusal}.")
        else:
            found.append(Column(name, kind, made.level, made.order, made.rule, whole))
    rank = {"label": 0, "answer": 1, "partition": 2, "column": 3}
    return sorted(found, key=lambda column: rank[column.kind]), notes


def answer_words(question: Question, raw: np.ndarray, decisions: Decisions) -> list[str]:
    """(N, K) raw answers of a classification, as called: the class above the frozen threshold of two, else the likeliest."""
    probabilities = calibrated(raw, question, decisions)
    if question.is_binary:
        positive = question.classes.index(positive_class(question))
        called = probabilities[:, positive] >= decisions.threshold(question.classes[positive])
        return [question.classes[positive if is_called else 1 - positive] for is_called in called]
    if question.exclusive:
        return [question.classes[int(k)] for k in probabilities.argmax(1)]
    least = [decisions.threshold(name) for name in question.classes]
    return [
        ", ".join(n for n, v, t in zip(question.classes, row, least, strict=True) if v >= t) or "none" for row in probabilities
    ]


def held_fixed(columns: Sequence[Column], *, with_partition: bool) -> list[str]:
    """(N,) what a column is compared within: all labels together, and the partition."""
    fixed = [c for c in columns if c.kind == "label" or (with_partition and c.kind == "partition")]
    return ["; ".join(levels) for levels in zip(*(c.whole or c.level for c in fixed), strict=True)]


def is_known(columns: Sequence[Column]) -> np.ndarray:
    """(N,) bool: the label is known. Some column must be one of labels."""
    labels = [c for c in columns if c.kind == "label"]
    return np.array([all(level != UNKNOWN for level in levels) for levels in zip(*(c.level for c in labels), strict=True)])


def _commonest(name: str, words: Sequence[str], patients: Sequence[str]) -> Bands:
    """Findings that occur together make more labels than `bands` makes groups of: the rare ones are put together."""
    holders: dict[str, set[str]] = {}
    for word, patient in zip(words, patients, strict=True):
        if word != UNKNOWN:
            holders.setdefault(word, set()).add(patient)
    kept = sorted(sorted(holders), key=lambda word: -len(holders[word]))[: FEW_VALUES - 1]
    made = bands(name, [None if word == UNKNOWN else word if word in kept else OTHERS for word in words], patients)
    order = tuple(sorted(made.order, key=(OTHERS, UNKNOWN).__contains__))
    return replace(made, order=order, rule=f"the {len(kept)} commonest of {len(holders)} labels; the others are put together")


def _chosen(asked: Mapping[str, Any], by: Sequence[str]) -> tuple[list[str], list[str]]:
    for name in by:
        if name not in asked and name not in ABOUT:
            near = get_close_matches(name, list(asked), 1)
            there = ", ".join(asked) or "none with more than one value"
            raise OverreadError(
                f"There is no column '{name}' to tell cases apart by." + (f" Did you mean '{near[0]}'?" if near else ""),
                f"there are: {there}; label, answer and partition are always shown",
            )
    names = [name for name in asked if not by or name in by]
    if len(names) <= MOST:
        return names, []
    return names[:MOST], [f"{len(names) - MOST} more columns of the sheet were left out; name those that matter with --by."]
