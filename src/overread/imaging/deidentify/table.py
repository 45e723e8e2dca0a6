"""PS3.15 Table E.1-1 as data, and the choice among combined actions such as X/Z/D.

X remove, Z empty, D dummy value, U new UID, K keep, C clean. Sources and edition: SOURCES.md beside this file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

EDITION = "2026c"
OPTIONS = (
    "safe_private",
    "uids",
    "device",
    "institution",
    "patient",
    "dates_full",
    "dates_modified",
    "descriptors",
    "structured",
    "graphics",
)
CURVES, OVERLAYS = 0x5000, 0x6000
BY_TYPE = {
    "X/Z/D": {1: "D", 2: "Z", 3: "X"},
    "X/Z/U*": {1: "U", 2: "U", 3: "U"},  # the references stay useful and their UIDs are new ones
    "X/Z": {1: "Z", 2: "Z", 3: "X"},
    "X/D": {1: "D", 2: "D", 3: "X"},
    "Z/D": {1: "D", 2: "Z", 3: "Z"},
}


@dataclass(frozen=True)
class Row:
    """One attribute of the table; `options` holds K or C by option, absent where the column is blank."""

    tag: str
    name: str
    basic: str
    options: Mapping[str, str]


@cache
def table() -> Mapping[int, Row]:
    """Attributes by tag, without the repeating groups."""
    return {int(row.tag, 16): row for row in _rows() if "x" not in row.tag}


@cache
def row_of(tag: int) -> Row | None:
    """The row of an attribute; curves (50xx) and overlays (60xx) have one row per kind."""
    repeated = tag >> 16 & 0xFF01  # even groups 5000 to 50FE and 6000 to 60FE
    if repeated == CURVES:
        return _repeating()["50xxxxxx"]
    if repeated == OVERLAYS:
        comments = tag & 0xFFFF == 0x4000
        return _repeating()["60xx4000" if comments else "60xx3000"]
    return table().get(tag)


def chosen(action: str, tag: int, sop_class: str, parent: int | None) -> str:
    """One action out of a combination, by the attribute's type in its object or its enclosing sequence.

    parent  tag of the sequence that holds the attribute; None at the top level
    """
    return BY_TYPE[action][attribute_type(tag, sop_class, parent)] if action in BY_TYPE else action


def attribute_type(tag: int, sop_class: str, parent: int | None) -> int:
    """1, 2 or 3 after PS3.3; the strictest known where the SOP class is not in the table."""
    by_context = _types().get(tag, {})
    if parent is not None:
        return by_context.get(f"{parent:08x}", 3)
    if sop_class in _known_classes():
        return by_context.get(sop_class, 3)
    return min((kind for context, kind in by_context.items() if "." in context), default=3)


def _read(name: str) -> list[dict[str, str]]:
    with files(__package__).joinpath(name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _rows() -> tuple[Row, ...]:
    return tuple(
        Row(line["tag"], line["name"], line["basic"], {option: line[option] for option in OPTIONS if line[option]})
        for line in _read("table_e1_1.csv")
    )


@cache
def _repeating() -> Mapping[str, Row]:
    return {row.tag: row for row in _rows() if "x" in row.tag}


@cache
def _types() -> Mapping[int, Mapping[str, int]]:
    types: dict[int, dict[str, int]] = {}
    for line in _read("attribute_types.csv"):
        types.setdefault(int(line["tag"], 16), {}).update(dict.fromkeys(line["contexts"].split(), int(line["type"])))
    return types


@cache
def _known_classes() -> frozenset[str]:
    return frozenset(context for by_context in _types().values() for context in by_context if "." in context)
