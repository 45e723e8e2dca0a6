"""How many objects of each class there are, where, and how large: one row per partition and class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from overread.audit.audited import Audited
from overread.audit.objects.facts import CaseObjects


def object_table(audited: Audited, cases: Sequence[CaseObjects]) -> list[dict[str, Any]]:
    """Of open truths alone; under seal objects are not counted.

    "per_image" is smallest, median and largest number in images that hold one, "longest" the 10th, 50th and 90th percentile
    of the longest edge.
    """
    if audited.question is None or not cases:
        return []
    place = {case.case_id: case.partition for case in audited.cases}
    in_mm = {case.case_id: "spacing_x_mm" in case.acquisition for case in audited.cases}
    rows = []
    for partition in audited.partitions or ("",):
        here = [case for case in cases if place[case.case_id] == partition]
        for name in audited.question.classes if here else ():
            own = [[o.longest for o in case.objects if o.name == name] for case in here]
            numbers, sizes = [len(one) for one in own if one], [size for one in own for size in one]
            rows.append(
                {
                    "partition": partition,
                    "class": name,
                    "images": len(here),
                    "clean": sum(not case.objects for case in here),
                    "with": len(numbers),
                    "objects": len(sizes),
                    "per_image": [int(v) for v in (min(numbers), np.median(numbers), max(numbers))] if numbers else None,
                    "longest": [round(float(v), 2) for v in np.percentile(sizes, (10, 50, 90))] if sizes else None,
                    "unit": "mm" if all(in_mm[case.case_id] for case in here) else "pixels",
                }
            )
    return rows
