"""What becomes of every DICOM file of a folder: read, with shape, spacing and units, or refused, with the reason.

    python benchmarks/dicom_table.py                        # the shared DICOM data, to the terminal
    python benchmarks/dicom_table.py FOLDER --out table.md --gaps resample --tilt resample

Each image is really opened, not only looked at. A file may fill several rows (volumes of one file). The command
fails where a file has no row, or where anything but a named refusal comes out.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import shared_data

from overread.core.errors import Refused
from overread.core.image import Image
from overread.imaging.door import open_found
from overread.imaging.found import Found, Scan
from overread.imaging.scan import scan

COLUMNS = ("files", "image", "result", "shape (C, Z, Y, X)", "spacing Z x Y x X (mm)", "plane", "type, units", "values", "remark")


@dataclass(frozen=True)
class Row:
    """One image, or one refused file.

    files   paths relative to the folder
    result  "read", "refused" or "BUG"
    cells   the remaining columns
    """

    files: tuple[str, ...]
    image: str
    result: str
    cells: tuple[str, ...]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?", type=Path, help="default: the DICOM files of the shared data")
    options.add_argument("--out", type=Path, help="write the table here as markdown")
    options.add_argument("--gaps", choices=("refuse", "resample"), default="refuse")
    options.add_argument("--tilt", choices=("refuse", "resample"), default="refuse")
    asked = options.parse_args()
    folder = asked.folder or shared_data() / "dicom"
    result = scan(folder, gaps=asked.gaps, tilt=asked.tilt)
    rows = [_opened(folder, found, asked.gaps, asked.tilt) for found in result.found]
    rows += [Row((refused.path,), "", "refused", _refusal(refused.code, refused.reason)) for refused in result.refused]
    text = markdown(sorted(rows, key=lambda row: (row.files, row.image)), result)
    if asked.out:
        asked.out.write_text(text)
    else:
        print(text)
    lost = _without_row(folder, rows, result)
    bugs = [row for row in rows if row.result == "BUG"]
    if lost or bugs:
        sys.exit(f"{len(bugs)} images broke the reader; files without a row: {', '.join(lost) or 'none'}")


def _opened(folder: Path, found: Found, gaps: str, tilt: str) -> Row:
    image_name = " ".join(str(found.attributes.get(key, "")) for key in ("modality", "volume")).strip()
    if not found.is_eligible:
        return Row(found.files, image_name, "refused", _refusal(found.attributes["code"], found.attributes["ineligible"]))
    try:
        return Row(found.files, image_name, "read", _facts(open_found(folder, found, gaps, tilt)))
    except Refused as refused:
        return Row(found.files, image_name, "refused", _refusal(refused.code, refused.what))
    except Exception:  # the table's purpose: whatever escapes is shown
        return Row(found.files, image_name, "BUG", _refusal("traceback", traceback.format_exc(limit=-2).replace("\n", " ")))


def _facts(image: Image) -> tuple[str, ...]:
    spacing = " x ".join(f"{v:.4g}" for v in image.grid.spacing) if image.grid.spacing_known else "unknown"
    if image.grid.is_planar and image.grid.spacing_known:
        spacing = " x ".join(f"{v:.4g}" for v in image.grid.spacing[1:]) + " (film)"
    remarks = [str(remark) for key in ("repairs", "notes") for remark in image.source.get(key, ())]
    return (
        " x ".join(map(str, image.array.shape)),
        spacing,
        str(image.source.get("plane", "")),
        f"{image.array.dtype}, {image.units}",
        f"{image.array.min():.4g} to {image.array.max():.4g}",
        "; ".join(remarks),
    )


def _refusal(code: str, reason: str) -> tuple[str, ...]:
    return ("", "", "", "", "", f"{code}: {reason}")


def markdown(rows: Sequence[Row], result: Scan) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for row in rows:
        cells = (_files(row.files), row.image, row.result, *row.cells)
        lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    counts = Counter(row.result for row in rows)
    files = len({name for row in rows for name in row.files})
    ignored = ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in result.ignored.items()) or "none"
    told = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    return "\n".join([*lines, "", f"{files} files in {len(rows)} rows: {told}. Other files passed over: {ignored}.", ""])


def _files(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return ", ".join(f"{folder}/ ({n} files)" for folder, n in Counter(Path(name).parent.as_posix() for name in names).items())


def _without_row(folder: Path, rows: Sequence[Row], result: Scan) -> list[str]:
    """Files that the scan neither listed nor counted as something else."""
    listed = {name for row in rows for name in row.files}
    there = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    passed = Counter(result.ignored)
    lost = []
    for name in there:
        suffix = Path(name).suffix.lower()
        if name in listed or Path(name).name.upper().startswith("DICOMDIR"):  # a table of contents, no object
            continue
        if passed[suffix] > 0:
            passed[suffix] -= 1
        else:
            lost.append(name)
    return lost


if __name__ == "__main__":
    main()
