"""`overread compare --readers`: readers against a model, readers with and without its help, readers read twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from overread.audit.readers.reads import Reads, read_reads
from overread.core.errors import OverreadError
from overread.evaluation.comparing.claims import claims, margin_of
from overread.evaluation.comparing.reader_study import Reading, Study
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.record.files import write_json
from overread.workflow.compare import FORMAT, MARGIN
from overread.workflow.comparisons.reader_sheets import YES_OR_NO, Truth, as_calls, filled, model_scores, read_truth
from overread.workflow.readings.twice import read_twice

READERS, ALONE, AIDED, MODEL = "the readers", "reading alone", "reading with the model", "the model"
POPULATION = "Readers and patients are both taken as samples: the interval is for other readers and other patients like these."


def compare_readers(
    readers: Path,
    *,
    aided: Path | None = None,
    again: Path | None = None,
    truth: Path | None = None,
    model: Path | None = None,
    positive: str | None = None,
    threshold: float = 0.5,
    column: str | None = None,
    call: str | None = None,
    patients: str | None = None,
    id_column: str | None = None,
    endpoints: Sequence[str] = (),
    margin: float | None = None,
    aim: str = "non-inferior",
    level: float = 0.95,
    out: Path | None = None,
) -> dict[str, Any]:
    """Compare a model with readers, readers with and without it, or two reads of the same readers.

    readers    sheet with a row per case and reader; a rating (`column`), a yes or no (`call`), or both
    aided      the same with the model's help
    again      a second read of the same readers; no truth is needed
    truth      sheet with a row per case: the class, or 1 and 0, and the patient
    model      sheet of the model's probabilities
    threshold  of the model's calls, chosen beforehand
    endpoints  auc, sensitivity, specificity, kappa; by default all that the reads allow
    """
    chosen = [name for name, sheet in (("--model", model), ("--aided", aided), ("--again", again)) if sheet is not None]
    if len(chosen) != 1:
        raise OverreadError(
            f"Readers are compared with one of --model, --aided or --again; given: {', '.join(chosen) or 'none'}.",
            "overread compare --readers reads.csv --truth truth.csv --model answers.csv",
        )
    if not 0 <= threshold <= 1:
        raise OverreadError(f"The threshold {threshold:g} is no probability.", "give one between 0 and 1")
    if again is not None:
        result = read_twice(readers, again, id_column, Rules(level=level))
    elif truth is None:
        raise OverreadError("Readers are measured against a truth, and none was given.", "add --truth truth.csv")
    else:
        known = read_truth(truth, positive, patients, id_column)
        sheets = {READERS: readers} if aided is None else {ALONE: readers, AIDED: aided}
        result = _study(sheets, known, model, threshold, column, call, id_column, endpoints, margin, aim, level)
    result = {"format": FORMAT, "created": datetime.now(UTC).isoformat(timespec="seconds"), **result}
    if out is not None:
        write_json(Path(out) / "comparison.json" if Path(out).suffix != ".json" else Path(out), result)
    return result


def _study(
    sheets: Mapping[str, Path],
    truth: Truth,
    model: Path | None,
    threshold: float,
    column: str | None,
    call: str | None,
    id_column: str | None,
    endpoints: Sequence[str],
    margin: float | None,
    aim: str,
    level: float,
) -> dict[str, Any]:
    opened = {title: read_reads({"": path}, id_column=id_column) for title, path in sheets.items()}
    first = next(iter(opened.values()))
    for title, others in opened.items():
        if others.readers != first.readers:
            raise OverreadError(
                f"The readers differ: {', '.join(first.readers)}, and {', '.join(others.readers)} in {title}.",
                "every reader reads both ways",
            )
    rating, yes = _columns(first, column, call, truth.positive)
    reads = tuple(_reading(title, r, truth, rating, yes) for title, r in opened.items())
    beside = _model(model, truth, threshold, id_column) if model is not None else None
    study = Study(first.readers, truth.is_positive, Patients.of(truth.patient_ids), reads, beside, truth.positive, level)
    rows = study.rows(endpoints)
    if not rows:
        raise OverreadError("The reads hold nothing that was asked for.", f"they have the columns {', '.join(first.cells)}")
    said = claims([row.difference for row in rows], level, margin_of(margin, aim))
    extra = len(set(first.case_ids) - set(truth.case_ids))
    notes = [*truth.notes, *([f"{extra} cases that were read have no truth and are left out."] if extra else []), POPULATION]
    notes += [MARGIN] if margin is not None else []
    return {
        "readers": list(first.readers),
        "n_cases": len(truth.case_ids),
        "n_patients": study.patients.count,
        "conditions": [*sheets, *([MODEL] if beside else [])],
        "scores": [row.as_dict() for row in rows],
        "comparisons": [claim.as_dict() for claim in said],
        "notes": notes,
    }


def _columns(reads: Reads, column: str | None, call: str | None, positive: str) -> tuple[str | None, str | None]:
    """The column of ratings and that of calls, named or the only one that can be."""
    for name in (column, call):
        if name is not None and name not in reads.cells:
            raise OverreadError(f"The reads have no column '{name}'.", f"they have {', '.join(reads.cells)}")
    written = {name: {str(c).casefold() for c in cells.ravel() if c is not None} for name, cells in reads.cells.items()}
    binary = [name for name, found in written.items() if _are_calls(found, positive)]
    numeric = [name for name, found in written.items() if name not in binary and _are_numbers(found)]
    rating = column or (numeric[0] if len(numeric) == 1 else None)
    yes = call or (binary[0] if len(binary) == 1 else None)
    if rating is None and yes is None:
        raise OverreadError(
            f"Which column holds the readers' rating is not clear: {', '.join(reads.cells)}.",
            "name it: --column RATING (higher for more suspicious), or --call COLUMN for yes and no",
        )
    return rating, yes


def _are_calls(found: set[str], positive: str) -> bool:
    """Yes and no in any spelling, or two words of which one is the positive class."""
    return found <= YES_OR_NO or (len(found) <= 2 and positive.casefold() in found)


def _are_numbers(found: set[str]) -> bool:
    try:
        return bool(found) and all(np.isfinite(float(cell.replace(",", "."))) for cell in found)
    except ValueError:
        return False


def _reading(title: str, reads: Reads, truth: Truth, rating: str | None, yes: str | None) -> Reading:
    place = {case: k for k, case in enumerate(reads.case_ids)}
    unread = [case for case in truth.case_ids if case not in place]
    if unread:
        raise OverreadError(
            f"{len(unread)} of {len(truth.case_ids)} cases with a truth were read by nobody ({title}), {unread[0]} for example.",
            "add the reads, or take these cases out of the truth and say so in your text",
        )
    rows = [place[case] for case in truth.case_ids]
    found = {name: reads.cells[name][rows] for name in (rating, yes) if name is not None}
    for name, cells in found.items():
        blank = [(truth.case_ids[i], reads.readers[j]) for i, j in np.argwhere(~filled(cells))]
        if blank:
            raise OverreadError(
                f"{len(blank)} reads are missing in '{name}' ({title}): {blank[0][1]} did not read {blank[0][0]}, for example.",
                "every reader has to read every case; complete the sheet, or take the cases or the reader out",
            )
    ratings = None if rating is None else np.array([[float(c.replace(",", ".")) for c in row] for row in found[rating]]).T
    return Reading(title, ratings, None if yes is None else as_calls(found[yes], truth.positive, yes).T)


def _model(path: Path, truth: Truth, threshold: float, id_column: str | None) -> Reading:
    scores = model_scores(path, truth, id_column)
    return Reading(MODEL, scores[None], (scores >= threshold).astype(float)[None])
