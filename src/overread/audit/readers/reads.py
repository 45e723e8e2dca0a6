"""The reads of several readers, from sheets: one per reader, or one sheet with a column that names the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.sheet import Sheet, is_number, read_sheet, to_number
from overread.core.errors import OverreadError

ID_NAMES = ("case_id", "case", "id", "image", "file", "filename", "study", "exam", "accession")
PATIENT_NAMES = ("patient_id", "patient", "patientid", "subject")
READER_NAMES = ("reader", "reader_id", "rater", "annotator", "observer")
FEWEST_NUMBERS = 6  # different whole numbers, from which a column is taken for a measurement and not for codes

Row = Mapping[str, str | None]


@dataclass(frozen=True)
class Reads:
    """What each reader wrote for each case.

    cells           column -> (N, R) cells, None where a reader left it blank or did not read the case
    patients_known  a column or a sheet names the patients; else each case counts as one
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    readers: tuple[str, ...]
    cells: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()
    patients_known: bool = False

    def numbers(self, column: str) -> np.ndarray | None:
        """(N, R) floats, NaN where blank; None where the column holds categories."""
        written = {c for c in self.cells[column].ravel() if c is not None}
        if not written or not all(is_number(c) for c in written):
            return None
        if len(written) < FEWEST_NUMBERS and all(to_number(c).is_integer() for c in written):
            return None
        return np.array([[np.nan if c is None else to_number(c) for c in row] for row in self.cells[column]])


def read_reads(paths: Mapping[str, Path], *, id_column: str | None = None, patient_column: str | None = None) -> Reads:
    """Reader -> sheet, or "" -> one sheet in which a column names the reader."""
    if set(paths) == {""}:
        sheet = read_sheet(paths[""])
        column = _named(sheet, READER_NAMES)
        if column is None:
            raise OverreadError(
                f"{sheet.path.name} has no column that names the reader ({', '.join(READER_NAMES)}); "
                f"it has {', '.join(sheet.columns)}.",
                "name that column 'reader', or give one sheet per reader: --readers ANNA=a.csv --readers BEN=b.csv",
            )
        tables = _by_reader(sheet, column, id_column)
    else:
        tables = {name: _table(read_sheet(path), id_column) for name, path in paths.items()}
    if len(tables) < 2:
        raise OverreadError(f"There is one reader only, {next(iter(tables), 'none')}.", "give the reads of two readers or more")
    return _joined(tables, patient_column)


@dataclass(frozen=True)
class _Table:
    columns: tuple[str, ...]
    rows: Mapping[str, Row]
    notes: tuple[str, ...]


def _table(sheet: Sheet, id_column: str | None) -> _Table:
    column = _id_column(sheet, id_column)
    rows: dict[str, Row] = {}
    for cells, line in zip(sheet.rows, sheet.lines, strict=True):
        _add(rows, dict(zip(sheet.columns, cells, strict=True)), column, sheet, line)
    return _Table(tuple(c for c in sheet.columns if c != column), rows, sheet.notes)


def _by_reader(sheet: Sheet, reader_column: str, id_column: str | None) -> dict[str, _Table]:
    column = _id_column(sheet, id_column)
    rows: dict[str, dict[str, Row]] = {}
    for cells, line in zip(sheet.rows, sheet.lines, strict=True):
        values = dict(zip(sheet.columns, cells, strict=True))
        reader = values.pop(reader_column)
        if reader is None:
            raise OverreadError(f"{sheet.path.name}, line {line}: the reader is blank.", "say who read this case")
        _add(rows.setdefault(reader, {}), values, column, sheet, line)
    columns = tuple(c for c in sheet.columns if c not in (column, reader_column))
    return {reader: _Table(columns, rows[reader], sheet.notes) for reader in sorted(rows)}


def _add(rows: dict[str, Row], values: dict[str, str | None], column: str, sheet: Sheet, line: int) -> None:
    case = values.pop(column)
    if case is None:
        raise OverreadError(f"{sheet.path.name}, line {line}: the id ('{column}') is blank.", "give every case an id")
    if case in rows:
        raise OverreadError(
            f"{sheet.path.name}, line {line}: case {case} occurs twice for one reader.",
            "keep one row per case and reader; a second session of a reader is another reader (ANNA-2)",
        )
    rows[case] = values


def _joined(tables: Mapping[str, _Table], patient_column: str | None) -> Reads:
    readers = tuple(tables)
    cases = sorted({case for table in tables.values() for case in table.rows})
    columns = [c for c in next(iter(tables.values())).columns if all(c in table.columns for table in tables.values())]
    patients = patient_column or next((c for c in columns if c.casefold().strip() in PATIENT_NAMES), None)
    if patient_column is not None and patient_column not in columns:
        raise OverreadError(f"Not every reader's sheet has the column '{patient_column}'.", f"they share {', '.join(columns)}")
    shared = [c for c in columns if c != patients]
    if not shared:
        raise OverreadError(
            "The readers' sheets have no column in common besides the id.", "name the columns alike in all of them"
        )
    cells = {c: np.array([[_cell(tables[r], case, c) for r in readers] for case in cases], dtype=object) for c in shared}
    single = sum(sum(case in table.rows for table in tables.values()) < 2 for case in cases)
    notes = [note for table in tables.values() for note in table.notes]
    notes += [f"{single} of {len(cases)} cases were read by one reader only; they tell nothing of agreement."] if single else []
    named = _patients(tables, cases, patients)
    return Reads(tuple(cases), named, readers, cells, tuple(dict.fromkeys(notes)), patients is not None)


def _cell(table: _Table, case: str, column: str) -> str | None:
    row = table.rows.get(case)
    return None if row is None else row[column]


def _patients(tables: Mapping[str, _Table], cases: Sequence[str], column: str | None) -> tuple[str, ...]:
    if column is None:
        return tuple(cases)
    found = []
    for case in cases:
        said = {c for table in tables.values() if (c := _cell(table, case, column)) is not None}
        if len(said) > 1:
            raise OverreadError(
                f"Case {case} belongs to {' and '.join(sorted(said))} in different sheets.", "correct the patient"
            )
        found.append(said.pop() if said else case)
    return tuple(found)


def _id_column(sheet: Sheet, given: str | None) -> str:
    return sheet.find(given) if given else _named(sheet, ID_NAMES) or sheet.columns[0]


def _named(sheet: Sheet, names: Sequence[str]) -> str | None:
    return next((c for name in names for c in sheet.columns if c.casefold().strip() == name), None)
