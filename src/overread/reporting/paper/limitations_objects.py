"""Limitations of detection and instances, drafted from what the record shows."""

from __future__ import annotations

from collections.abc import Iterator

from overread.reporting.given import Record
from overread.reporting.paper.limitation import Limitation
from overread.reporting.words import listed

_FEW_OBJECTS = 30  # of a class in the test: below, one object more or less moves a sensitivity by more than 3 %


def of_objects(evaluation: Record | None) -> Iterator[Limitation]:
    """What stands between these scores and a reader's trust; nothing where the answers are no objects."""
    if evaluation is None or evaluation["task"] not in ("detection", "instances"):
        return
    cases, names = evaluation["cases"], evaluation["question"]["classes"]
    counted = {name: sum(case["truth"].get(name, 0) for case in cases) for name in names}
    few = [f"{count} of {name}" for name, count in counted.items() if count < _FEW_OBJECTS]
    if few:
        yield Limitation(f"Few objects were to be found: {listed(few)}.", f"fewer than {_FEW_OBJECTS} objects of a class")
    if not any(sum(case["truth"].values()) == 0 for case in cases):
        yield Limitation(
            "Every case held an object, so false positives in patients without a finding are not known.",
            "no case without an object",
        )
    items = [item for case in cases for item in case.get("objects") or ()]
    if items and all(item.get("size_mm") is None for item in items):
        yield Limitation("Sizes of objects in mm were not known; bands of size are in pixels.", "no spacing in the files")
    if why := _leniency(str((evaluation.get("rules") or {}).get("matching", ""))):
        yield Limitation(f"An object counted as found {why}, which says little of its extent.", "matching criterion")


def _leniency(rule: str) -> str:
    """A criterion that a coarse answer meets, in words; "" where extent is asked for."""
    if "overlap by at least 0.1" in rule:
        return "from an overlap of 0.1"
    if " apart" in rule:
        return "by the distance of centres alone"
    return "where the answer's centre lay in it" if "lies in" in rule else ""
