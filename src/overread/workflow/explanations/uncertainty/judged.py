"""The errors of a model's frozen answers, case by case, as an evaluation found them; nothing is opened here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.uncertainty.relation import Judged
from overread.evaluation.units import units_of
from overread.reading.uncertain import CaseUncertainty
from overread.record.files import digest_json, read_json
from overread.record.run import RunFolder
from overread.workflow.evaluate import evaluate
from overread.workflow.project import Project

SAME = 0.5  # voxels by which the corners of one object may differ between two readings
PLAIN = "1 - confidence"

Row = dict[str, Any]


def evaluated_rows(project: Project, run_name: str, run: RunFolder, fold: int | None, partition: str, model: str) -> list[Row]:
    """Rows of all cases of the evaluation file; tuning cases are evaluated where that was not done, a sealed test never is."""
    rows = _rows_of(project, run_name, run, fold, partition, model)
    if rows is None and partition == "tuning":
        rows = list(evaluate(project, run_name, "tuning", fold, panels=False)["cases"])
    if rows is None:
        raise OverreadError(
            "The internal test has not been opened for this model, so nothing is known of its errors; no seal is opened here.",
            "look at the tuning cases without --on; or open the test first, once and for all: "
            f"`{project.command('evaluate', *project.run_words(run), '--on', 'internal')}`",
        )
    return rows


def _rows_of(project: Project, run_name: str, run: RunFolder, fold: int | None, partition: str, model: str) -> list[Row] | None:
    own = run.evaluation(partition)
    if own.exists() and (found := read_json(own))["model"] == model:
        return list(found["cases"])
    pooled = project.run(run_name).evaluation(partition)
    if fold is None or not pooled.exists():
        return None
    cards = [project.run(run_name, number).model / "model.json" for number in project.folds]
    if not all(card.exists() for card in cards):
        return None
    found = read_json(pooled)
    if found["model"] != digest_json([read_json(card)["sha256"] for card in cards]):
        return None
    return [row for row in found["cases"] if row.get("fold") == fold]


def judged_cases(
    question: Question, rows: Sequence[Row], found: Mapping[str, CaseUncertainty], cases: Sequence[Case], aggregation: str
) -> list[Judged]:
    """Each answer with its error; cases whose answers were put together to one have the mean of their uncertainties."""
    together = _units(question, cases, aggregation)
    judged = []
    for row in rows:
        read = [found[case_id] for case_id in together.get(row["case_id"], ()) if case_id in found]
        error = _error(question, row)
        if not read or error is None:
            continue
        unsure = {name: _mean([one.values[name] for one in read]) for name in read[0].values if name != "confidence"}
        sure = _confidence(question, row, read[0])
        unsure |= {} if sure is None else {PLAIN: 1 - sure}
        wrong = error > 0 if question.task == "classification" or question.is_of_objects else None
        judged.append(Judged(row["case_id"], row["patient_id"], error, wrong, unsure))
    return judged


def _units(question: Question, cases: Sequence[Case], aggregation: str) -> dict[str, list[str]]:
    """Case -> all cases of its unit of analysis."""
    if aggregation == "none":
        return {case.case_id: [case.case_id] for case in cases}
    by_unit: dict[str, list[str]] = {}
    names = units_of(question, cases)
    for case, unit in zip(cases, names, strict=True):
        by_unit.setdefault(unit, []).append(case.case_id)
    return {case.case_id: by_unit[unit] for case, unit in zip(cases, names, strict=True)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _error(question: Question, row: Row) -> float | None:
    """None where the truth is not known, or nothing can be said of the answer."""
    if question.task == "classification":
        wrong = _wrong(question, row)
        return None if wrong is None else float(wrong)
    if question.task == "segmentation":
        return row["error"] if any(v is not None for k, v in row["scores"].items() if k.startswith("dice/")) else None
    if question.task == "regression":
        return row["error"] if any(value is not None for value in row["scores"].values()) else None
    return float(row["error"])


def _wrong(question: Question, row: Row) -> bool | None:
    """A call is wrong; of findings that may occur together, any."""
    truth = row["truth"]
    if question.exclusive:
        return None if truth is None else row["called"] != [truth]
    known = {name: value for name, value in truth.items() if value is not None and row["answer"][name] is not None}
    return any((name in row["called"]) != (value > 0.5) for name, value in known.items()) if known else None


def _confidence(question: Question, row: Row, one: CaseUncertainty) -> float | None:
    """The plain confidence: the probability of what was called; of findings that may occur together, the lowest."""
    if question.task != "classification":
        return one.values.get("confidence")
    answer, called = row["answer"], row["called"]
    if question.exclusive:
        return float(answer[called[0]]) if called else None
    known = [value if name in called else 1 - value for name, value in answer.items() if value is not None]
    return float(min(known)) if known else None


def judged_objects(rows: Sequence[Row], found: Mapping[str, CaseUncertainty]) -> tuple[list[Judged], int]:
    """Every called object: is it false? And how many could not be found again among the objects of the evaluation."""
    judged, lost = [], 0
    for row in rows:
        one = found.get(row["case_id"])
        listed = [each for each in row.get("objects", ()) if each["state"] != "missed"]
        for each in () if one is None else one.objects:
            same = [o for o in listed if o["class"] == each["class"] and _apart(o["box"], each["box"]) <= SAME]
            if not same:
                lost += 1
                continue
            is_false = same[0]["state"] == "false"
            unsure = {"not found again": 1 - each["share"], "score_sd": each["score_sd"], PLAIN: 1 - each["score"]}
            judged.append(Judged(row["case_id"], row["patient_id"], float(is_false), is_false, unsure))
    return judged, lost


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.abs(np.subtract(one, other)).max())
