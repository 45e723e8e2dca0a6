"""Anybody's answers about time against what became of the patients: two sheets, no project, no model and no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.cohort.labels.values import NO, YES
from overread.cohort.sheet import Sheet, is_number, read_sheet, to_number
from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.sources.foreign import ID_NAMES, PATIENT_NAMES, match_ids, no_patients_note
from overread.evaluation.survival_table import survival_table
from overread.record.files import write_json

FORMAT = 1


def evaluate_survival(
    truth: Path | str,
    answers: Path | str,
    *,
    patients: str | None = None,
    id_column: str | None = None,
    edges: Sequence[float] | None = None,
    resamples: int = 2000,
    out: Path | str | None = None,
) -> dict[str, Any]:
    """Concordance, and Kaplan-Meier curves by group of risk.

    truth     sheet of id, `time` to the event or to when the patient was last seen, and `event` (1 or yes where it was seen)
    answers   sheet of id and `risk`; higher is an earlier event
    patients  column of the truth sheet that names the patient, if it is not called `patient`; each may have one row
    edges     where groups of risk part; thirds of these patients where not given
    out       file to write; it holds no ids
    """
    true, answered = (_by_id(read_sheet(Path(path)), id_column) for path in (truth, answers))
    ids = match_ids(sorted(true), sorted(answered), Path(truth).name, Path(answers).name)
    time = np.array([_number(true[i], "time", i, Path(truth).name) for i in ids])
    event = np.array([_yes(true[i], "event", i, Path(truth).name) for i in ids])
    risk = np.array([_number(answered[i], "risk", i, Path(answers).name) for i in ids])
    if edges is not None and not np.isfinite(list(edges)).all():
        raise OverreadError("An edge between groups of risk is no number.", "give finite numbers: --edge 0.2 --edge 0.5")
    named = patients or next((name for name in PATIENT_NAMES if name in true[ids[0]]), None)
    who = ids if named is None else [_cell(true[i], named, i, Path(truth).name) for i in ids]
    table = survival_table(risk, time, event, Patients.of(who), Rules(resamples=resamples), edges)
    extra = len(answered) - len(ids)
    notes = [no_patients_note(len(ids))] if named is None else []
    notes += [f"{extra} answers have no truth and are left out."] if extra else []
    result = {"format": FORMAT, "task": "survival", "partition": "answers", **table, "notes": notes}
    if out is not None:
        write_json(Path(out), result)
    return result


def survival_lines(result: Mapping[str, Any]) -> list[str]:
    """The result for people."""
    concordance = result["concordance"]
    lines = [
        f"{_counted(result['n_patients'], 'patient')}, of whom {result['n_events']} had the event.",
        f"{concordance['name']}: {Interval.from_dict(concordance['interval'])}",
        f"Groups of risk ({result['grouping']}), patients still under observation at "
        f"{', '.join(f'{t:g}' for t in result['at_risk_times'])}:",
    ]
    for group in result["groups"]:
        numbers = ", ".join(str(n) for n in group["at_risk"])
        counts = f"{_counted(group['n_patients'], 'patient')}, {_counted(group['n_events'], 'event')}"
        lines.append(f"  {group['group']}: {counts}, {_half(group['median_time'])}; {numbers}")
    if result["log_rank_p"] is not None:
        lines.append(f"Difference between the groups (log-rank test): p = {result['log_rank_p']:.2g}")
    return [*lines, *result["notes"]]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _half(median: Mapping[str, float | None]) -> str:
    """The median time with its interval, whose ends may lie beyond what was observed."""
    if median["estimate"] is None:
        return "the curve stays above a half"
    low, high = ("not reached" if median[end] is None else f"{median[end]:g}" for end in ("low", "high"))
    return f"half had the event by {median['estimate']:g} (95 % {low} to {high})"


Row = Mapping[str, str | None]


def _by_id(sheet: Sheet, id_column: str | None) -> dict[str, Row]:
    names = {c.casefold().strip(): c for c in sheet.columns}
    column = sheet.find(id_column) if id_column else next((names[n] for n in ID_NAMES if n in names), sheet.columns[0])
    rows: dict[str, Row] = {}
    for cells, line in zip(sheet.rows, sheet.lines, strict=True):
        row = {name.casefold().strip(): cell for name, cell in zip(sheet.columns, cells, strict=True)}
        case = row[column.casefold().strip()]
        if case is None or case in rows:
            wrong = "the id is blank" if case is None else f"the id {case} occurs twice"
            raise OverreadError(f"{sheet.path.name}, line {line}: {wrong}.", "give each patient one row with an id of its own")
        rows[case] = row
    return rows


def _cell(row: Row, column: str, case: str, sheet: str) -> str:
    name = column.casefold().strip()
    if name not in row:
        raise OverreadError(f"{sheet} has no column '{column}'; it has {', '.join(row)}.", f"name that column '{column}'")
    cell = row[name]
    if cell is None:
        raise OverreadError(f"{sheet}: '{column}' of {case} is blank.", "fill it in, or take this patient out and say so")
    return cell


def _number(row: Row, column: str, case: str, sheet: str) -> float:
    cell = _cell(row, column, case, sheet)
    if not is_number(cell):
        raise OverreadError(f"{sheet}: '{column}' of {case} is '{cell}'; a number was expected.", "correct it")
    return to_number(cell)


def _yes(row: Row, column: str, case: str, sheet: str) -> bool:
    cell = _cell(row, column, case, sheet).casefold().strip()
    if cell not in YES and cell not in NO:
        raise OverreadError(f"{sheet}: '{column}' of {case} is '{cell}'; 1 or 0, yes or no were expected.", "correct it")
    return cell in YES
