"""`overread audit --readers`: how far several readers agree, and one reference standard made of their reads by a stated rule."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from overread.audit.readers import Row, mask_agreement, sheet_agreement
from overread.audit.reads import Reads, read_reads
from overread.cohort.labels.fusion import Fused, check_rule, fuse, fuse_layers
from overread.cohort.place import place_layers
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.question import Question
from overread.evaluation.foreign import read_patients
from overread.evaluation.foreign_masks import mask_files, open_mask, structures_in
from overread.evaluation.rules import Rules
from overread.imaging.nifti import write_nifti
from overread.record.files import write_json, write_text

NO_PATIENTS = (
    "nothing says which cases are of one patient, so each counts as a patient of its own and intervals may be too narrow; "
    "name the patients with --patients."
)


@dataclass(frozen=True)
class Agreement:
    """What was found.

    scores  one row per column or structure, metric, and pair of readers (or all of them)
    notes   how the reads were understood, what was left out
    fused   how the reference standard was made, where it was asked for
    """

    readers: tuple[str, ...]
    n_cases: int
    n_patients: int
    scores: tuple[Row, ...]
    notes: tuple[str, ...]
    fused: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": 1,
            "readers": list(self.readers),
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "scores": list(self.scores),
            "notes": list(self.notes),
            "fused": None if self.fused is None else dict(self.fused),
        }


def audit_readers(
    reads: Mapping[str, Path] | Path,
    *,
    grades: Sequence[str] = (),
    classes: Mapping[str, int] | None = None,
    patients: str | Path | None = None,
    id_column: str | None = None,
    rule: str | None = None,
    out: Path | None = None,
    tolerance_mm: float = 2.0,
    resamples: int = 2000,
) -> Agreement:
    """Compare readers; with `rule` and `out`, write one reference standard and how it was made.

    reads     reader -> sheet, or reader -> folder of masks with one file name per case; or one sheet with a reader column
    grades    columns whose categories have an order
    classes   masks: structure -> label value; by default as dataset.json says, or every value found
    patients  column of the sheets, or a sheet of id and patient: intervals resample patients
    rule      "majority", "any", "all", "staple", or the name of a reader
    out       new folder for the fused masks, or new sheet
    """
    paths = {"": Path(reads)} if isinstance(reads, str | Path) else {name: Path(path) for name, path in reads.items()}
    for path in paths.values():
        if not path.exists():
            raise OverreadError(f"{path} does not exist.", "check the path of this reader's sheet or folder")
    if (rule is None) != (out is None):
        raise OverreadError("A rule of fusion and a place to write to belong together.", "give both --fuse and --out, or neither")
    if out is not None and Path(out).exists():
        raise OverreadError(f"{out} exists already; nothing is written over it.", "give a new name with --out")
    folders = {path.is_dir() for path in paths.values()}
    if len(folders) > 1:
        raise OverreadError("Some readers gave a sheet and some a folder of masks.", "compare like with like")
    rules = Rules(surface_tolerance_mm=tolerance_mm, resamples=resamples)
    if folders == {True}:
        if "" in paths or len(paths) < 2:
            raise OverreadError("Masks need two readers or more.", "--readers ANNA=masks_anna --readers BEN=masks_ben")
        return _of_masks(paths, classes, Path(patients) if patients else None, rule, out, rules)
    return _of_sheets(paths, grades, patients, id_column, rule, out, rules)


def _of_sheets(
    paths: Mapping[str, Path],
    grades: Sequence[str],
    patients: str | Path | None,
    id_column: str | None,
    rule: str | None,
    out: Path | None,
    rules: Rules,
) -> Agreement:
    is_file = patients is not None and Path(patients).is_file()
    reads = read_reads(paths, id_column=id_column, patient_column=None if is_file or patients is None else str(patients))
    if is_file:
        named = read_patients(Path(str(patients)), reads.case_ids)
        reads = Reads(reads.case_ids, tuple(named[c] for c in reads.case_ids), reads.readers, reads.cells, reads.notes, True)
    rows, notes = sheet_agreement(reads, grades, rules)
    fused = None
    if rule is not None and out is not None:
        check_rule(rule, reads.readers)
        fused = _fuse_sheet(reads, rule, Path(out))
    counted = (len(reads.case_ids), len(set(reads.patient_ids)))
    unknown = () if reads.patients_known else (NO_PATIENTS,)
    return Agreement(reads.readers, *counted, tuple(rows), (*reads.notes, *notes, *unknown), fused)


def _fuse_sheet(reads: Reads, rule: str, out: Path) -> dict[str, Any]:
    """One row per case: for categories by the rule, for measurements their mean (or the named reader's)."""
    columns: dict[str, list[str]] = {}
    how: dict[str, Any] = {}
    for column, cells in reads.cells.items():
        numbers = reads.numbers(column)
        if rule in reads.readers:
            columns[column] = ["" if c is None else c for c in cells[:, reads.readers.index(rule)]]
            how[column] = {"rule": f"the read of {rule}"}
        elif numbers is not None:
            means = [_mean(row) for row in numbers]
            columns[column] = ["" if m is None else f"{m:.10g}" for m in means]
            how[column] = {"rule": "mean of the readers"}
        else:
            columns[column], how[column] = _fuse_categories(cells, reads.readers, rule, column)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case_id", "patient_id", *columns])
    for k, (case, patient) in enumerate(zip(reads.case_ids, reads.patient_ids, strict=True)):
        writer.writerow([case, patient, *(values[k] for values in columns.values())])
    write_text(out, text.getvalue())
    record = {"format": 1, "rule": rule, "readers": list(reads.readers), "columns": how}
    write_json(out.with_name(f"{out.stem}-fusion.json"), record)
    return {**record, "written": str(out)}


def _mean(row: np.ndarray) -> float | None:
    known = row[np.isfinite(row)]
    return float(known.mean()) if known.size else None


def _fuse_categories(cells: np.ndarray, readers: Sequence[str], rule: str, column: str) -> tuple[list[str], dict[str, Any]]:
    """Blank where the readers tie or nobody read; "any", "all" and "staple" need two categories, the second being the finding."""
    names = sorted({c for c in cells.ravel() if c is not None})
    if rule == "majority":
        fused = [_most(row) for row in cells]
        return fused, {"rule": "more than half of those who read the case", "blank": sum(not f for f in fused)}
    if len(names) != 2:
        raise OverreadError(
            f"Column '{column}' holds {', '.join(names)}; '{rule}' fuses columns with two categories.", "fuse by majority"
        )
    negative, positive = _sides(names, column)
    complete = np.array([all(c is not None for c in row) for row in cells])
    found = fuse({name: cells[complete, k] == positive for k, name in enumerate(readers)}, rule)
    fused = [""] * len(cells)
    for k, yes in zip(np.flatnonzero(complete), found.accepted, strict=True):
        fused[k] = positive if yes else negative
    return fused, {"rule": rule, "finding": positive, "blank": int((~complete).sum()), "performance": dict(found.performance)}


NEGATIVES = ("0", "no", "absent", "negative", "normal", "false", "n", "benign")


def _sides(names: Sequence[str], column: str) -> tuple[str, str]:
    """(negative, positive): a positive class is never guessed from the alphabet."""
    negative = [n for n in names if n.casefold() in NEGATIVES]
    if len(negative) != 1:
        raise OverreadError(
            f"Column '{column}': which of {' and '.join(names)} is the finding is not said.", "write 1 and 0, or yes and no"
        )
    return negative[0], next(n for n in names if n != negative[0])


def _most(row: np.ndarray) -> str:
    read = [c for c in row if c is not None]
    best = max(set(read), key=read.count, default="")
    return best if read.count(best) * 2 > len(read) else ""


def _of_masks(
    paths: Mapping[str, Path],
    classes: Mapping[str, int] | None,
    patients: Path | None,
    rule: str | None,
    out: Path | None,
    rules: Rules,
) -> Agreement:
    found = {reader: mask_files(folder) for reader, folder in paths.items()}
    cases = sorted({case for files in found.values() for case in files})
    files = {case: {reader: found[reader][case] for reader in found if case in found[reader]} for case in cases}
    every = [path for by_reader in files.values() for path in by_reader.values()]
    question = structures_in(next(iter(paths.values())), every, classes)
    who = read_patients(patients, cases) if patients is not None else {}
    rows = mask_agreement(files, who, question, rules)
    single = sum(len(by_reader) < 2 for by_reader in files.values())
    notes: tuple[str, ...] = (
        (f"{single} of {len(cases)} cases were drawn by one reader only; they tell nothing of agreement.",) if single else ()
    )
    notes += () if who else (NO_PATIENTS,)
    fused = None
    if rule is not None and out is not None:
        check_rule(rule, list(paths))
        fused = _fuse_masks(files, question, rule, Path(out))
    return Agreement(tuple(paths), len(cases), len({who.get(c, c) for c in cases}), tuple(rows), notes, fused)


def _fuse_masks(files: Mapping[str, Mapping[str, Path]], question: Question, rule: str, out: Path) -> dict[str, Any]:
    """One mask per case on the grid of the first reader's; written into `out` when all are done."""
    beside = out.with_name(f".{out.name}-fusing")
    beside.mkdir(parents=True, exist_ok=False)
    performance: dict[str, Any] = {}
    left_out: list[str] = []
    try:
        for case, by_reader in files.items():
            if rule in by_reader:
                by_reader = {rule: by_reader[rule]}
            elif len(by_reader) < 2:
                left_out.append(case)
                continue
            layers, grid, found = _fuse_case(case, by_reader, question, rule)
            write_nifti(beside / f"{case}.nii.gz", layers, grid)
            performance[case] = {
                name: dict(found[str(value)].performance)
                for name, value in zip(question.classes, question.values, strict=True)
                if found[str(value)].performance
            }
        labels = {"background": 0, **dict(zip(question.classes, question.values, strict=True))}
        record = {"format": 1, "rule": rule, "cases": len(files) - len(left_out), "left_out": left_out, "labels": labels}
        readers = sorted({reader for by_reader in files.values() for reader in by_reader})
        record |= {"readers": readers, "performance": {case: p for case, p in performance.items() if p}}
        write_json(beside / "fusion.json", record)
        write_json(beside / "dataset.json", {"labels": labels})
        beside.rename(out)
    finally:
        if beside.exists():
            for path in beside.iterdir():
                path.unlink()
            beside.rmdir()
    return {**record, "written": str(out)}


def _fuse_case(
    case: str, by_reader: Mapping[str, Path], question: Question, rule: str
) -> tuple[np.ndarray, Grid, Mapping[str, Fused]]:
    reads: dict[str, np.ndarray] = {}
    grid: Grid | None = None
    for reader, path in by_reader.items():
        layers, own = open_mask(path)
        if len(layers) > 1:
            raise OverreadError(f"The mask of {case} by {reader} has overlapping layers; fusion takes one.", "merge its layers")
        grid = grid or own
        reads[reader] = place_layers(layers, own, grid, what=f"the mask of {case} by {reader}")[0]
    assert grid is not None
    fused, found = fuse_layers(reads, question.values, rule)
    return fused, grid, found
