"""The page of made images: how near they are to real ones, how varied, whether any repeats a training image."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from overread.core.score import Interval
from overread.reporting.generation.translated_page import (
    BETTER,
    is_translation,
    translated_dateline,
    translated_lead,
    translated_sections,
)
from overread.reporting.page import environment
from overread.reporting.page_parts import Block, Picture, Pictures, Section, Table, Words

Record = Mapping[str, Any]


def fidelity_page(title: str, record: Record, pictures: Mapping[str, bytes]) -> str:
    """The page as HTML, from what `fidelity.json` holds and the pictures by name."""
    found = record["fidelity"]
    dateline = (
        translated_dateline(record)
        if is_translation(record)
        else f"{found['n_made']} images made by {record['made_by']}, {found['n_real']} real ones of {found['n_real_patients']} "
        "patients of the tuning partition"
    )
    return (
        environment()
        .get_template("searches.html.j2")
        .render(
            kicker="Fidelity of made images",
            title=title,
            lead=lead(record),
            dateline=dateline,
            warning="Every image here that is not called real was made by a network. None is evidence about a patient.",
            sections=fidelity_sections(record, pictures),
            is_phantom=record["is_phantom"],
            shows_cases=True,
            written=datetime.now(UTC).strftime("%-d %B %Y"),
        )
    )


def fidelity_sections(record: Record, pictures: Mapping[str, bytes]) -> list[Section]:
    """What was made, how near it is to real images, and whether training images are repeated."""
    if is_translation(record):
        return translated_sections(record, pictures)
    return [_seen(record, pictures), _near(record), _repeated(record, pictures)]


def lead(record: Record) -> str:
    """What was found, in two sentences."""
    if is_translation(record):
        return translated_lead(record)
    kid = next(row for row in record["fidelity"]["scores"] if row["metric"] == "kid")
    return f"Kernel distance to real images {Interval.from_dict(kid['interval']).short}. {record['memory']['sentence']}"


def _seen(record: Record, pictures: Mapping[str, bytes]) -> Section:
    shown = [Picture(pictures["made.png"], f"Made with seed {record['seed']}; all are synthetic.")]
    if "looks.png" in pictures:
        shown.append(Picture(pictures["looks.png"], "Rows: looks during training; columns: the same random numbers."))
    words = "Nothing was chosen: these are the first ones."
    if masks := record.get("along_masks_of_tuning_cases"):
        words += f" Each was made along the mask of a tuning case, {masks} in turn, so where structures lie was given."
    if classes := record.get("classes"):
        asked = ", ".join(f"{count} of class {name}" for name, count in classes.items())
        words += f" They were asked for by class, as the tuning cases are: {asked}."
    return Section("made", "What was made", words, [Pictures(shown, is_wide=True)])


def _near(record: Record) -> Section:
    found, floor = record["fidelity"], record["fidelity"]["floor"] or {}
    rows = [
        (
            row["name"],
            Interval.from_dict(row["interval"]).short,
            None if floor.get(row["metric"]) is None else f"{floor[row['metric']]:.4g}",
            BETTER.get(row["better"], ""),
        )
        for row in found["scores"]
    ]
    note = "Real: the same between tuning and training images, which a perfect maker would reach."
    blocks: list[Block] = [Table("Made beside real images", ("measure", "made", "real", ""), rows, note)]
    blocks += [Words(text) for text in found["notes"]]
    return Section("near", "How near, how varied", f"By features of {found['network']}.", blocks)


def _repeated(record: Record, pictures: Mapping[str, bytes]) -> Section:
    found = record["memory"]
    blocks: list[Block] = [Words(found["sentence"], is_warning=found["fires"]), Words(found["rule"])]
    caption = "Left: made. Right: the nearest training image, with the distance of their features."
    blocks.append(Pictures([Picture(pictures["nearest.png"], caption, is_failed=found["fires"])], is_wide=True))
    blocks.append(Words("The nearest training image of every made one stands in fidelity/nearest.csv of the run."))
    rows = [(row["name"], Interval.from_dict(row["interval"]).short) for row in found["scores"]]
    blocks.append(Table("Distances to training images", ("measure", "value"), rows))
    return Section(
        "repeated", "Are training images repeated?", "A model that repeats its training images gives patients away.", blocks
    )
