"""Segmentation cases that have no answer: truth against the worst mask there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.load import open_label_map
from overread.core.case import TruthReference
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD


@dataclass(frozen=True)
class RefusedPair:
    """A segmentation case that has no answer; see `overread.evaluation.scoring.Pair`."""

    case_id: str
    patient_id: str
    truth: TruthReference
    truth_folder: Path
    question: Question
    grid: Grid
    fold: int = NO_FOLD
    maps: str = ""  # nothing was answered

    def load(self) -> tuple[LabelMap, LabelMap]:
        truth = open_label_map(self.case_id, self.truth, self.truth_folder, self.question, self.grid)
        return truth, worst_mask(truth)


def worst_mask(truth: LabelMap) -> LabelMap:
    """Nothing of what is there, and a voxel of what is not: Dice 0 for every structure."""
    layers = np.zeros_like(truth.layers)
    for k, structure in enumerate(truth.structures):
        if not truth.mask(structure.name).any():
            layers[structure.layer].reshape(-1)[k] = structure.value
    return LabelMap(layers, truth.structures, truth.grid)
