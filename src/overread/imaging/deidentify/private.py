"""Private attributes: all go, except on request the few that PS3.15 Table E.3.10-1 names as safe.

Kept are numbers of physics only (diffusion weighting, scaling of PET, table speed), under the creator that
reserved their block, and only where they really hold numbers, so that no text passes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag


@cache
def safe_elements() -> frozenset[tuple[str, int, int]]:
    """Creator, group and low byte of the element."""
    with files(__package__).joinpath("safe_private.csv").open(encoding="utf-8") as file:
        return frozenset((row["creator"], int(row["group"], 16), int(row["element"], 16)) for row in csv.DictReader(file))


def kept_private(tags: Dataset) -> set[BaseTag]:
    """Safe elements in one data set, and the creator elements that they need."""
    kept: set[BaseTag] = set()
    for tag in sorted(tags.keys()):
        creator_tag = BaseTag(tag.group << 16 | tag.element >> 8)
        if not tag.is_private or tag.element < 0x1000 or creator_tag not in tags:
            continue
        creator = str(tags[creator_tag].value).strip()
        if (creator, tag.group, tag.element & 0xFF) in safe_elements() and _is_numeric(tags[tag].value):
            kept |= {tag, creator_tag}
    return kept


def _is_numeric(value: Any) -> bool:
    values = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    return all(isinstance(v, int | float) for v in values)
