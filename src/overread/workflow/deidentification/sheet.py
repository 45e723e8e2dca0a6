"""The sheet of labels under the new identifiers, so that the labels stay usable.

Cells that are an original identifier, a file or a folder of an exam become the new one. A column stays where it holds
numbers or few distinct harmless words; dates move like the patient's dates or go; anything else goes and is named.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from overread.cohort.sheet import as_date, is_number, read_sheet
from overread.core.errors import OverreadError
from overread.imaging.deidentify.dates import OLDEST, shifted_date
from overread.imaging.deidentify.names import split_name
from overread.imaging.deidentify.settings import Done
from overread.imaging.deidentify.text import harmless_words
from overread.record.files import write_text
from overread.workflow.private import IDENTIFYING

MOST_WORDS = 30  # distinct values of a column of categories
LONGEST_WORD = 40
PATIENT_WORDS = ("age", "alter")


@dataclass(frozen=True)
class SheetResult:
    """columns that were kept, replaced and left out; rows that fitted an image, and those that did not."""

    kept: tuple[str, ...]
    replaced: tuple[str, ...]
    left_out: tuple[str, ...]
    rows: int
    rows_left_out: int


def write_sheet(path: Path, written: Path, done: Sequence[Done], keep: Sequence[str] = ()) -> SheetResult:
    """Write the sheet with new identifiers.

    keep  columns that the user declares harmless
    """
    sheet = read_sheet(path)
    for name in keep:
        sheet.find(name)
    new = new_identifiers(done)
    days = _days(done)
    cells = {column: list(sheet.column(column)) for column in sheet.columns}
    ids = [column for column in sheet.columns if _is_identifier(cells[column], new)]
    if not ids:
        raise OverreadError(
            f"No column of {path.name} holds identifiers of the images: patient ids, study UIDs, accession numbers or paths.",
            "add a column with one of them, or leave --sheet out",
        )
    rows = [k for k in range(len(sheet.rows)) if any(_found(cells[column][k], new) for column in ids)]
    columns: dict[str, list[str]] = {}
    for column in sheet.columns:
        values = [cells[column][k] for k in rows]
        if column in ids:
            columns[column] = [_found(value, new) or "" for value in values]
        elif (kept := _kept(column, values, keep, days, [_patient(cells, ids, k, done, new) for k in rows])) is not None:
            columns[column] = kept
    _write(written, columns, len(rows))
    kept_columns = tuple(c for c in columns if c not in ids)
    left_out = tuple(c for c in sheet.columns if c not in columns)
    return SheetResult(kept_columns, tuple(ids), left_out, len(rows), len(sheet.rows) - len(rows))


def new_identifiers(done: Sequence[Done]) -> dict[str, str]:
    """Everything that a sheet may call an exam or a patient -> its new name; what is ambiguous is left out."""
    found: dict[str, set[str]] = {}

    def note(original: str, new: str) -> None:
        if original:
            found.setdefault(original, set()).add(new)

    for one in done:
        note(one.source, one.written)
        parts = PurePosixPath(one.written).parts
        if one.identity is not None:
            who = one.identity
            for original, new in zip(
                (who.study, who.series, who.instance), (*parts[1:3], PurePosixPath(parts[-1]).stem), strict=True
            ):
                note(original, new)
            note(who.patient_id, one.patient)
            note(who.name, one.patient)
            note(who.accession, one.facts.get("accession", ""))
        else:
            note(PurePosixPath(one.source).name, PurePosixPath(one.written).name)
            note(split_name(PurePosixPath(one.source).name)[0], split_name(PurePosixPath(one.written).name)[0])
    certain = {original: next(iter(new)) for original, new in found.items() if len(new) == 1}
    return {**_folders(done), **certain}


def _folders(done: Sequence[Done]) -> dict[str, str]:
    """Folders, by name and by path, that hold one exam or one patient -> the folder of that exam or patient."""
    below: dict[str, set[tuple[str, str]]] = {}
    for one in done:
        if one.identity is None:
            continue
        parts = PurePosixPath(one.source).parts[:-1]
        patient, study = PurePosixPath(one.written).parts[:2]
        for depth in range(1, len(parts) + 1):
            for name in {parts[depth - 1], "/".join(parts[:depth])}:
                below.setdefault(name, set()).add((patient, study))
    result = {}
    for name, exams in below.items():
        if len(exams) == 1:
            patient, study = next(iter(exams))
            result[name] = f"{patient}/{study}" if "/" in name else study
        elif len({patient for patient, _ in exams}) == 1:
            result[name] = next(iter(exams))[0]
    return result


def _found(cell: str | None, new: Mapping[str, str]) -> str | None:
    if cell is None:
        return None
    text = cell.strip()
    return new.get(text) or new.get(text.replace("\\", "/").strip("./"))


def _is_identifier(cells: Sequence[str | None], new: Mapping[str, str]) -> bool:
    """A column whose filled cells are mostly identifiers of these images, and not a handful of repeated words."""
    filled = [cell for cell in cells if cell is not None]
    return bool(filled) and sum(_found(cell, new) is not None for cell in filled) * 2 > len(filled)


def _patient(
    cells: Mapping[str, Sequence[str | None]], ids: Sequence[str], k: int, done: Sequence[Done], new: Mapping[str, str]
) -> str:
    """The new id of the patient of a row."""
    patients = {one.patient for one in done if one.patient}
    for column in ids:
        value = _found(cells[column][k], new) or ""
        if value in patients:
            return value
        if value.split("/")[0] in patients:
            return value.split("/")[0]
    return ""


def _days(done: Sequence[Done]) -> dict[str, int]:
    return {one.patient: one.days for one in done if one.days}


def _kept(
    column: str, values: Sequence[str | None], keep: Sequence[str], days: Mapping[str, int], patients: Sequence[str]
) -> list[str] | None:
    """The cells of a column that may stay; None where it has to go."""
    filled = [value for value in values if value is not None]
    if column in keep:
        return [value or "" for value in values]
    if IDENTIFYING.search(column) and not filled:
        return None
    if filled and all(as_date(value) is not None for value in filled):
        return _moved(values, days, patients)
    if IDENTIFYING.search(column):
        return None
    if filled and all(is_number(value) for value in filled):
        is_age = column.casefold().strip() in PATIENT_WORDS
        return [_capped(value) if is_age and value else value or "" for value in values]
    distinct = {value.casefold() for value in filled}
    is_category = len(distinct) <= MOST_WORDS and all(_is_harmless(value) for value in distinct)
    return [value or "" for value in values] if is_category else None


def _is_harmless(value: str) -> bool:
    return len(value) <= LONGEST_WORD and all(
        word in harmless_words() or is_number(word) for word in value.replace("_", " ").split()
    )


def _moved(values: Sequence[str | None], days: Mapping[str, int], patients: Sequence[str]) -> list[str] | None:
    if not all(patient in days for patient, value in zip(patients, values, strict=True) if value):
        return None
    moved = []
    for patient, value in zip(patients, values, strict=True):
        found = as_date(value) if value else None
        text = shifted_date(found.strftime("%Y%m%d"), days[patient]) if found else None
        moved.append(f"{text[:4]}-{text[4:6]}-{text[6:]}" if text else "")
    return moved


def _capped(value: str) -> str:
    return str(OLDEST) if float(value.replace(",", ".")) >= OLDEST else value


def _write(path: Path, columns: Mapping[str, Sequence[str]], rows: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([values[k] for values in columns.values()] for k in range(rows))
    write_text(path, text.getvalue())
