"""Anomalies in the report of a model of normal images: how well they tell normal from abnormal cases of a labelled project."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from markupsafe import Markup

from overread.reporting.generation.anomaly_page import anomaly_scores, dateline, lead
from overread.reporting.given import Record
from overread.reporting.page_parts import Section, Words

PLACE = "anomaly"
PAGE = "anomaly.html"
BESIDE = Markup('Cases in order, regions and pictures stand on a page of their own, <a href="{}">{}</a>, beside this one.')


def anomaly_sections(name: str, found: Record) -> list[Section]:
    """What was found in one labelled project, and where its page lies; pictures and regions stand there.

    name   of the training; "" where there is one
    found  what `overread anomaly --images PROJECT` left
    """
    where = f"{name.replace(' ', '-')}/" if name else ""
    page = f"{where}{PLACE}/{found['of']}/{PAGE}"
    sections = anomaly_scores(found)
    said = Section(
        "anomaly",
        f"In the project {found['of']}" + (f", {name}" if name else ""),
        f"{lead(found)} {dateline(found)}.",
        [Words(BESIDE.format(quote(page), page))],
    )
    notes = Section("limits", "What it does not tell", "", [Words(note) for note in found["notes"]])
    return [said, *(replace(one, key=f"anomaly-{one.key}") for one in sections), notes]
