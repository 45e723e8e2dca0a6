"""The sheet a radiologist has: .xlsx, or CSV with commas, semicolons or tabs, as spreadsheets write them.

Every cell is kept as text, so that "007" stays "007"; a blank cell is None, which means not known and
never negative. What was understood beyond the plain reading (a second header row, decimal commas,
dates stored as numbers) is said in `Sheet.notes`.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

from overread.cohort.numbers import as_number
from overread.cohort.workbook import read_workbook, refuse_crowd
from overread.core.errors import OverreadError

BLANK = {"", "na", "n/a", "#n/a", "nan", "null", "-", "?", ".", "unknown", "missing"}
EXCEL_EPOCH = date(1899, 12, 30)  # day 0 of spreadsheets; the 30th because Lotus took 1900 for a leap year
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
ROUNDED = re.compile(r"\d([.,]\d+)?E\+(1[1-9]|[2-9]\d)|\d[.,]\d+E(1[1-9]|[2-9]\d)", re.IGNORECASE)
LARGEST = 64 << 20  # bytes
DATE_FORMS = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    rows   one tuple of cells per row, in the order of `columns`; None is a blank cell
    lines  the line of the file in which each row stands, for messages
    notes  how the file was understood, for the user
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    lines: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> list[str | None]:
        """The cells of a column, top to bottom."""
        return self._cells[self.find(name)]

    @cached_property
    def _cells(self) -> dict[str, list[str | None]]:
        return {name: [row[k] for row in self.rows] for k, name in enumerate(self.columns)}

    def find(self, name: str) -> str:
        """The column called `name`, whatever its case."""
        if name in self.columns:
            return name
        alike = [c for c in self.columns if c.casefold().strip() == name.casefold().strip()]
        if len(alike) == 1:
            return alike[0]
        raise OverreadError(
            f"The sheet {self.path.name} has no column '{name}'; it has {', '.join(self.columns)}.",
            "name one of these columns",
        )

    def numbers(self, name: str) -> list[float | None] | None:
        """A column as numbers, decimal points or decimal commas; None where any cell is not a number."""
        cells = self.column(name)
        if any(c is not None and not is_number(c) for c in cells):
            return None
        return [None if c is None else to_number(c) for c in cells]

    def dates(self, name: str) -> list[date | None]:
        """A column as dates: ISO, 31.12.2024, or the day count of a spreadsheet."""
        return [None if c is None else self._date(c, name, line) for c, line in zip(self.column(name), self.lines, strict=True)]

    def _date(self, cell: str, name: str, line: int) -> date:
        found = as_date(cell)
        if found is None:
            raise OverreadError(
                f"The sheet {self.path.name}, line {line}, column '{name}': '{cell}' is not a date that can be read without "
                "guessing which number is the month.",
                "write dates as 2024-12-31",
            )
        return found


def is_number(cell: str) -> bool:
    """A finite number, with a decimal point or a decimal comma."""
    return as_number(cell, decimal_comma=True) is not None


def to_number(cell: str) -> float:
    """The number of a cell for which `is_number` holds."""
    number = as_number(cell, decimal_comma=True)
    assert number is not None
    return number


def as_date(cell: str) -> date | None:
    """A date, where the text leaves no doubt about it."""
    for form in DATE_FORMS:
        try:
            return datetime.strptime(cell, form).date()
        except ValueError:
            continue
    if re.fullmatch(r"\d{5}(\.\d+)?", cell):  # 1927 to 2173 as the day count of a spreadsheet
        return EXCEL_EPOCH + timedelta(days=int(float(cell)))
    slashed = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", cell)
    if slashed and (int(slashed[1]) > 12) != (int(slashed[2]) > 12):
        day, month = (1, 2) if int(slashed[1]) > 12 else (2, 1)
        try:
            return date(int(slashed[3]), int(slashed[month]), int(slashed[day]))
        except ValueError:  # 31/02/2024
            return None
    return None


def read_sheet(path: Path) -> Sheet:
    """Read a sheet; `labels.xlsx#Name` names one worksheet of a workbook."""
    name, _, worksheet = str(path).partition("#")
    path = Path(name)
    if not path.is_file():
        raise OverreadError(f"The sheet {path} does not exist.", "give the path of an .xlsx or .csv file with --sheet")
    notes: list[str] = []
    suffix = path.suffix.lower()
    if suffix in (".xlsx", ".xlsm"):
        table, spans = read_workbook(path, worksheet or None, notes)
    elif suffix in (".csv", ".tsv", ".txt"):
        table, spans = _read_text(path, notes), []
    else:
        raise OverreadError(f"The sheet {path.name} is not of a kind that can be read.", "save it as .xlsx or .csv")
    return _tabulate(path, table, spans, notes)


def _read_text(path: Path, notes: list[str]) -> list[list[str]]:
    size = path.stat().st_size
    if size > LARGEST:
        what = f"The sheet {path.name} has {size >> 20} MiB; up to {LARGEST >> 20} MiB can be read."
        raise OverreadError(what, "keep the columns that matter")
    content = path.read_bytes()
    if not content.strip():
        raise OverreadError(f"The sheet {path.name} is empty.", "save it again from the spreadsheet")
    try:
        text = _decode(content, notes)
    except UnicodeDecodeError as error:
        raise OverreadError(f"The sheet {path.name} is not text: {error.reason}.", "save it again as CSV (UTF-8)") from error
    if text.lower().startswith("sep="):  # a hint that some spreadsheets write into the first line
        text = text.partition("\n")[2]
    delimiter = _delimiter(text)
    if delimiter != ",":
        notes.append("columns are parted by " + {";": "semicolons", "\t": "tabs"}[delimiter])
    table: list[list[str]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells += len(row)
            refuse_crowd(path, cells)
            table.append(row)
    except csv.Error as error:  # a cell of more than 131,072 letters: a quotation mark is open
        what = f"The sheet {path.name}, line {len(table) + 1}, cannot be read: {error}."
        raise OverreadError(what, "look for a quotation mark that is not closed") from error
    return table


def _decode(content: bytes, notes: list[str]) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        notes.append("letters are not UTF-8; read as Western European (Windows-1252)")
        return content.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    """The delimiter that parts the first lines into the same number of columns, the most of them."""

    def score(delimiter: str) -> tuple[int, int]:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            rows = [r for _, r in zip(range(50), lines, strict=False) if r]
        except csv.Error:
            return (0, 0)
        if not rows:
            return (0, 0)
        width, agree = Counter(len(r) for r in rows).most_common(1)[0]
        return (agree if width > 1 else 0, width)

    best = max((";", "\t", ","), key=score)
    return best if score(best)[0] else ","


def _tabulate(path: Path, table: Sequence[Sequence[str]], spans: Sequence[tuple[int, int]], notes: list[str]) -> Sheet:
    cells = [[c.strip().replace("\u00a0", " ") for c in row] for row in table]
    filled = [(k + 1, row) for k, row in enumerate(cells) if any(row)]
    while len(filled) > 1 and sum(map(bool, filled[0][1])) == 1 < sum(map(bool, filled[1][1])):
        notes.append(f"line {filled[0][0]} was taken as a title: '{next(c for c in filled[0][1] if c)}'")
        filled = filled[1:]
    if len(filled) < 2:
        raise OverreadError(f"The sheet {path.name} has no rows below its header.", "check that the right worksheet was saved")
    top, below = filled[0][1], filled[1][1]
    two = _has_two_headers(top, [row for _, row in filled[1:]], spans)
    names = _join_headers(top, below) if two else list(top)
    if two:
        notes.append("two header rows were joined")
    body = filled[2 if two else 1 :]
    width = max(len(names), max((len(r) for _, r in body), default=0))
    refuse_crowd(path, width * len(body))
    padded = [(line, [*row, *[""] * (width - len(row))]) for line, row in body]
    names += [""] * (width - len(names))
    used = [k for k in range(width) if names[k] or any(row[k] for _, row in padded)]
    names = [names[k] or f"column {k + 1}" for k in range(width)]
    twice = [n for n, count in Counter(names[k].casefold() for k in used).items() if count > 1]
    if twice:
        raise OverreadError(
            f"The sheet {path.name} has more than one column called '{twice[0]}'.", "give every column a name of its own"
        )
    rows = tuple(tuple(None if row[k].casefold() in BLANK else row[k] for k in used) for _, row in padded)
    words = Counter(row[k] for _, row in padded for k in used if row[k] and row[k].casefold() in BLANK)
    if words:
        listed = (f"'{word}' ({n} {'cell' if n == 1 else 'cells'})" for word, n in words.most_common())
        notes.append("taken as missing: " + ", ".join(listed))
    sheet = Sheet(path, tuple(names[k] for k in used), rows, tuple(line for line, _ in padded), tuple(notes))
    return _noted(sheet)


def _has_two_headers(top: Sequence[str], below: Sequence[Sequence[str]], spans: Sequence[tuple[int, int]]) -> bool:
    """Is the second line a header too, with names under the blanks that a merged cell leaves in the first?"""
    second, rest = below[0], below[1:50]
    pairs = [(t, second[k] if k < len(second) else "") for k, t in enumerate(top)]
    inner_blanks = [s for t, s in pairs if not t]
    if not rest or not inner_blanks or not any(inner_blanks):
        return False
    if any(is_number(s) or as_date(s) for _, s in pairs if s):
        return False
    if spans:
        return True
    repeats = any(s and s == row[k] for k, (_, s) in enumerate(pairs) for row in rest if k < len(row))
    under_names_blank = any(t and not s for t, s in pairs)
    return not repeats and (under_names_blank or len({s for _, s in pairs if s}) == len([s for _, s in pairs if s]))


def _join_headers(top: Sequence[str], second: Sequence[str]) -> list[str]:
    """The lower name where it is unique, "upper: lower" where it is not, the upper where there is no lower."""
    lower = [second[k] if k < len(second) else "" for k in range(max(len(top), len(second)))]
    count = Counter(name.casefold() for name in lower if name)
    names, upper = [], ""
    for k, name in enumerate(lower):
        upper = top[k] if k < len(top) and top[k] else upper
        if not name:
            names.append(upper)
        else:
            names.append(name if count[name.casefold()] == 1 else f"{upper}: {name}")
    return names


def _noted(sheet: Sheet) -> Sheet:
    """Add what is worth knowing of the numbers; refuse a column whose commas can mean two things."""
    notes = list(sheet.notes)
    for name in sheet.columns:
        cells = [c for c in sheet.column(name) if c is not None]
        commas = [c for c in cells if "," in c]
        if not commas or not all(is_number(c) for c in cells):
            continue
        parted_by_comma = not any(n.startswith("columns are parted") for n in sheet.notes)
        if parted_by_comma and all(THOUSANDS.fullmatch(c) for c in commas) and not any("." in c for c in cells):
            raise OverreadError(
                f"The sheet {sheet.path.name}, column '{name}': '{commas[0]}' can mean "
                f"{commas[0].replace(',', '')} or {commas[0].replace(',', '.', 1)}.",
                "write the numbers with a decimal point and nothing between thousands",
            )
        notes.append(f"column '{name}' has decimal commas")
    return Sheet(sheet.path, sheet.columns, sheet.rows, sheet.lines, tuple(notes))


def refuse_rounded_ids(sheet: Sheet, name: str) -> None:
    """Refuse a column of identifiers that a spreadsheet has turned into rounded numbers: they cannot be got back."""
    cells = [(c, line) for c, line in zip(sheet.column(name), sheet.lines, strict=True) if c is not None]
    broken = [(c, line) for c, line in cells if ROUNDED.fullmatch(c)]
    long = [(c, line) for c, line in cells if re.fullmatch(r"\d{16,}", c)]
    if not broken and len(long) >= 3 and all(c.endswith("0" * (len(c) - 15)) for c, _ in long):
        broken = long  # a spreadsheet keeps 15 digits and fills up with zeros
    if not broken:
        return
    cell, line = broken[0]
    raise OverreadError(
        f"The sheet {sheet.path.name}, line {line}, column '{name}': '{cell}' is an identifier that a spreadsheet turned into "
        f"a number and rounded ({len(broken)} cells of {len(cells)}). The lost digits cannot be got back from this file.",
        "export the list again from the source, and when opening it in the spreadsheet import this column as Text",
    )
