"""What the sheet says of each exam: patient, side, date, site, scanner and covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from overread.cohort.columns import Roles, infer_roles
from overread.cohort.draft import Draft
from overread.cohort.join import Joined, join_sheet
from overread.cohort.names import NAME_RULES, SIDE_WORDS
from overread.cohort.request import Request
from overread.cohort.sheet import Sheet, is_number, refuse_rounded_ids, to_number
from overread.core.errors import OverreadError


def join_requested(request: Request, sheet: Sheet | None, drafts: Sequence[Draft]) -> tuple[Joined | None, Roles | None]:
    by_column = None if request.group_by in NAME_RULES else request.group_by
    if sheet is None:
        for name, value in (
            ("--group-by", by_column),
            ("--id-column", request.id_column),
            ("--site", request.site),
        ):
            if value:
                raise OverreadError(
                    f"{name} names the column '{value}', but there is no sheet.", "give the sheet with --sheet FILE"
                )
        return None, None
    said = {
        "patient": by_column,
        "date": request.date,
        "side": request.side,
        "site": request.site,
        "scanner": request.scanner,
    }
    before = infer_roles(sheet, request.id_column or "", said, request.covariates)
    by_lesion = request.said.unit == "lesion"
    several_rows = by_lesion or request.aggregation != "none"
    joined = join_sheet(sheet, drafts, request.id_column, side=before.side, day=before.date, several_rows=several_rows)
    if by_lesion:
        _refuse_shared_images(joined)
    roles = infer_roles(sheet, joined.column, said, request.covariates)
    if roles.patient:
        refuse_rounded_ids(sheet, roles.patient)
    return joined, roles


def _refuse_shared_images(joined: Joined) -> None:
    """One answer per lesion needs one image per lesion."""
    shared = [rows for rows in joined.rows.values() if len(rows) > 1]
    if shared:
        first, sheet = shared[0], joined.sheet
        raise OverreadError(
            f"The unit of analysis is the lesion, and {len(shared)} {'image has' if len(shared) == 1 else 'images have'} several "
            f"lesions (rows of {sheet.path.name}, '{sheet.column(joined.column)[first[0]]}' in lines "
            f"{', '.join(str(sheet.lines[r]) for r in first)} for example); an image has one answer here.",
            "give each lesion an image of its own, or ask for one answer per exam: --unit exam --aggregation max, mean or any",
        )


def enriched(draft: Draft, k: int, joined: Joined | None, roles: Roles | None) -> Draft:
    """A draft with what its row of the sheet says of patient, side, date, site, scanner and covariates."""
    if joined is None or roles is None or k not in joined.rows:
        return draft

    def cell(column: str | None) -> str | None:
        return None if column is None else joined.cell(k, column)

    covariates = {**draft.covariates, **{n: _value(cell(c)) for n, c in roles.covariates.items() if cell(c) is not None}}
    day: date | None = draft.date
    if roles.date is not None:
        day = joined.sheet.dates(roles.date)[joined.rows[k][0]] or day
    return replace(
        draft,
        patient=cell(roles.patient) or draft.patient,
        side=SIDE_WORDS.get((cell(roles.side) or "").casefold(), draft.side),
        date=day,
        site=cell(roles.site) or draft.site,
        scanner=cell(roles.scanner) or draft.scanner,
        covariates=covariates,
    )


def _value(cell: str | None) -> Any:
    if cell is None or not is_number(cell):
        return cell
    return int(cell) if cell.lstrip("-").isdecimal() else to_number(cell)


def matched(joined: Joined | None) -> list[str]:
    if joined is None:
        return []
    rules = ", ".join(f"{n} by {rule}" for rule, n in joined.rules.items())
    about = "" if joined.level == "image" else f"; a row is about {'an' if joined.level == 'exam' else 'a'} {joined.level}"
    return [f"sheet column '{joined.column}' names the images: {len(joined.rows)} images have a row ({rules}){about}"]
