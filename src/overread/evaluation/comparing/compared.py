"""Evaluations of the same cases, brought into one order; refused where the cases, truths or patients differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD, Answered
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.sources.refused import worst_answers

Row = Mapping[str, Any]
SAME_QUESTION = ("task", "classes", "positive", "exclusive", "degradation")
MOST_NAMED = 5


@dataclass(frozen=True)
class Contender:
    """One of those that are compared.

    runs  its evaluations, as evaluation files hold them; several are one recipe trained with several seeds
    """

    name: str
    runs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Lined:
    """The same N cases for every run of every contender.

    rows  per contender and run, the rows of the cases in one order
    fold  (N,) fold whose model answered the case, -1 where there are none
    """

    question: Question
    names: tuple[str, ...]
    rows: tuple[tuple[tuple[Row, ...], ...], ...]
    patient_ids: tuple[str, ...]
    fold: np.ndarray

    @property
    def patients(self) -> Patients:
        return Patients.of(self.patient_ids)


def line_up(contenders: Sequence[Contender]) -> Lined:
    """Match the cases of all evaluations with those of the first."""
    first = contenders[0].runs[0]
    runs = [(c.name, run) for c in contenders for run in c.runs]
    keys = _keys(runs)
    by_key = {name_run: dict(zip(_named(run, keys), run["cases"], strict=True)) for name_run, (_, run) in enumerate(runs)}
    order = list(by_key[0])
    for number, (name, run) in enumerate(runs[1:], 1):
        _check_question(runs[0][0], first, name, run)
        _check_cases(runs[0][0], by_key[0], name, by_key[number])
    lined = iter([tuple(rows[key] for key in order) for rows in by_key.values()])
    return Lined(
        Question.from_dict(first["question"]),
        tuple(c.name for c in contenders),
        tuple(tuple(next(lined) for _ in c.runs) for c in contenders),
        tuple(str(by_key[0][key]["patient_id"]) for key in order),
        _folds(runs, by_key, order),
    )


def _keys(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[str, ...]:
    """What names a row: the case, and the fold too where a case is a tuning case of several folds."""
    for _, run in runs:
        names = [row["case_id"] for row in run["cases"]]
        if len(set(names)) < len(names):
            return ("case_id", "fold")
    return ("case_id",)


def _named(run: Mapping[str, Any], keys: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row.get(key) for key in keys) for row in run["cases"]]


def _check_question(first: str, one: Mapping[str, Any], second: str, other: Mapping[str, Any]) -> None:
    for key in SAME_QUESTION:
        if one["question"].get(key) != other["question"].get(key):
            raise OverreadError(
                f"{first} and {second} answer different questions: {key} is {one['question'].get(key)} and "
                f"{other['question'].get(key)}.",
                "compare evaluations of one question",
            )


def _check_cases(first: str, one: Mapping[Any, Row], second: str, other: Mapping[Any, Row]) -> None:
    parts = []
    for have, lack, rows in (
        (first, second, [k for k in one if k not in other]),
        (second, first, [k for k in other if k not in one]),
    ):
        if rows:
            parts.append(f"{len(rows)} cases of {have} are not in {lack} ({_some([str(k[0]) for k in rows])})")
    if parts:
        raise OverreadError(
            f"{first} ({len(one)} cases) and {second} ({len(other)} cases) were not evaluated on the same cases: "
            f"{'; '.join(parts)}.",
            "evaluate both on the same cases; a paired test of others would compare cases, not models",
        )
    for what, differs in (("truth", _other_truth), ("patient", lambda a, b: a["patient_id"] != b["patient_id"])):
        wrong = [str(key[0]) for key in one if differs(one[key], other[key])]
        if wrong:
            raise OverreadError(
                f"{len(wrong)} of {len(one)} cases have another {what} in {second} than in {first} ({_some(wrong)}).",
                "evaluate both against the same truth, with the same patients",
            )


def _other_truth(one: Row, other: Row) -> bool:
    mine, theirs = one["truth"], other["truth"]
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return any(_apart(mine[name], theirs.get(name)) for name in mine)
    return _apart(mine, theirs)


def _apart(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) > 1e-6 * max(1.0, abs(one))
    return bool(one != other)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (" ..." if len(names) > MOST_NAMED else "")


def _folds(runs: Sequence[Any], by_key: Mapping[int, Mapping[Any, Row]], order: Sequence[Any]) -> np.ndarray:
    """The folds that all runs with folds agree on: areas are ranked within a fold, so they must be the same for all."""
    found = [np.array([by_key[i][key].get("fold", NO_FOLD) for key in order]) for i in range(len(runs))]
    folded = [i for i, fold in enumerate(found) if (fold != NO_FOLD).any()]
    if not folded:
        return found[0]
    for i in folded[1:]:
        if not np.array_equal(found[i], found[folded[0]]):
            raise OverreadError(
                f"{runs[folded[0]][0]} and {runs[i][0]} were cross-validated on different folds.",
                "train both on the folds of one project",
            )
    return found[folded[0]]


def as_arrays(question: Question, rows: Sequence[Row]) -> Answered:
    """Classification or regression: the rows of an evaluation as arrays again; a refused case is as wrong as it counted there."""
    shape = (len(rows), len(question.classes))
    truth, answer, called = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    for i, row in enumerate(rows):
        truth[i], answer[i] = _values(question, row["truth"]), _values(question, row["answer"])
        called[i] = [float(name in row.get("called", ())) for name in question.classes]
    fold = np.array([row.get("fold", NO_FOLD) for row in rows])
    refused = np.array(["refused" in row for row in rows], dtype=bool)
    for number in np.unique(fold[refused]):  # the worst answer is that of the fold's own cases, as in the evaluation
        own = fold == number
        worst, worst_calls = worst_answers(question, truth[own])
        answer[own & refused], called[own & refused] = worst[refused[own]], worst_calls[refused[own]]
    unanswered = (np.isfinite(truth) & ~np.isfinite(answer)).any(1)
    if unanswered.any():
        without = [str(row["case_id"]) for row, lacks in zip(rows, unanswered, strict=True) if lacks]
        raise OverreadError(
            f"{len(without)} cases have a truth and no answer ({_some(without)}); left out by one, they would be other cases.",
            "add the answers and evaluate again",
        )
    called[~np.isfinite(answer)] = np.nan
    cases, patients = (tuple(str(row[key]) for row in rows) for key in ("case_id", "patient_id"))
    return Answered(cases, patients, truth, answer, answer, called, fold, refused)


def _values(question: Question, value: Any) -> list[float]:
    """A label, a number, or a value per class -> (K,), NaN where not known."""
    if isinstance(value, str):
        return [float(value == name) for name in question.classes]
    if isinstance(value, Mapping):
        return [np.nan if value.get(name) is None else float(value[name]) for name in question.classes]
    return [np.nan if value is None else float(value)] * len(question.classes)
