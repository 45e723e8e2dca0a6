"""A page of sections without a table of contents: what it is about, drawings, tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from overread.reporting.page import environment
from overread.reporting.page_parts import Section


def sheet(title: str, kicker: str, lead: str, sections: Sequence[Section], footer: str, *, is_phantom: bool = False) -> str:
    """The page as HTML that needs nothing else."""
    written = datetime.now(UTC).strftime("%-d %B %Y")
    return (
        environment()
        .get_template("sheet.html.j2")
        .render(title=title, kicker=kicker, lead=lead, sections=sections, footer=footer, written=written, is_phantom=is_phantom)
    )
