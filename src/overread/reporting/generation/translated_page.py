"""Images translated without pairs, in words and tables: did they move towards the kind that was wanted?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overread.core.score import Interval
from overread.reporting.page_parts import Block, Picture, Pictures, Section, Table, Words

Record = Mapping[str, Any]
BETTER = {"lower": "lower is better", "higher": "higher is better"}
NOT_THE_ANATOMY = (
    "Looking like the wanted kind says nothing of whether the anatomy is still the patient's: a translation can erase a finding "
    "or invent one. The verb structures compares organs and lesions before and after."
)


def is_translation(record: Record) -> bool:
    """Whether a record of fidelity is of images that were translated without pairs."""
    return "kinds" in record


def translated_dateline(record: Record) -> str:
    first, second = record["kinds"]
    found = record["fidelity"]
    return (
        f"{found['n_made']} images of kind {first} of {record['n_patients_translated']} patients of the tuning partition, "
        f"translated by {record['made_by']}; {found['n_real']} real ones of kind {second} of {found['n_real_patients']} patients"
    )


def translated_lead(record: Record) -> str:
    """What was found, in two sentences."""
    second = record["kinds"][1]
    after, before = (_interval(rows, "kid") for rows in (record["fidelity"]["scores"], record["untouched"]))
    return (
        f"Kernel distance to real images of kind {second}: {before.short} as they were read, {after.short} translated. "
        f"{record['memory']['sentence']}"
    )


def translated_sections(record: Record, pictures: Mapping[str, bytes]) -> list[Section]:
    """What became of some images, how near they came, and whether training images are repeated."""
    caption = "Left: as it was read. Middle: translated. Right: a real one of another patient. Nothing was chosen."
    shown = Pictures([Picture(pictures["translated.png"], caption)], is_wide=True)
    first, second = record["kinds"]
    return [
        Section("made", "What was translated", f"From {first} to {second}.", [shown, Words(NOT_THE_ANATOMY)]),
        _near(record),
        _repeated(record),
    ]


def _near(record: Record) -> Section:
    found, floor = record["fidelity"], record["fidelity"]["floor"] or {}
    second = record["kinds"][1]
    rows = [
        (
            row["name"],
            Interval.from_dict(row["interval"]).short,
            _interval(record["untouched"], row["metric"]).short,
            None if floor.get(row["metric"]) is None else f"{floor[row['metric']]:.4g}",
            BETTER.get(row["better"], ""),
        )
        for row in found["scores"]
    ]
    note = (
        f"As read: the same images before they were translated. Real: tuning against training images of kind {second}, which a "
        "perfect translation would reach. Each translated image counts by itself, also where a patient has several."
    )
    head = ("measure", "translated", "as read", "real", "")
    blocks: list[Block] = [Table(f"Beside real images of kind {second}", head, rows, note)]
    blocks += [Words(text) for text in found["notes"]]
    return Section("near", f"Do they look like {second}?", f"By features of {found['network']}.", blocks)


def _repeated(record: Record) -> Section:
    found = record["memory"]
    blocks: list[Block] = [Words(found["sentence"], is_warning=found["fires"]), Words(found["rule"])]
    rows = [(row["name"], Interval.from_dict(row["interval"]).short) for row in found["scores"]]
    blocks.append(Table(f"Distances to training images of kind {record['kinds'][1]}", ("measure", "value"), rows))
    why = "A translation that gives different patients the same image has learned that image, not to translate."
    return Section("repeated", "Are training images repeated?", why, blocks)


def _interval(rows: list[dict[str, Any]], metric: str) -> Interval:
    return Interval.from_dict(next(row for row in rows if row["metric"] == metric)["interval"])
