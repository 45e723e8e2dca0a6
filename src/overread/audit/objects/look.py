"""What is wrong with drawn objects: labelled twice, under two classes, cut by the border, of unusual size; clean images.

Truths under seal are never opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from overread.audit.audited import Audited
from overread.audit.concern import Concern, counted_as
from overread.audit.masks.rules import FEWEST, LEVEL, chance_limit, robust_z
from overread.audit.objects.facts import TWICE, CaseObjects, ObjectFact, case_objects
from overread.cohort.progress import Progress, work_through
from overread.core.errors import OverreadError
from overread.core.kinds import Boxes

SHOWN = 20  # worst objects that are listed
OFTEN_CUT = 0.1  # of the objects of a class


def measure_objects(audited: Audited, progress: Progress | None = None) -> list[CaseObjects]:
    """One per open case; a truth that cannot be opened is left out, as training would stop at it by name."""
    if audited.open_objects is None:
        return []
    work = partial(_measured, audited.open_objects)
    names = [case.case_id for case in audited.open_cases]
    return [one for one in work_through(work, names, "Looking at the objects", progress) if one is not None]


def _measured(open_objects: Callable[[str], Boxes], case_id: str) -> CaseObjects | None:
    try:
        return case_objects(case_id, open_objects(case_id))
    except OverreadError:
        return None


def object_concerns(audited: Audited, cases: Sequence[CaseObjects]) -> list[Concern]:
    if not cases:
        return []
    return [*_twice(audited, cases), *_of_two_classes(audited, cases), *_unusual(audited, cases), *_cut(audited, cases),
            *_none_clean(audited, cases)]  # fmt: skip


def _twice(audited: Audited, cases: Sequence[CaseObjects]) -> list[Concern]:
    found = [case for case in cases if case.twice]
    if not found:
        return []
    counts = Counter(case.objects[a].name for case in found for a, _ in case.twice)
    told = ", ".join(f"{name} {n}" for name, n in counts.items())
    return [
        Concern(
            "object-labelled-twice",
            "labels",
            "warning",
            f"{counted_as(sum(counts.values()), 'pair')} of objects of one class overlap by more than {TWICE:g} "
            f"(intersection over union) in {counted_as(len(found), 'image')}: {told}.",
            "One object that was labelled twice counts twice: a model that finds it once is told that it missed the other, and "
            "one that finds it twice is rewarded.",
            "Boxes of two different objects hardly ever agree so well; two readers in one file, or a label saved twice, do.",
            "Look at these images and keep one label of each; labels of several readers go into a folder for each reader.",
            {"pairs": dict(counts), "overlap": TWICE},
            cases=[(case.case_id,) for case in found],
            partitions=_partitions(audited, found),
        )
    ]


def _of_two_classes(audited: Audited, cases: Sequence[CaseObjects]) -> list[Concern]:
    found = [case for case in cases if case.of_two_classes]
    if not found:
        return []
    counts = Counter(
        " and ".join(sorted((case.objects[a].name, case.objects[b].name))) for case in found for a, b in case.of_two_classes
    )
    told = ", ".join(f"{names} {n}" for names, n in counts.items())
    return [
        Concern(
            "object-of-two-classes",
            "labels",
            "warning",
            f"{counted_as(sum(counts.values()), 'object')} in {counted_as(len(found), 'image')} carry two classes: {told}.",
            "Boxes of two classes around one thing teach both, and one of the two answers will be counted as false.",
            f"They overlap by more than {TWICE:g}. Right where one thing is both: a filled tooth may be carious.",
            "Look at these images; keep the class that is right, or say in the paper that an object may have two.",
            {"pairs": dict(counts), "overlap": TWICE},
            cases=[(case.case_id,) for case in found],
            partitions=_partitions(audited, found),
        )
    ]


def _unusual(audited: Audited, cases: Sequence[CaseObjects]) -> list[Concern]:
    """Far larger or smaller than the others of their class; objects that the border cuts are left out."""
    by_class = _by_class(cases)
    flagged: list[tuple[ObjectFact, float]] = []
    for objects in by_class.values():
        whole = [o for o in objects if not o.is_cut and o.longest > 0]
        if len(whole) >= FEWEST:
            far, limit = robust_z(np.log([o.longest for o in whole])), chance_limit(len(whole), len(by_class))
            flagged += [(o, float(z)) for o, z in zip(whole, far, strict=True) if abs(z) > limit]
    if not flagged:
        return []
    flagged.sort(key=lambda pair: -abs(pair[1]))
    counts = Counter(o.name for o, _ in flagged)
    unit = _unit(audited)
    told = ", ".join(f"{name} {n} of {len(by_class[name])}" for name, n in counts.items())
    first = flagged[0][0]
    ids = list(dict.fromkeys(o.case_id for o, _ in flagged))
    return [
        Concern(
            "object-unusual-size",
            "labels",
            "warning",
            f"Objects of an unusual size for their class: {told}; the most unusual is {first.longest:.3g} {unit} long.",
            "A click that became a box, a box around several objects, and wrong spacing show like this; so does severe disease.",
            "Compared with the other objects of the class on a logarithmic scale. A clean cohort whose sizes are log-normal "
            f"would show any in about {LEVEL:.0%} of cohorts.",
            "Look at the worst; keep true extremes, and give boxes around several objects a label each.",
            {
                "unit": unit,
                "classes": dict(counts),
                "worst": [{"class": o.name, "case_id": o.case_id, "longest": round(o.longest, 3)} for o, _ in flagged[:SHOWN]],
            },
            cases=[(case_id,) for case_id in ids],
            partitions=_partitions(audited, [case for case in cases if case.case_id in ids]),
        )
    ]


def _cut(audited: Audited, cases: Sequence[CaseObjects]) -> list[Concern]:
    by_class = _by_class(cases)
    counts = {name: sum(o.is_cut for o in objects) for name, objects in by_class.items()}
    often = [name for name, n in counts.items() if n > OFTEN_CUT * len(by_class[name])]
    if not any(counts.values()):
        return []
    told = ", ".join(f"{name} {n} of {len(by_class[name])}" for name, n in counts.items() if n)
    found = [case for case in cases if any(o.is_cut for o in case.objects)]
    return [
        Concern(
            "object-at-border",
            "labels",
            "note",
            f"Objects that reach the border of the image: {told}.",
            "Their size is that of the part in view, so they fall into a smaller size band, and overlap is judged on the part."
            + (f" {', '.join(often)}: so many that crops may have been made around them." if often else ""),
            "Certain of the labels. Tiles of a larger image, and crops, look the same.",
            "Say in the paper how many there are; if images are tiles, split by what they were cut from.",
            {"classes": {name: {"cut": n, "of": len(by_class[name])} for name, n in counts.items()}},
            cases=[(case.case_id,) for case in found],
            partitions=_partitions(audited, found),
        )
    ]


def _none_clean(audited: Audited, cases: Sequence[CaseObjects]) -> list[Concern]:
    """Images that are known to hold nothing: without any, false positives are counted beside true findings alone."""
    if any(not case.objects for case in cases):
        return []
    return [
        Concern(
            "no-clean-image",
            "labels",
            "warning",
            f"Every one of the {len(cases)} images whose truth is open holds an object.",
            "In practice most images may be clean. False positives on those are not learned, not counted, and a specificity by "
            "image or patient does not exist.",
            "Certain: counted. Images that no label file speaks of are not clean, they are unknown, and were left out.",
            "Bring in images that are known to hold nothing; list them in the label file without an object.",
            {"cases": len(cases)},
            partitions=_partitions(audited, cases),
        )
    ]


def _by_class(cases: Sequence[CaseObjects]) -> dict[str, list[ObjectFact]]:
    found: dict[str, list[ObjectFact]] = {}
    for case in cases:
        for one in case.objects:
            found.setdefault(one.name, []).append(one)
    return found


def _unit(audited: Audited) -> str:
    return "mm" if any("spacing_x_mm" in case.acquisition for case in audited.cases) else "pixels"


def _partitions(audited: Audited, cases: Sequence[CaseObjects]) -> tuple[str, ...]:
    wanted = {case.case_id for case in cases}
    found = {case.partition for case in audited.cases if case.case_id in wanted}
    return tuple(partition for partition in audited.partitions if partition in found)
