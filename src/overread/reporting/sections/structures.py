"""Structures before and after: does what a network answered keep the anatomy? From `structures.json`."""

from __future__ import annotations

from collections.abc import Sequence

from overread.core.score import Interval
from overread.reporting.given import Record
from overread.reporting.page_parts import Block, Section, Table, Words
from overread.reporting.sections.results import counts

MEANING = (
    "Scores of similarity cannot tell whether an image keeps the anatomy: a small lesion that is gone costs it next to nothing. "
    "So one model of segmentation drew both images of each case. A Dice of 1 and a change of volume of 0 mean that it found the "
    "same in both; what it errs by itself counts as well. An erased lesion cannot be seen by anybody who is shown the answer "
    "alone, and an invented one no patient has."
)
ALONG_MASKS = (
    "An image was made along the mask of each case, and a model of segmentation drew on it. A Dice of 1 and a change of volume "
    "of 0 mean that it found the mask again; what it errs by itself counts as well. Whoever learns from made images with these "
    "masks learns from every mask that the image does not follow, too."
)
OF_STRUCTURES = (
    ("dice", "Dice"),
    ("volume_error_percent", "Change of volume (%)"),
    ("absolute_volume_error_percent", "Size of the change (%)"),
    ("volume_error_ml", "Change (ml)"),
)  # fmt: skip
OF_LESIONS = (
    ("erased", "Erased"),
    ("invented", "Invented"),
    ("invented_per_case", "Invented per case"),
    ("erased_volume", "Erased share of their volume"),
    ("invented_volume", "Invented share of their volume"),
)  # fmt: skip


def structure_section(name: str, found: Record) -> Section:
    """For one training: tables with intervals, the sentence of each kind of lesion, and what it means.

    found  what `overread structures` left
    """
    lesions = list(dict.fromkeys(row["subject"] for row in found["scores"] if row["metric"] == "erased"))
    drawn = list(dict.fromkeys(row["subject"] for row in found["scores"]))
    along = bool(found.get("along_masks"))
    images = "in the mask and on the image made along it" if along else "on the true and on the answered image"
    blocks: list[Block] = [_table(f"Structures {images}", "Structure", drawn, OF_STRUCTURES, found)]
    if lesions:
        blocks.append(_table("Lesions", "Lesion", lesions, OF_LESIONS, found))
        blocks += [Words(sentence) for sentence in found["sentences"]]
    blocks.append(Words(found["rule"]))
    blocks += [Words(f"{note[0].upper()}{note[1:]}.") for note in found.get("notes", ())]
    told = f"{counts(found['n_cases'], found['n_patients'])}, of the tuning partition"
    refused = f"; {found['refused']} more were {'refused' if along else 'not answered'}" if found["refused"] else ""
    usual = "Is the mask found again?" if along else "What was kept"
    meaning = ALONG_MASKS if along else MEANING
    return Section("structures", f"In {name}" if name else usual, f"{told}{refused}. {meaning}", blocks)


def _table(title: str, head: str, subjects: Sequence[str], columns: Sequence[tuple[str, str]], found: Record) -> Table:
    by_name = {(row["subject"], row["metric"]): row for row in found["scores"]}
    rows = [(subject, *(_short(by_name.get((subject, key))) for key, _ in columns)) for subject in subjects]
    methods = dict.fromkeys(_method(by_name[pair]) for pair in by_name if pair[1] in dict(columns))
    note = "; ".join(method for method in methods if method)
    return Table(title, (head, *(words for _, words in columns)), rows, f"Intervals: {note}." if note else "")


def _short(row: Record | None) -> str | None:
    return None if row is None else Interval.from_dict(dict(row["interval"])).short


def _method(row: Record) -> str:
    interval = row["interval"]
    return f"{100 * interval['level']:g} %, {interval['method']}" if interval["low"] is not None else ""
