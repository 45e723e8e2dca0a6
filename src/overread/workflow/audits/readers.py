"""`overread audit --readers`: how far several readers agree, and one reference standard made of their reads by a stated rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread.audit.readers.agreement import Row, mask_agreement, sheet_agreement
from overread.audit.readers.fused import fuse_masks, fuse_sheet
from overread.audit.readers.reads import Reads, read_reads
from overread.cohort.labels.fusion import check_rule
from overread.core.errors import OverreadError
from overread.evaluation.rules import Rules
from overread.evaluation.sources.foreign import read_patients
from overread.evaluation.sources.foreign_masks import mask_files, structures_in

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
        fused = fuse_sheet(reads, rule, Path(out))
    counted = (len(reads.case_ids), len(set(reads.patient_ids)))
    unknown = () if reads.patients_known else (NO_PATIENTS,)
    return Agreement(reads.readers, *counted, tuple(rows), (*reads.notes, *notes, *unknown), fused)


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
        fused = fuse_masks(files, question, rule, Path(out))
    return Agreement(tuple(paths), len(cases), len({who.get(c, c) for c in cases}), tuple(rows), notes, fused)
