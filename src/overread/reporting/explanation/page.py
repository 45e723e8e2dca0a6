"""The page of explanations: one HTML file with a section for every part that was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from overread.reporting.explanation.blocks import Part, Section
from overread.reporting.page import environment

# In the order of the page: the trial comes before the maps that it judges.
SECTIONS: dict[str, Callable[[Part], Section]] = {}


def explanation_page(title: str, run: str, *, is_phantom: bool, parts: Mapping[str, Part]) -> str:
    """The page as HTML.

    parts  by name: "trial", "maps", "inside", "embedding", "uncertainty", "flips"
    """
    sections = [make(parts[name]) for name, make in SECTIONS.items() if name in parts]
    template = environment().get_template("explanation.html.j2")
    written = datetime.now(UTC).strftime("%-d %B %Y")
    return template.render(title=title, run=run, is_phantom=is_phantom, sections=sections, written=written)
