"""Small pictures of the errors of an evaluation: of objects the surest false positives and the largest misses, else of cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from overread.core.image import Image
from overread.core.kinds import Kind
from overread.core.slices import SliceShare
from overread.record.files import write_bytes
from overread.reporting.pictures.close_ups import thumbnail
from overread.reporting.pictures.small import small_picture
from overread.reporting.sections.errors import wrong_rows

OF_EACH = 24
MOST_CASES = 60

Loader = Callable[[dict[str, Any]], tuple[Image, Kind, Kind]]
Told = Mapping[str, Sequence[SliceShare]]  # case_id -> the slices that its answer rests on
NOTHING_TOLD: Told = {}
Wanted = dict[str, list[int]]  # case_id -> numbers of objects in its list


def write_thumbnails(folder: Path, rows: Sequence[dict[str, Any]], load: Loader) -> list[dict[str, Any]]:
    """Write `errors/` in a folder of panels; returns one entry for each picture: file, case_id, number."""
    written = []
    wanted = chosen_errors(rows)
    for row in rows:
        numbers = wanted.get(row["case_id"], [])
        if not numbers:
            continue
        image, _, _ = load(row)
        for number in numbers:
            name = f"errors/{row['case_id']}-{number}.png"
            write_bytes(folder / name, thumbnail(image, row["objects"][number]))
            written.append({"file": name, "case_id": row["case_id"], "number": number})
    return written


def chosen_errors(rows: Sequence[Mapping[str, Any]]) -> Wanted:
    """The first errors of the browser in the report: the surest false positives, the largest misses."""
    wanted: Wanted = {}
    for state, size in (("false", "score"), ("missed", "size_px")):
        found = [
            (-(item[size] or 0.0), row["case_id"], number)
            for row in rows
            for number, item in enumerate(row.get("objects", ()))
            if item["state"] == state
        ]
        for _, case_id, number in sorted(found)[:OF_EACH]:
            wanted.setdefault(case_id, []).append(number)
    return wanted


def write_small_pictures(
    folder: Path, rows: Sequence[dict[str, Any]], load: Loader, slices: Told = NOTHING_TOLD
) -> list[dict[str, Any]]:
    """Write one picture of each of the first cases of the browser of errors; returns one entry for each: file, case_id.

    slices  case_id -> the slices that its answer rests on: the first of them is shown
    """
    wanted = list(dict.fromkeys(wrong.row["case_id"] for wrong in wrong_rows(rows)))[:MOST_CASES]
    by_id = {row["case_id"]: row for row in rows}
    written = []
    for case_id in wanted:
        name = f"errors/{case_id}.png"
        write_bytes(folder / name, small_picture(*load(by_id[case_id]), looked=next(iter(slices.get(case_id, ())), None)))
        written.append({"file": name, "case_id": case_id})
    return written
