"""Crowds of the truth: places with objects that nobody separated, where an answer is neither right nor wrong.

As in COCO, an answer that finds no object of its class, and at least half of which lies on a crowd of that class, is left out.
COCO asks this again at each limit of overlap; here it is asked once, at an intersection over union of 0.5, so that the average
precision at 0.5 is COCO's.
"""

from __future__ import annotations

import numpy as np

from overread.evaluation.sources.objects_file import Objects
from overread.metrics.metric import ratio
from overread.metrics.objects.choose import select
from overread.metrics.objects.matching import greedy
from overread.metrics.objects.overlap import overlaps
from overread.metrics.objects.panoptic import intersections

HALF = 0.5


def off_crowds(answer: Objects, truth: Objects, crowds: Objects, form: str) -> Objects:
    """The answer without what lies on a crowd and finds nothing.

    crowds  of the same case, of the same kind as the truth
    form    "box" or "mask"
    """
    if not len(crowds.classes) or not len(answer.classes):
        return answer
    names = np.asarray(answer.classes, dtype=object)[:, None]
    quality = np.where(names == np.asarray(truth.classes, dtype=object)[None], overlaps(answer, truth, form), -np.inf)
    finds = greedy(quality, np.asarray(answer.scores, dtype=float), np.array([HALF]))[0] >= 0
    both, sizes, _ = intersections(answer, crowds, form)
    share = np.nan_to_num(ratio(both, sizes[:, None])) * (names == np.asarray(crowds.classes, dtype=object)[None])
    return select(answer, finds | (share.max(1) < HALF))
