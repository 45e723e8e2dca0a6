"""The page of explanations: one HTML file with a section for every part that was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from overread.reporting.explanation.covariates import covariates_section
from overread.reporting.explanation.embedding import embedding_section
from overread.reporting.explanation.flips import flips_section
from overread.reporting.explanation.inside import inside_section
from overread.reporting.explanation.maps import maps_section
from overread.reporting.explanation.trial import trial_section
from overread.reporting.explanation.uncertainty import uncertainty_section
from overread.reporting.page import environment
from overread.reporting.page_parts import Part, Section

# In the order of the page: the trial comes before the maps that it judges.
SECTIONS: dict[str, Callable[[Part], Section]] = {
    "trial": trial_section,
    "maps": maps_section,
    "covariates": covariates_section,
    "inside": inside_section,
    "embedding": embedding_section,
    "uncertainty": uncertainty_section,
    "flips": flips_section,
}


def explanation_page(title: str, run: str, *, is_phantom: bool, parts: Mapping[str, Part], are_pseudonyms: bool = True) -> str:
    """The page as HTML.

    parts           by name, one of `SECTIONS` each
    are_pseudonyms  the names of cases; studies that were given are called as their files are
    """
    sections = [make(parts[name]) for name, make in SECTIONS.items() if name in parts]
    template = environment().get_template("explanation.html.j2")
    written = datetime.now(UTC).strftime("%-d %B %Y")
    return template.render(
        title=title, run=run, is_phantom=is_phantom, sections=sections, written=written, are_pseudonyms=are_pseudonyms
    )
