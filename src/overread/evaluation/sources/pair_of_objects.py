"""What two files of objects hold, by case, before the cases are matched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from overread.core.grid import Grid
from overread.core.kinds import Boxes, Instances
from overread.core.question import Question
from overread.evaluation.sources.objects_file import Objects

NO_SCORES = "Every object counts with 1: curves have one point, and average precision means little."
NOWHERE = Grid.from_spacing((1, 1, 1), spacing_known=False, is_planar=True)  # of answers to cases without a truth


@dataclass(frozen=True)
class ObjectPairs:
    """Truths and answers by case.

    truths    every case that is known, also those known to hold nothing
    answers   those with an entry; see `lists_all`
    lists_all an answer without an entry is missing (masks); False: nothing was found there (lists of objects)
    patients  case -> patient, where the truth says so
    """

    question: Question
    truths: Mapping[str, Objects]
    answers: Mapping[str, Objects]
    lists_all: bool
    notes: tuple[str, ...] = ()
    patients: Mapping[str, str] = field(default_factory=dict)


def nothing(task: str, grid: Grid) -> Objects:
    """No object, of a detection or of instances."""
    if task == "instances":
        return Instances((), (), np.zeros(0), grid)
    return Boxes(np.zeros((0, 2, 3)), (), np.zeros(0), grid)
