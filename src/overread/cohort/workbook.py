"""Cells of an .xlsx workbook as text, the way they are shown rather than the way they are stored."""

from __future__ import annotations

import re
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl

from overread.core.errors import OverreadError

DIGITS_KEPT = 15  # a spreadsheet stores numbers as binary64 and shows 15 digits
LARGEST = 64 << 20  # bytes of unpacked text; as cells they take some ten times as much memory
MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14  # of any spreadsheet
MOST_CELLS = 4_000_000


def read_workbook(path: Path, worksheet: str | None, notes: list[str]) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """Read one worksheet.

    returns  (rows of text, spans): spans are (first, last) columns of cells merged across in the first row
    """
    _refuse_bomb(path)
    try:
        book = openpyxl.load_workbook(path, data_only=True)
        formulas = openpyxl.load_workbook(path, data_only=False)
    except Exception as error:  # a damaged workbook can break the parser anywhere; its words go to the user
        raise _unreadable(path, error) from error
    name = _choose(path, book, worksheet, notes)
    page, written = book[name], formulas[name]
    try:
        rows = _rows(path, page, written)
        spans = [(r.min_col, r.max_col) for r in page.merged_cells.ranges if r.min_row <= 2 and r.max_col > r.min_col]
    except OverreadError:
        raise
    except Exception as error:  # a value that is none shows only when it is looked at
        raise _unreadable(path, error) from error
    return rows, spans


def _unreadable(path: Path, error: Exception) -> OverreadError:
    return OverreadError(f"The sheet {path.name} cannot be read: {error}.", "save it again as .xlsx, or as CSV")


def _refuse_bomb(path: Path) -> None:
    """Refuse what unpacks to more than can be held as cells."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist() if info.filename.endswith((".xml", ".rels")))
    except Exception as error:  # as above
        raise _unreadable(path, error) from error
    if size > LARGEST:
        what = f"The sheet {path.name} unpacks to {size >> 20} MiB; up to {LARGEST >> 20} MiB can be read."
        raise OverreadError(what, "keep the columns that matter, or save it as CSV")


def _rows(path: Path, page: Any, written: Any) -> list[list[str]]:
    """Rows of text up to the last cell of each; rows without a cell are empty, however many there are."""
    last, width = page.max_row, page.max_column
    if last > MOST_ROWS or width > MOST_COLUMNS:
        raise OverreadError(f"The sheet {path.name} has a cell in row {last}, column {width}.", "save it again as .xlsx")
    rows: list[list[str]] = [[] for _ in range(last)]
    total = 0
    for (number, column), cell in sorted(page._cells.items()):  # its public ways make a cell for every gap
        original = written._cells.get((number, column), cell)
        if cell.value is None and original.data_type == "f":
            raise OverreadError(
                f"The sheet {path.name}, cell {original.coordinate}, holds a formula whose result was not saved.",
                "open the file in the spreadsheet and save it again, or replace formulas by their values",
            )
        row, text = rows[number - 1], _text(cell.value, cell.number_format)
        if text:
            total += column - len(row)
            refuse_crowd(path, total)
            row += [""] * (column - 1 - len(row)) + [text]
    return rows


def refuse_crowd(path: Path, cells: int) -> None:
    """Refuse a table of more cells than a sheet of cases can have."""
    if cells > MOST_CELLS:
        what = f"The sheet {path.name} spans more than {MOST_CELLS:,} cells."
        raise OverreadError(what, "keep the columns and rows that matter, and delete cells far from the table")


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
    if isinstance(value, int | float) and (isinstance(value, int) or value.is_integer()):
        if abs(value) >= 10**DIGITS_KEPT:
            return (
                f"{float(value):.{DIGITS_KEPT - 1}E}"  # as the spreadsheet would show it; refused later where it is an identifier
            )
        return _padded(int(value), number_format)
    return str(value)


def _padded(value: int, number_format: str) -> str:
    zeros = re.fullmatch(r"0{2,40}", number_format)
    return f"{value:0{len(number_format)}d}" if zeros else str(value)
