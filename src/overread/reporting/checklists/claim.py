"""CLAIM 2024, item by item: filled, needs author, or not applicable, with a pointer to the proof.

An item is filled only where the record holds all of it, or the author has answered. What the record holds of the others
is written beside "needs author", so that the author adds and does not begin anew.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from overread.reporting.checklists.items import ITEMS, SOURCE, Item
from overread.reporting.checklists.known import Known
from overread.reporting.checklists.record import from_record
from overread.reporting.given import ReportInput

FILLED, AUTHOR, NOT_APPLICABLE = "filled", "needs author", "not applicable"
STATUSES = (FILLED, AUTHOR, NOT_APPLICABLE)


@dataclass(frozen=True)
class ClaimRow:
    """One item as answered.

    record  what the record of the run says of it; "" where nothing
    answer  what the author wrote in claim.toml; "" where nothing
    proof   pointers: sections of the report ("report.html#plan"), files of the project, entries of the ledger
    """

    item: Item
    status: str
    record: str
    answer: str
    proof: tuple[str, ...]


def claim_rows(given: ReportInput) -> list[ClaimRow]:
    """All 44 items in order."""
    known = from_record(given)
    return [_row(item, known.get(item.number, Known()), given.answer(f"claim.{item.number}")) for item in ITEMS]


def _row(item: Item, known: Known, answer: str) -> ClaimRow:
    if answer:
        status = NOT_APPLICABLE if answer.lower().startswith("not applicable") else FILLED
        return ClaimRow(item, status, known.text, answer, (*known.proof, f"claim.toml: claim.{item.number}"))
    if known.does_not_apply:
        return ClaimRow(item, NOT_APPLICABLE, known.text, "", known.proof)
    return ClaimRow(item, FILLED if known.is_whole else AUTHOR, known.text, "", known.proof)


def tally(rows: Iterable[ClaimRow]) -> str:
    """``14 filled, 28 need the author, 2 not applicable``"""
    counts = Counter(row.status for row in rows)
    return f"{counts[FILLED]} filled, {counts[AUTHOR]} need the author, {counts[NOT_APPLICABLE]} not applicable"


def claim_csv(rows: Sequence[ClaimRow]) -> str:
    """The checklist as a table for a spreadsheet."""
    head = (
        "item",
        "part",
        "subject (paraphrased)",
        "status",
        "from the record",
        "author's answer",
        "asked of the author",
        "proof",
    )
    body = [
        (
            str(r.item.number), r.item.part, r.item.subject, r.status, r.record, r.answer,
            r.item.ask if r.status == AUTHOR else "", "; ".join(r.proof),
        )
        for r in rows
    ]  # fmt: skip
    return as_csv(head, [*body, ("", "", f"Subjects are paraphrased; official wording: {SOURCE}.", "", "", "", "", "")])


def as_csv(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; a cell that a spreadsheet would take for a formula is set in quotation marks of its own."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "@") else cell
