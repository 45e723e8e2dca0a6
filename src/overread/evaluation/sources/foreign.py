"""Answers of any program, and their truths, as sheets: ids, patients, classes, probabilities, numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.cohort.labels.values import NO, YES
from overread.cohort.sheet import Sheet, is_number, read_sheet, to_number
from overread.core.errors import OverreadError
from overread.core.kinds import Findings, Kind, Measurements
from overread.core.question import Question

ID_NAMES = ("case_id", "case", "id", "study", "exam", "image", "file", "filename", "name", "accession")
PATIENT_NAMES = ("patient", "patient_id", "patientid", "subject")


@dataclass(frozen=True)
class ForeignCases:
    """Truths and answers matched by id, in the order of the ids."""

    question: Question
    ids: tuple[str, ...]
    patients: tuple[str, ...]
    truths: tuple[Kind, ...]
    answers: tuple[Kind, ...]
    notes: tuple[str, ...]
    understood: tuple[str, ...] = ()  # how the sheets were read; may quote their titles and cells


@dataclass(frozen=True)
class _Table:
    """A sheet by id: cells of every other column."""

    path: Path
    id_column: str
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str | None]]
    notes: tuple[str, ...]


def read_foreign(
    truth: Path,
    answers: Path,
    task: str,
    *,
    id_column: str | None = None,
    patients: str | Path | None = None,
    positive: str | None = None,
    classes: Sequence[str] | None = None,
    ordered: bool = False,
) -> ForeignCases:
    """Read and match two sheets.

    truth      id, and one column of class names; or one column of 1 and 0 per finding; or one column per quantity
    answers    id, and one column of probabilities per class (for two classes one column, of the positive one, will do);
               or one column per quantity
    patients   column of the truth sheet that names the patient, or a sheet of id and patient
    positive   the class that counts as disease where there are two
    classes    names of the columns to evaluate, or the classes that the one column may hold; by default the columns of the
               truth sheet that the answers have too, or its only one
    ordered    the classes are grades, in the order of `classes`
    """
    true, answered = _read(truth, id_column), _read(answers, id_column)
    who, patient_column, notes = _patients(true, patients)
    names, class_names = _truth_columns(true, answered, patient_column, classes)
    unread = [c for c in true.columns if c not in (*names, patient_column)]
    notes += [f"Columns of {truth.name} that were not evaluated: {', '.join(unread)}."] if unread else []
    ids = match_ids(sorted(true.rows), sorted(answered.rows), truth.name, answers.name)
    extra = len(answered.rows) - len(ids)
    notes += [f"{extra} answers have no truth and are left out."] if extra else []
    if task == "regression":
        question = Question("regression", tuple(names))
        truths: list[Kind] = [Measurements({n: _number(true, i, n) for n in names}) for i in ids]
        replies: list[Kind] = [
            Measurements({n: _number(answered, i, _find(answered, n), needed=True) for n in names}) for i in ids
        ]
    else:
        question = _classes(true, names, positive, class_names, ordered)
        truths = [_true_finding(true, i, names, question) for i in ids]
        replies = [_probabilities(answered, i, question) for i in ids]
    by_case = tuple(who.get(i) or i for i in ids)
    understood = (*true.notes, *answered.notes)
    return ForeignCases(question, tuple(ids), by_case, tuple(truths), tuple(replies), tuple(notes), understood)


def _truth_columns(
    true: _Table, answered: _Table, patient_column: str | None, classes: Sequence[str] | None
) -> tuple[list[str], Sequence[str] | None]:
    """The columns that hold the truth, and the classes that may occur in a single one where they were named."""
    columns = [c for c in true.columns if c != patient_column]
    if not columns:
        raise OverreadError(f"{true.path.name} has no column besides the id and the patient; the truth is missing.", "add it")
    if classes is not None and len(columns) == 1 and not {c.casefold() for c in classes} <= {columns[0].casefold()}:
        return columns, classes
    if classes is not None:
        return [_find(true, name) for name in classes], None
    replied = {c.casefold().strip() for c in answered.columns}
    shared = [c for c in columns if c.casefold().strip() in replied]
    if len(columns) == 1 or shared:
        return shared or columns, None
    raise OverreadError(
        f"{true.path.name} has several columns ({', '.join(columns)}) and {answered.path.name} has none of these names; "
        "which one holds the truth is not said.",
        f"name it, for example --class {columns[0]}",
    )


def match_ids(truths: Sequence[str], answers: Sequence[str], truth_name: str, answers_name: str) -> list[str]:
    """The ids to evaluate: every truth needs an answer, or the hard cases could be left out unseen."""
    missing = sorted(set(truths) - set(answers))
    if missing:
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise OverreadError(
            f"{len(missing)} of {len(truths)} cases of {truth_name} have no answer in {answers_name}: {shown}.",
            "add the answers, or take these cases out of the truth and say so in your text",
        )
    if not truths:
        raise OverreadError(f"{truth_name} holds no cases.", "give a truth with at least one case")
    return list(truths)


def read_patients(path: Path, ids: Sequence[str]) -> dict[str, str]:
    """A sheet of id and patient; every id must have one."""
    table = _read(path, None)
    if not table.columns:
        raise OverreadError(f"{path.name} has one column only; id and patient were expected.", "add the patient")
    column = next((c for c in table.columns if "patient" in c.casefold()), table.columns[0])
    found = {i: str(row[column]) for i, row in table.rows.items() if row[column] is not None}
    missing = [i for i in ids if i not in found]
    if missing:
        raise OverreadError(
            f"{len(missing)} cases have no patient in {path.name}, {missing[0]} for example.", "complete the sheet"
        )
    return found


def no_patients_note(cases: int) -> str:
    return (
        f"No patients were named, so each of the {cases} cases counts as its own patient. If a patient has several cases, "
        "these intervals are too narrow."
    )


def _read(path: Path, id_column: str | None) -> _Table:
    sheet = read_sheet(path)
    column = sheet.find(id_column) if id_column else _id_column(sheet)
    rows: dict[str, Mapping[str, str | None]] = {}
    for cells, line in zip(sheet.rows, sheet.lines, strict=True):
        values = dict(zip(sheet.columns, cells, strict=True))
        name = values.pop(column)
        if name is None:
            raise OverreadError(f"{path.name}, line {line}: the id ('{column}') is blank.", "give every case an id")
        if name in rows:
            raise OverreadError(f"{path.name}, line {line}: the id {name} occurs twice.", "keep one row per case")
        rows[name] = values
    return _Table(path, column, tuple(c for c in sheet.columns if c != column), rows, sheet.notes)


def _id_column(sheet: Sheet) -> str:
    named = [c for name in ID_NAMES for c in sheet.columns if c.casefold().strip() == name]
    return named[0] if named else sheet.columns[0]


def _patients(true: _Table, patients: str | Path | None) -> tuple[dict[str, str], str | None, list[str]]:
    """id -> patient, the column that said so, and notes."""
    if patients is None:
        likely = [c for c in true.columns if c.casefold().strip() in PATIENT_NAMES]
        if not likely:
            return {}, None, [no_patients_note(len(true.rows))]
        patients = likely[0]
    if str(patients) in true.columns:
        column = str(patients)
        blank = [i for i, row in true.rows.items() if row[column] is None]
        if blank:
            raise OverreadError(f"{true.path.name}: {len(blank)} cases have no {column}, {blank[0]} for example.", "complete it")
        return {i: str(row[column]) for i, row in true.rows.items()}, column, []
    path = Path(patients)
    if not path.exists():
        raise OverreadError(
            f"'{patients}' is neither a column of {true.path.name} ({', '.join(true.columns)}) nor a file.",
            "name the patient column, or give a sheet of id and patient",
        )
    return read_patients(path, list(true.rows)), None, []


def _find(table: _Table, name: str) -> str:
    alike = [c for c in table.columns if c.casefold().strip() == name.casefold().strip()]
    if len(alike) != 1:
        raise OverreadError(
            f"{table.path.name} has no column '{name}'; it has {', '.join(table.columns)}.", "name the columns as in the truth"
        )
    return alike[0]


def _number(table: _Table, case: str, column: str, *, needed: bool = False) -> float | None:
    cell = table.rows[case][column]
    if cell is None and not needed:
        return None
    if cell is None or not is_number(cell):
        shown = "blank" if cell is None else f"'{cell}'"
        raise OverreadError(f"{table.path.name}, case {case}, column '{column}': {shown} is not a number.", "correct the cell")
    return to_number(cell)


def _classes(true: _Table, names: Sequence[str], positive: str | None, classes: Sequence[str] | None, ordered: bool) -> Question:
    """One column of names: exclusive classes. Several columns of 1 and 0: findings that may occur together."""
    if ordered and (len(names) > 1 or classes is None):
        raise OverreadError(
            f"The grades of {true.path.name} have no order yet.", "name them from low to high, each with --class, in one column"
        )
    if len(names) > 1:
        return Question("classification", tuple(names), exclusive=False)
    values = {str(row[names[0]]) for row in true.rows.values() if row[names[0]] is not None}
    found = tuple(classes) if classes is not None else tuple(sorted(values))
    unknown = sorted(values - set(found))
    if unknown or len(found) < 2:
        raise OverreadError(
            f"The truth of {true.path.name}, column '{names[0]}', holds {', '.join(sorted(values))}; "
            f"expected {', '.join(found)}, and at least two classes.",
            "name all classes, each with --class, or correct the truth",
        )
    if len(found) == 2 and positive not in found:
        said = "which one is positive is not said" if positive is None else f"'{positive}', said to be positive, is neither"
        raise OverreadError(
            f"Two classes, {found[0]} and {found[1]}: {said}.",
            f"say --positive {found[1]}, for example",
        )
    return Question("classification", found, positive=positive, ordered=ordered)


def _true_finding(true: _Table, case: str, names: Sequence[str], question: Question) -> Findings:
    row = true.rows[case]
    if question.exclusive:
        label = row[names[0]]
        return Findings({c: None if label is None else float(c == label) for c in question.classes})
    values: dict[str, float | None] = {}
    for name in names:
        cell = row[name]
        plain = None if cell is None else cell.casefold()
        if plain is not None and plain not in YES | NO:
            raise OverreadError(
                f"{true.path.name}, case {case}, column '{name}': '{cell}' was found where 1 or 0 was expected.",
                "several truth columns are findings that are there (1) or not (0); for class names use one column",
            )
        values[name] = None if plain is None else float(plain in YES)
    return Findings(values)


def _probabilities(answered: _Table, case: str, question: Question) -> Findings:
    if question.is_binary and len(answered.columns) == 1:
        value = _number(answered, case, answered.columns[0], needed=True)
        assert value is not None
        return Findings({c: value if c == question.positive else 1 - value for c in question.classes})
    return Findings({c: _number(answered, case, _find(answered, c), needed=True) for c in question.classes})
