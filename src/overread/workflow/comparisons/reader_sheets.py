"""The sheets beside the reads: the truth of the cases, and a model's answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.audit.readers.reads import ID_NAMES, PATIENT_NAMES
from overread.cohort.labels.values import NO, YES
from overread.cohort.sheet import Sheet, is_number, read_sheet, to_number
from overread.core.errors import OverreadError
from overread.evaluation.sources.foreign import no_patients_note

TRUTH_NAMES = ("truth", "label", "class", "diagnosis", "disease", "reference")
YES_OR_NO = YES | NO


@dataclass(frozen=True)
class Truth:
    """case_ids, patient_ids (N,); is_positive (N,) bool; what the disease is called."""

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    is_positive: np.ndarray
    positive: str
    notes: tuple[str, ...] = ()


def read_truth(path: Path, positive: str | None, patients: str | None, id_column: str | None) -> Truth:
    """A sheet with a row per case."""
    sheet = read_sheet(path)
    id_name = sheet.find(id_column) if id_column else _named(sheet.columns, ID_NAMES) or sheet.columns[0]
    patient = sheet.find(patients) if patients else _named(sheet.columns, PATIENT_NAMES)
    left = [c for c in sheet.columns if c not in (id_name, patient)]
    column = left[0] if len(left) == 1 else _named(left, TRUTH_NAMES)
    if column is None:
        raise OverreadError(
            f"Which column of {path.name} is the truth is not clear: {', '.join(left) or 'there is none'}.",
            "call it 'truth', or leave one column beside the id and the patient",
        )
    cases = _ids(sheet, id_name)
    is_positive = as_calls(np.array(sheet.column(column), dtype=object)[:, None], positive, f"{column} of {path.name}")[:, 0]
    names = sheet.column(patient) if patient else cases
    blank = [case for case, name in zip(cases, names, strict=True) if name is None]
    if blank:
        raise OverreadError(f"{path.name}: {len(blank)} cases have no {patient}, {blank[0]} for example.", "complete it")
    notes = () if patient else (no_patients_note(len(cases)),)
    return Truth(tuple(cases), tuple(str(n) for n in names), is_positive > 0.5, positive or column, notes)


def model_scores(path: Path, truth: Truth, id_column: str | None) -> np.ndarray:
    """(N,) probabilities of the disease, in the order of the truth."""
    sheet = read_sheet(path)
    id_name = sheet.find(id_column) if id_column else _named(sheet.columns, ID_NAMES) or sheet.columns[0]
    numeric = [c for c in sheet.columns if c != id_name and all(x is not None and is_number(x) for x in sheet.column(c))]
    column = numeric[0] if len(numeric) == 1 else _named(numeric, (truth.positive.casefold(),))
    if column is None:
        raise OverreadError(
            f"Which column of {path.name} is the probability of {truth.positive} is not clear: {', '.join(numeric) or 'none'}.",
            f"call it '{truth.positive}', with a number in every row",
        )
    cells = dict(zip(_ids(sheet, id_name), sheet.column(column), strict=True))
    missing = [case for case in truth.case_ids if case not in cells]
    if missing:
        raise OverreadError(
            f"{len(missing)} of {len(truth.case_ids)} cases have no answer in {path.name}, {missing[0]} for example.",
            "add the answers, or take these cases out of the truth and say so in your text",
        )
    return np.array([to_number(str(cells[case])) for case in truth.case_ids])


def as_calls(cells: np.ndarray, positive: str | None, where: str) -> np.ndarray:
    """Cells of yes and no, 1 and 0, or the positive class and another, as 1 and 0 in the same shape."""
    written = {c for c in cells.ravel() if c is not None}
    if not filled(cells).all():
        raise OverreadError(f"{where}: a cell is blank.", "fill it in, or take the case out and say so in your text")
    plain = {str(c).casefold() for c in written}
    if positive is not None and positive.casefold() in plain:
        return np.array([[float(str(c).casefold() == positive.casefold()) for c in row] for row in cells])
    if not plain <= YES_OR_NO:
        raise OverreadError(
            f"{where} holds {', '.join(sorted(str(w) for w in written)[:6])}: which one is positive is not said.",
            "say --positive CLASS",
        )
    return np.array([[float(str(c).casefold() in YES) for c in row] for row in cells])


def filled(cells: np.ndarray) -> np.ndarray:
    """Where a table of cells is not blank, in its shape."""
    return np.array([cell is not None for cell in cells.ravel()], dtype=bool).reshape(cells.shape)


def _ids(sheet: Sheet, name: str) -> list[str]:
    cases = sheet.column(name)
    blank, twice = [c for c in cases if c is None], {c for c in cases if cases.count(c) > 1}
    if blank or twice:
        what = "an id is blank" if blank else f"the id {sorted(str(c) for c in twice)[0]} occurs twice"
        raise OverreadError(f"{sheet.path.name}: {what}.", "give every case one row")
    return [str(c) for c in cases]


def _named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((c for name in names for c in columns if c.casefold().strip() == name), None)
