"""Cells of an .xlsx workbook as text, the way they are shown rather than the way they are stored."""

from __future__ import annotations

import re
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from overread.core.errors import OverreadError

DIGITS_KEPT = 15  # a spreadsheet stores numbers as binary64 and shows 15 digits


def read_workbook(path: Path, worksheet: str | None, notes: list[str]) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """Read one worksheet.

    returns  (rows of text, spans): spans are (first, last) columns of cells merged across in the first row
    """
    try:
        book = openpyxl.load_workbook(path, data_only=True)
        formulas = openpyxl.load_workbook(path, data_only=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise OverreadError(f"The sheet {path.name} cannot be read: {error}.", "save it again as .xlsx, or as CSV") from error
    name = _choose(path, book, worksheet, notes)
    page, written = book[name], formulas[name]
    rows = []
    for cells, originals in zip(page.iter_rows(), written.iter_rows(), strict=True):
        for cell, original in zip(cells, originals, strict=True):
            if cell.value is None and original.data_type == "f":
                raise OverreadError(
                    f"The sheet {path.name}, cell {original.coordinate}, holds a formula whose result was not saved.",
                    "open the file in the spreadsheet and save it again, or replace formulas by their values",
                )
        rows.append([_text(cell.value, cell.number_format) for cell in cells])
    spans = [(r.min_col, r.max_col) for r in page.merged_cells.ranges if r.min_row <= 2 and r.max_col > r.min_col]
    return rows, spans


def _choose(path: Path, book: Any, worksheet: str | None, notes: list[str]) -> str:
    if worksheet is not None:
        if worksheet not in book.sheetnames:
            raise OverreadError(f"{path.name} has no worksheet '{worksheet}'; it has {', '.join(book.sheetnames)}.")
        return worksheet
    filled = [name for name in book.sheetnames if hasattr(book[name], "iter_rows") and book[name].max_row > 1]
    if len(filled) > 1:
        raise OverreadError(
            f"{path.name} has {len(filled)} filled worksheets: {', '.join(filled)}.",
            f"say which one holds the labels, e.g. --sheet '{path.name}#{filled[0]}'",
        )
    if not filled:
        raise OverreadError(f"The sheet {path.name} is empty.", "save it again from the spreadsheet")
    if len(book.sheetnames) > 1:
        notes.append(f"worksheet '{filled[0]}'; the others are empty")
    return str(filled[0])


def _text(value: Any, number_format: str) -> str:
    """A cell as it is shown: dates as 2024-12-31, whole numbers without a point, zero-padded where the format pads."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return (
            value.date().isoformat() if value.time().isoformat() == "00:00:00" else value.isoformat(sep=" ", timespec="seconds")
        )
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float) and float(value).is_integer():
        if abs(value) >= 10**DIGITS_KEPT:
            return (
                f"{float(value):.{DIGITS_KEPT - 1}E}"  # as the spreadsheet would show it; refused later where it is an identifier
            )
        return _padded(int(value), number_format)
    return str(value)


def _padded(value: int, number_format: str) -> str:
    zeros = re.fullmatch(r"0{2,}", number_format)
    return f"{value:0{len(number_format)}d}" if zeros else str(value)
