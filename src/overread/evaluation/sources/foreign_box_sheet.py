"""Two sheets of boxes: a row per object with case, class, x0, y0, x1, y1 (z0, z1 in volumes), and a score in the answers.

Coordinates are pixel edges, as in COCO: the first pixel reaches from 0 to 1, so a box around it alone is 0, 0, 1, 1. A row of
the truth without class and coordinates names a case that is known to hold nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.sheet import Sheet, is_number, read_sheet, to_number
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes
from overread.core.question import Question
from overread.evaluation.sources.foreign import ID_NAMES, PATIENT_NAMES
from overread.evaluation.sources.objects_file import Objects
from overread.evaluation.sources.pair_of_objects import ObjectPairs

FLAT = ("x0", "y0", "x1", "y1")
DEEP = ("z0", "z1")
EDGE = 0.5  # a pixel edge x lies at index x - 0.5


@dataclass(frozen=True)
class _Rows:
    """case -> its objects: (class, score, (z0, y0, x0, z1, y1, x1) as pixel edges); and case -> patient."""

    path: Path
    cases: Mapping[str, Sequence[tuple[str, float, tuple[float, ...]]]]
    patients: Mapping[str, str]
    is_deep: bool


def read_box_sheets(
    truth: Path,
    answers: Path,
    task: str,
    names: Sequence[str],
    patient_column: str | None,
    spacing: tuple[float, float, float] | None,
) -> ObjectPairs:
    """names  of the classes; empty takes those of the truth"""
    if task != "detection":
        raise OverreadError("A sheet of boxes holds no outlines.", "say --task detection, or give masks or COCO with outlines")
    true = _read(truth, patient_column, with_score=False)
    nobody = _Rows(answers, {}, {}, true.is_deep)
    answered = nobody if _is_header_alone(answers) else _read(answers, None, with_score=True)
    if true.is_deep != answered.is_deep:
        one, other = (answers, truth) if true.is_deep else (truth, answers)
        raise OverreadError(f"{other.name} has z0 and z1, {one.name} has not.", "give both, or none for pictures")
    classes = tuple(names) or tuple(sorted({name for rows in true.cases.values() for name, _, _ in rows}))
    if not classes:
        raise OverreadError(f"{truth.name} holds no object at all.", "name the classes, each with --class")
    _check_classes(true, classes)
    _check_classes(answered, classes)
    question = Question(task, classes)
    grids = {case: _grid([*true.cases[case], *answered.cases.get(case, ())], spacing, true.is_deep) for case in true.cases}
    truths: dict[str, Objects] = {case: _boxes(rows, grids[case]) for case, rows in true.cases.items()}
    anywhere = _grid([], spacing, true.is_deep)
    replies: dict[str, Objects] = {c: _boxes(rows, grids.get(c, anywhere)) for c, rows in answered.cases.items()}
    return ObjectPairs(question, truths, replies, lists_all=False, patients=true.patients)


def _read(path: Path, patient_column: str | None, *, with_score: bool) -> _Rows:
    sheet = read_sheet(path)
    case_column = next((c for name in ID_NAMES for c in sheet.columns if c.casefold().strip() == name), sheet.columns[0])
    patients = [c for c in sheet.columns if c.casefold().strip() in PATIENT_NAMES]
    who = sheet.find(patient_column) if patient_column else patients[0] if patients else None
    columns = {c.casefold().strip() for c in sheet.columns}
    absent = [name for name in ("class", *FLAT, *(["score"] if with_score else [])) if name not in columns]
    if absent:
        raise OverreadError(
            f"{path.name} has the columns {', '.join(sheet.columns)}; {', '.join(absent)} missing.",
            "write a row per object with case, class, x0, y0, x1, y1 (pixel edges; z0, z1 in volumes)"
            + (" and score" if with_score else ""),
        )
    is_deep = all(name in columns for name in DEEP)
    cases: dict[str, list[tuple[str, float, tuple[float, ...]]]] = {}
    patient: dict[str, str] = {}
    for cells, line in zip(sheet.rows, sheet.lines, strict=True):
        row = dict(zip(sheet.columns, cells, strict=True))
        case = row[case_column]
        if case is None:
            raise OverreadError(f"{path.name}, line {line}: the case ('{case_column}') is blank.", "give every row a case")
        objects = cases.setdefault(case, [])
        if who is not None and row[who] is not None and patient.setdefault(case, str(row[who])) != row[who]:
            raise OverreadError(
                f"{path.name}, line {line}: the case {case} belongs to the patients {patient[case]} and {row[who]}.",
                "give each case one patient",
            )
        found = _object(sheet, {k.casefold().strip(): v for k, v in row.items()}, line, is_deep, with_score)
        if found is not None:
            objects.append(found)
    without = [case for case in cases if case not in patient]
    if patient and without:
        raise OverreadError(
            f"{path.name}: {len(without)} of {len(cases)} cases have no {who}, {without[0]} for example.", "complete the column"
        )
    return _Rows(path, cases, patient, is_deep)


def _is_header_alone(path: Path) -> bool:
    """A detector that found nothing anywhere writes its header and no more."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return False
    lines = [line for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()]
    return len(lines) == 1 and "class" in lines[0].casefold()


def _object(
    sheet: Sheet, row: Mapping[str, str | None], line: int, is_deep: bool, with_score: bool
) -> tuple[str, float, tuple[float, ...]] | None:
    wanted = (*FLAT, *(DEEP if is_deep else ()))
    if row["class"] is None and all(row[name] is None for name in wanted):
        return None  # the case is known, and holds nothing
    where = f"{sheet.path.name}, line {line}"
    if row["class"] is None:
        raise OverreadError(f"{where}: a box without a class.", "name its class")
    number = {name: _number(row[name], where, name) for name in (*wanted, *(["score"] if with_score else []))}
    number = {"z0": 0.0, "z1": 1.0, **number}  # a picture is one pixel thick
    box = tuple(number[name] for name in ("z0", "y0", "x0", "z1", "y1", "x1"))
    if any(first >= last for first, last in zip(box[:3], box[3:], strict=True)):
        raise OverreadError(
            f"{where}: a box from {', '.join(f'{v:g}' for v in box[:3])} to {', '.join(f'{v:g}' for v in box[3:])} (z, y, x) "
            "encloses nothing.",
            "the second corner must lie behind the first; give corners, not width and height",
        )
    score = number.get("score", 1.0)
    if not 0 <= score <= 1:
        raise OverreadError(
            f"{where}: the score {score:g} is not between 0 and 1.", "give probabilities, no logits or percentages"
        )
    return str(row["class"]), score, box


def _number(cell: str | None, where: str, column: str) -> float:
    value = to_number(cell) if cell is not None and is_number(cell) else math.nan
    if not math.isfinite(value):
        shown = "blank" if cell is None else f"'{cell}'"
        raise OverreadError(f"{where}, column '{column}': {shown} is not a number.", "correct the cell")
    return value


def _check_classes(rows: _Rows, classes: Sequence[str]) -> None:
    unknown = sorted({name for objects in rows.cases.values() for name, _, _ in objects} - set(classes))
    if unknown:
        raise OverreadError(
            f"{rows.path.name} names the class '{unknown[0]}'; known are {', '.join(classes)}.",
            "name all classes, each with --class, or correct the sheet",
        )


def _grid(
    objects: Sequence[tuple[str, float, tuple[float, ...]]], spacing: tuple[float, float, float] | None, is_deep: bool
) -> Grid:
    """As large as the objects reach: the sheet does not say how large the image is."""
    ends = np.array([box[3:] for _, _, box in objects] or [(1, 1, 1)]).max(0)
    z, y, x = (max(1, math.ceil(end)) for end in ends)
    return Grid.from_spacing((z, y, x), spacing or (1.0, 1.0, 1.0), spacing_known=spacing is not None, is_planar=not is_deep)


def _boxes(objects: Sequence[tuple[str, float, tuple[float, ...]]], grid: Grid) -> Boxes:
    corners = np.array([box for _, _, box in objects], float).reshape(-1, 2, 3) - EDGE
    return Boxes(corners, tuple(name for name, _, _ in objects), np.array([score for _, score, _ in objects], float), grid)
