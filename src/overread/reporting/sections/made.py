"""Made images in the report of a run: how near they are to real ones, whether any repeats a training image, and grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from overread.reporting.generation.fidelity_page import fidelity_sections
from overread.reporting.page_parts import Part, Picture, Pictures, Section
from overread.reporting.sections.verdict import Verdict

JUDGES = ("critic", "penalty")  # how the names of a critic's terms begin
LOOKS = "Made during training from the same random numbers: a row per look, a column per random number. All are synthetic."
UNJUDGED = "How near these images are to real ones was not measured; `overread fidelity` does."


def made_sections(name: str, part: Part) -> list[Section]:
    """For one training: what its record of fidelity says; where there is none, what was made while it learned."""
    if part.record:
        sections = fidelity_sections(part.record, part.pictures)
    elif "looks.png" in part.pictures:
        shown = Pictures([Picture(part.pictures["looks.png"], LOOKS)], is_wide=True)
        sections = [Section("made", "What was made", UNJUDGED, [shown])]
    else:
        sections = [Section("made", "What was made", UNJUDGED)]
    return [replace(section, title=f"{section.title}, {name}" if name else section.title) for section in sections]


def unjudged(question: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Verdict | None:
    """Of a maker and a critic that learn against each other the loss says nothing of the images; None for other trainings."""
    terms = {name for event in events if event.get("event") == "epoch" for name in event.get("losses") or {}}
    if question["task"] != "synthesize" or not any(term.startswith(JUDGES) for term in terms):
        return None
    return Verdict(
        "rivals",
        "A maker and a critic learned against each other: their losses say who was ahead, not how good the images are.",
        "Judge the images themselves: those made during training, and what fidelity says of them.",
    )
