"""Clinical values given beside studies that are read: in words for one patient, or a sheet with a row for each study."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from overread.batches.clinical import level_of, told
from overread.cohort.clinical import cell
from overread.cohort.columns import infer_roles
from overread.cohort.draft import Draft
from overread.cohort.join import join_sheet
from overread.cohort.numbers import as_number
from overread.cohort.sheet import Sheet, read_sheet
from overread.core.clinical import NUMBER, Clinical, Variable
from overread.core.errors import OverreadError
from overread.reading.card import ModelCard
from overread.workflow.readings.exams import Exam

NEXT_PAIR = re.compile(r",(?=[^=,]+=)")  # a comma before "name=", not the decimal comma of "crp=1,5"


@dataclass(frozen=True)
class Given:
    """values  column -> value, of the one patient that is read
    sheet      a table with a row per study
    id_column  column of the sheet that names the study; found by its contents where None
    """

    values: Mapping[str, str] = field(default_factory=dict)
    sheet: Path | None = None
    id_column: str | None = None


def given(text: str | None, id_column: str | None = None) -> Given | None:
    """What ``--clinical`` says: "age=63,sex=F", or the path of a sheet."""
    if text is None:
        return None
    if "=" not in text or Path(text).exists():
        return Given(sheet=Path(text), id_column=id_column)
    values = {}
    for pair in NEXT_PAIR.split(text):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise OverreadError(
                f"--clinical '{text}' is neither a sheet nor a list of values.", "write age=63,sex=F or give a CSV file"
            )
        values[name.strip()] = value.strip()
    return Given(values)


def variables_of(card: ModelCard) -> tuple[Variable, ...]:
    """The clinical variables that a model reads; of an ensemble those of all members and of its gate, each once."""
    cards = [card, *(member.card for member in card.members), *([card.gate] if card.gate is not None else [])]
    found: dict[str, Variable] = {}
    for each in cards:
        for variable in each.preparation.clinical.variables if each.preparation.clinical is not None else ():
            found.setdefault(variable.name, variable)
    return tuple(found.values())


def with_clinical_values(exams: Sequence[Exam], card: ModelCard, what: Given | None) -> list[Exam]:
    """Each exam with what is known of its patient: what was given, else what the header of a DICOM image says."""
    variables = variables_of(card)
    if what is None or not exams:
        return list(exams)
    if not variables:
        raise OverreadError("This model reads images alone, and clinical values were given.", "leave --clinical out")
    if what.sheet is not None:
        return _from_sheet(exams, read_sheet(what.sheet), what.id_column, variables)
    names = {variable.name.casefold(): variable for variable in variables}
    for name in what.values:
        if name.casefold() not in names:
            near = get_close_matches(name, [variable.name for variable in variables], 1)
            raise OverreadError(
                f"The model reads no '{name}' beside the image." + (f" Did you mean '{near[0]}'?" if near else ""),
                f"it reads {', '.join(variable.name for variable in variables)}",
            )
    if len(exams) > 1:
        raise OverreadError(
            f"The clinical values are of one patient, and {len(exams)} studies were given.",
            "give a sheet with a row for each study, or read one study",
        )
    values = {names[name.casefold()].name: value for name, value in what.values.items()}
    told(values, Clinical(variables))  # text where a number is expected is refused here, before any image is opened
    return [replace(exams[0], clinical={**exams[0].clinical, **values})]


def _from_sheet(exams: Sequence[Exam], sheet: Sheet, id_column: str | None, variables: Sequence[Variable]) -> list[Exam]:
    drafts = [_draft(exam) for exam in exams]
    joined = join_sheet(sheet, drafts, id_column, side=None, day=None, several_rows=False)
    present = [v.name for v in variables if v.name.casefold() in {c.strip().casefold() for c in sheet.columns}]
    columns = infer_roles(sheet, joined.column, {}, present).covariates
    columns = {**columns, **{name: sheet.find(name) for name in present}}
    wanted = [variable.name for variable in variables if variable.name in columns]
    if not wanted:
        raise OverreadError(
            f"The sheet {sheet.path.name} has no column that the model reads "
            f"({', '.join(variable.name for variable in variables)}); it has {', '.join(sheet.columns)}.",
            "name the columns as in the sheet that the model learned from",
        )
    rows = [{name: value for name in wanted if (value := joined.cell(k, columns[name])) is not None} for k in range(len(exams))]
    found = []
    for k, (exam, row) in enumerate(zip(exams, rows, strict=True)):
        lacking = () if k in joined.rows else (f"the sheet {sheet.path.name} has no row for this study",)
        found.append(replace(exam, clinical={**exam.clinical, **row}, notes=(*exam.notes, *lacking)))
    return found


def _draft(exam: Exam) -> Draft:
    """What a sheet may call an exam."""
    files = [file for reference in exam.references for file in reference.files]
    own = exam.draft or Draft(exam.name, (), ())
    return replace(own, name=exam.name, aliases=tuple(dict.fromkeys([*own.aliases, exam.name, *files])))


def read_values(row: Mapping[str, Any], variables: Sequence[Variable]) -> dict[str, str | None]:
    """What the model was told of each variable, as written; None where nothing is known."""
    return {variable.name: cell(row, variable.name) or None for variable in variables}


def remarks(row: Mapping[str, Any], variables: Sequence[Variable]) -> tuple[str, ...]:
    """What is to be said of an answer: values that are missing, and those of a kind that training did not hold."""
    said = []
    lacking = [name for name, value in read_values(row, variables).items() if value is None]
    if lacking:
        said.append(f"the model also reads {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} missing here")
    for variable in variables:
        text = cell(row, variable.name)
        if text and variable.kind == NUMBER:
            number = as_number(text, decimal_comma=True)
            if number is not None and not variable.low <= number <= variable.high:
                said.append(f"{variable.name} {number:g} lies outside of training ({variable.low:g} to {variable.high:g})")
        elif text and level_of(text, variable.levels) is None:
            said.append(f"{variable.name} '{text}' did not occur in training ({', '.join(variable.levels)}); it counts as other")
    return tuple(said)
