"""Clinical columns of the sheet as a network will read them: what each holds, fitted on the training cases alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.numbers import as_number
from overread.core.case import Case
from overread.core.clinical import CATEGORY, NUMBER, Clinical, Variable
from overread.core.errors import OverreadError

MOST_LEVELS = 12  # words of one column that are told apart
FEWEST = 3  # training cases that hold a word, below which it counts as "other": a rare word may name a patient
PER_CASE = ("classification", "regression")


def fit_clinical(cohort: Cohort, columns: Sequence[str]) -> Clinical | None:
    """What a network needs to know of these columns; None where none is named.

    A column is of numbers where most training cases that have a value have a number there; text beside is then refused, in
    whatever partition, for a patient without the value would be read as if it were missing.
    """
    if not columns:
        return None
    task = cohort.question.task
    if task not in PER_CASE:
        raise OverreadError(
            f"[training] clinical names {', '.join(columns)}, and this project asks for {task}: clinical values are read beside "
            "an image for one answer per case.",
            "take the line out, or ask for classification or regression",
        )
    refuse_unkept(cohort, columns)
    return Clinical(tuple(_fitted(cohort, column) for column in dict.fromkeys(columns)))


def refuse_unkept(cohort: Cohort, columns: Iterable[str]) -> None:
    """Stop at a column that the cohort did not keep, with the nearest that it did."""
    known = list(dict.fromkeys(name for case in cohort.cases for name in case.covariates))
    for column in columns:
        if column not in known:
            near = get_close_matches(column, known, 1)
            raise OverreadError(
                f"The cohort keeps no column '{column}'." + (f" Did you mean '{near[0]}'?" if near else ""),
                f"it keeps {', '.join(known)}; to keep another one give --covariate COLUMN to `overread init`"
                if known
                else "give --covariate COLUMN to `overread init` to keep one",
            )


def _fitted(cohort: Cohort, column: str) -> Variable:
    texts = cells(cohort.of("training"), column)
    if not texts:
        raise OverreadError(
            f"No training case has a value in '{column}', so nothing can be learned from it.",
            "take the column out of [training] clinical, or fill it in the sheet and run `overread update`",
        )
    numbers = {case_id: number for case_id, text in texts.items() if (number := _number(text)) is not None}
    if 2 * len(numbers) <= len(texts):
        return _category(column, list(texts.values()))
    _refuse_text(cohort, column)
    values = np.array(list(numbers.values()), dtype=np.float64)
    spread = float(values.std())
    mean, low, high = (float(v) for v in (values.mean(), values.min(), values.max()))
    return Variable(column, NUMBER, mean, spread if spread > 0 else 1.0, low, high, known=len(values))


def _category(column: str, texts: Sequence[str]) -> Variable:
    counts = Counter(text.casefold() for text in texts)
    written = {text.casefold(): text for text in reversed(texts)}
    levels = sorted(written[word] for word, count in counts.items() if count >= FEWEST)
    if len(levels) > MOST_LEVELS:
        raise OverreadError(
            f"Column '{column}' holds {len(levels)} different words in the training cases; {MOST_LEVELS} at most are told apart.",
            "group them in the sheet, or leave the column out",
        )
    if not levels:
        raise OverreadError(
            f"No word of column '{column}' is shared by {FEWEST} training cases, so nothing general can be learned from it.",
            "group them in the sheet, or leave the column out",
        )
    return Variable(column, CATEGORY, levels=tuple(levels), known=len(texts))


def _refuse_text(cohort: Cohort, column: str) -> None:
    odd = {case_id: text for case_id, text in cells(cohort.cases, column).items() if _number(text) is None}
    if odd:
        case_id, text = next(iter(odd.items()))
        raise OverreadError(
            f"Column '{column}' holds numbers, and text in {len(odd)} of {len(cohort.cases)} cases: '{text}' of {case_id}.",
            "write a number there or leave the cell empty in the sheet, then run `overread update`",
        )


def cells(cases: Iterable[Case], column: str) -> dict[str, str]:
    """case_id -> the cell of a column, of the cases that have something there."""
    found = {case.case_id: cell(case.covariates, column) for case in cases}
    return {case_id: text for case_id, text in found.items() if text}


def cell(row: Mapping[str, Any], name: str) -> str:
    """The cell of a column as text, whatever the case of the column's name; "" where there is none."""
    value = row.get(name)
    if value is None:
        value = next((v for k, v in row.items() if str(k).strip().casefold() == name.strip().casefold()), None)
    return "" if value is None or value != value else str(value).strip()


def _number(text: str) -> float | None:
    return as_number(text, decimal_comma=True)
