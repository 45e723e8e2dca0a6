"""`predictions/<partition>/slices.csv`: the planes of each case that its answer rests on most, the largest share first."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from overread.core.errors import OverreadError
from overread.core.slices import KINDS, SliceShare
from overread.record.files import write_text

NAME = "slices.csv"
COLUMNS = ("case_id", "rank", "plane", "number", "index", "share", "even")


def write_slices(path: Path, told: Mapping[str, Sequence[SliceShare]]) -> None:
    """One line per case and plane."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for case_id, shares in told.items():
        for rank, share in enumerate(shares, 1):
            number = "" if share.number is None else share.number
            writer.writerow([case_id, rank, KINDS[share.axis], number, share.index, f"{share.share:.6f}", f"{share.even:.6f}"])
    write_text(path, text.getvalue())


def read_slices(folder: Path) -> dict[str, tuple[SliceShare, ...]]:
    """case_id -> its planes, as `write_slices` left them; empty where the network told none."""
    path = Path(folder) / NAME
    if not path.exists():
        return {}
    told: dict[str, tuple[SliceShare, ...]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                number = int(row["number"]) if row["number"] else None
                axis, shares = KINDS.index(row["plane"]), (float(row["share"]), float(row["even"]))
                share = SliceShare(axis, int(row["index"]), number, *shares)
                told[row["case_id"]] = (*told.get(row["case_id"], ()), share)
            except (KeyError, ValueError, TypeError) as error:
                raise OverreadError(
                    f"{NAME} cannot be read at line {line}: expected the columns {', '.join(COLUMNS)}.",
                    "let the model answer again, or take the file away",
                ) from error
    return told
