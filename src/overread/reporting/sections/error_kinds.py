"""What kind of error a false positive or a miss is, told from the boxes of the case. The reference may be wrong, too.

After Bolya et al., TIDE, ECCV 2020: beside an object, another class, twice, or where there is nothing. Overlap is that of boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from overread.metrics.objects.overlap import box_iou

Record = Mapping[str, Any]

TOUCHES = 0.1  # intersection over union from which two boxes have to do with each other, as in TIDE
NOTHING, UNMARKED = "no reference there", "nothing was marked there"


def error_kinds(objects: Sequence[Record]) -> list[str]:
    """One for each object of a case, as the evaluation lists them: "" for those found."""
    if not objects:
        return []
    corners = np.array([item["box"] for item in objects], dtype=float).reshape(-1, 2, 3)
    overlap = box_iou(corners, corners)
    return [_kind(objects, k, overlap[k]) for k in range(len(objects))]


def _kind(objects: Sequence[Record], number: int, overlap: np.ndarray) -> str:
    item = objects[number]
    if item["state"] == "matched":
        return ""
    others = ("missed", "matched") if item["state"] == "false" else ("false",)
    touched = [k for k, other in enumerate(objects) if other["state"] in others and overlap[k] >= TOUCHES]
    if not touched:
        return NOTHING if item["state"] == "false" else UNMARKED
    nearest = max(touched, key=lambda k: (overlap[k], objects[k]["class"] == item["class"]))
    other = objects[nearest]
    is_same = other["class"] == item["class"]
    if item["state"] == "missed":
        return f"marked, but beside (overlap {overlap[nearest]:.2f})" if is_same else f"marked as {other['class']}"
    if other["state"] == "matched":
        return "one that is found is marked twice" if is_same else f"it is a found {other['class']}"
    return f"beside a missed one (overlap {overlap[nearest]:.2f})" if is_same else f"it is a missed {other['class']}"


def kinds_counted(kinds: Sequence[tuple[str, str]]) -> list[tuple[str, list[tuple[str, int]]]]:
    """(state, kind) of every error -> per state how many of which kind, most frequent first; overlaps and classes left out."""
    told: dict[str, Counter[str]] = {"false": Counter(), "missed": Counter()}
    for state, kind in kinds:
        told[state][_short(kind)] += 1
    return [(state, counts.most_common()) for state, counts in told.items() if counts]


def _short(kind: str) -> str:
    kind = kind.partition(" (overlap")[0]
    for words, short in (("it is a ", "an object of another class"), ("marked as ", "marked as another class")):
        if kind.startswith(words):
            return short
    return kind
