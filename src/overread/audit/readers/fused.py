"""One reference standard made of several readers' reads, and how it was made: a sheet, or a folder of masks."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.audit.readers.reads import Reads
from overread.cohort.labels.fusion import RULES, Fused, fuse, fuse_layers
from overread.cohort.labels.values import NO
from overread.cohort.place import place_layers
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.question import Question
from overread.evaluation.sources.foreign_masks import open_mask
from overread.imaging.nifti import write_nifti
from overread.record.files import write_json, write_text


def fuse_sheet(reads: Reads, rule: str, out: Path) -> dict[str, Any]:
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


def _sides(names: Sequence[str], column: str) -> tuple[str, str]:
    """(negative, positive): a positive class is never guessed from the alphabet."""
    negative = [n for n in names if n.casefold() in NO]
    if len(negative) != 1:
        raise OverreadError(
            f"Column '{column}': which of {' and '.join(names)} is the finding is not said.", "write 1 and 0, or yes and no"
        )
    return negative[0], next(n for n in names if n != negative[0])


def _most(row: np.ndarray) -> str:
    read = [c for c in row if c is not None]
    best = max(set(read), key=read.count, default="")
    return best if read.count(best) * 2 > len(read) else ""


def fuse_masks(files: Mapping[str, Mapping[str, Path]], question: Question, rule: str, out: Path) -> dict[str, Any]:
    """One mask per case on the grid of the first reader's; written into `out` when all are done."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent)) / "fused"
    beside.mkdir()
    performance: dict[str, Any] = {}
    left_out: list[str] = []
    try:
        for case, by_reader in files.items():
            reads = by_reader if rule in RULES else {name: path for name, path in by_reader.items() if name == rule}
            if len(reads) < (2 if rule in RULES else 1):
                left_out.append(case)
                continue
            layers, grid, found = _fuse_case(case, reads, question, rule)
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
        shutil.rmtree(beside.parent, ignore_errors=True)
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
