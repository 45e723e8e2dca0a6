"""Rows of a sheet and images: which column names the images, whether a row is about an image, an exam or a patient."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from overread.cohort.draft import Draft
from overread.cohort.match import Match, match
from overread.cohort.names import SIDE_WORDS
from overread.cohort.sheet import Sheet, refuse_rounded_ids
from overread.core.errors import OverreadError

LEVELS = ("image", "exam", "patient")
SHOWN = 5


@dataclass(frozen=True)
class Joined:
    """A sheet joined to drafts.

    column     the column that names the images
    level      what a row is about: "image", "exam" or "patient"
    rows       position of the draft -> positions of its rows
    rules      how the names were found to be the same -> how many
    unknown    positions of rows that fit no image
    reason     why this column
    """

    sheet: Sheet
    column: str
    level: str
    rows: Mapping[int, tuple[int, ...]]
    rules: Mapping[str, int]
    unknown: tuple[int, ...]
    reason: str

    def cell(self, draft: int, column: str) -> str | None:
        """The cell of a draft in a column: the first of its rows; None where it has none."""
        rows = self.rows.get(draft, ())
        return self.sheet.column(column)[rows[0]] if rows else None

    def cells(self, column: str) -> dict[int, list[str | None]]:
        """draft -> the cells of all its rows."""
        values = self.sheet.column(column)
        return {d: [values[r] for r in rows] for d, rows in self.rows.items()}


def join_sheet(
    sheet: Sheet, drafts: Sequence[Draft], id_column: str | None, *, side: str | None, day: str | None, several_rows: bool
) -> Joined:
    """Join rows to drafts by the column and level that reach the most images.

    side, day     columns that tell rows of one exam or patient apart
    several_rows  several rows of one image are lesions to be aggregated, not a slip
    """
    columns = [sheet.find(id_column)] if id_column else list(sheet.columns)
    tried: list[tuple[int, int, int, str, str, Match, tuple[str, ...], list[list[int]]]] = []
    trouble: OverreadError | None = None
    for column in columns:
        cells = tuple(dict.fromkeys(c for c in sheet.column(column) if c is not None))
        for level in LEVELS:
            things, members = _things(drafts, level)
            if not things:
                continue
            try:
                found = match(cells, things, what="row of the sheet")
            except OverreadError as error:
                trouble = trouble or error
                continue
            reached = sum(len(members[t]) for t in found.joined.values())
            if reached:
                tried.append((reached, -LEVELS.index(level), len(found.joined), column, level, found, cells, members))
    if not tried:
        for column in columns:
            refuse_rounded_ids(sheet, column)
        raise trouble or _nothing_fits(sheet, drafts, columns)
    _, _, _, column, level, found, cells, members = max(tried, key=lambda t: t[:3])
    refuse_rounded_ids(sheet, column)
    _refuse_no_header(sheet, column, _things(drafts, level)[0])
    lines = defaultdict(list)
    for r, cell in enumerate(sheet.column(column)):
        if cell is not None:
            lines[cell].append(r)
    rows: dict[int, tuple[int, ...]] = {}
    for name, thing in found.joined.items():
        for d in members[thing]:
            rows[d] = _rows_of(sheet, drafts[d], lines[cells[name]], side, day)
    if not several_rows:
        _refuse_duplicates(sheet, column, drafts, rows)
    unknown = tuple(r for name in found.unmatched for r in lines[cells[name]])
    why = (
        "you said so"
        if id_column
        else f"its values name {len(rows)} of {len(drafts)} images" + (f" by {level}" if level != "image" else "")
    )
    return Joined(sheet, column, level, {d: r for d, r in rows.items() if r}, found.rules, unknown, why)


def _refuse_no_header(sheet: Sheet, column: str, things: Sequence[Sequence[str]]) -> None:
    """A column that is itself called like an image is the first row of a sheet without a header."""
    if match((column,), things, what="column").joined:
        raise OverreadError(
            f"The sheet {sheet.path.name} has no header: its first line, {', '.join(sheet.columns[:5])}, names an image "
            f"('{column}') and would be lost.",
            "write the names of the columns into the first line, for example id,label",
        )


def _things(drafts: Sequence[Draft], level: str) -> tuple[list[tuple[str, ...]], list[list[int]]]:
    """Aliases of the things of a level, and which drafts belong to each."""
    if level == "image":
        return [d.aliases for d in drafts], [[k] for k in range(len(drafts))]
    groups: dict[str, list[int]] = defaultdict(list)
    for k, d in enumerate(drafts):
        name = d.exam if level == "exam" else d.patient
        if name:
            groups[name].append(k)
    aliases = [((name, *drafts[ks[0]].exam_aliases) if level == "exam" else (name,)) for name, ks in groups.items()]
    return [tuple(dict.fromkeys(a)) for a in aliases], list(groups.values())


def _rows_of(sheet: Sheet, draft: Draft, rows: Sequence[int], side: str | None, day: str | None) -> tuple[int, ...]:
    """The rows about this draft among those of its exam or patient: of its side, of its day."""
    kept = list(rows)
    if side is not None and draft.side:
        cells = sheet.column(side)
        kept = [r for r in kept if SIDE_WORDS.get((cells[r] or "").casefold()) == draft.side]
    if len(kept) > 1 and day is not None and draft.date is not None:
        days: list[date | None] = sheet.dates(day)
        same = [r for r in kept if days[r] == draft.date]
        kept = same or kept
    return tuple(kept)


def _refuse_duplicates(sheet: Sheet, column: str, drafts: Sequence[Draft], rows: Mapping[int, Sequence[int]]) -> None:
    several = {d: r for d, r in rows.items() if len(r) > 1}
    if not several:
        return
    some = []
    for found in list(dict.fromkeys(tuple(r) for r in several.values()))[:SHOWN]:
        some.append(f"'{sheet.column(column)[found[0]]}' in lines {', '.join(str(sheet.lines[r]) for r in found)}")
    raise OverreadError(
        f"The sheet {sheet.path.name} has more than one row for {len(several)} images (column '{column}'): {'; '.join(some)}.",
        "keep one row per image; if the rows are lesions of one exam, say how they make one truth: "
        "--aggregation any, max or mean",
    )


def _nothing_fits(sheet: Sheet, drafts: Sequence[Draft], columns: Sequence[str]) -> OverreadError:
    column = columns[0]
    some_rows = ", ".join(repr(c) for c in sheet.column(column)[:3] if c)
    some_images = ", ".join(repr(d.name) for d in drafts[:3])
    return OverreadError(
        f"No label matches an image: of {len(sheet.rows)} rows in {sheet.path.name} and {len(drafts)} images "
        "none is named alike. "
        f"Rows are called {some_rows} (column '{column}'); images are called {some_images}.",
        "give the sheet a column with file names, patient, study or accession numbers, or name that column with --id-column",
    )


def describe_unknown(joined: Joined, drafts: Sequence[Draft]) -> list[str]:
    """The first rows that fit no image, each with the image named most alike."""
    names = [a for d in drafts for a in d.aliases[:1]]
    lines = []
    for r in joined.unknown[:SHOWN]:
        cell = joined.sheet.column(joined.column)[r] or ""
        near = difflib.get_close_matches(cell, names, 1, cutoff=0.5) if len(names) < 5000 else []
        lines.append(
            f"{joined.sheet.path.name}, line {joined.sheet.lines[r]}: no usable image is called '{cell}'"
            + (f"; the nearest is {near[0]}" if near else "")
        )
    if len(joined.unknown) > SHOWN:
        lines.append(f"and {len(joined.unknown) - SHOWN} more")
    return lines
