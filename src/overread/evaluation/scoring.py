"""Masks are opened and scored one case at a time, so memory stays flat; on several processors where it takes long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from overread.cohort.load import label_map, open_label_map
from overread.cohort.place import place_layers
from overread.cohort.progress import Progress, work_through
from overread.core.case import TruthReference
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.core.question import Question
from overread.evaluation.answered import NO_FOLD, NO_MAPS, ScoredCase
from overread.evaluation.voxels.maps import MapFiles
from overread.imaging.labels import open_labels
from overread.metrics.label_maps import score_label_maps


class Pair(Protocol):
    """A truth and an answer that are opened when they are needed, in whichever process."""

    @property
    def case_id(self) -> str: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def fold(self) -> int: ...
    @property
    def maps(self) -> MapFiles | str: ...
    def load(self) -> tuple[LabelMap, LabelMap]: ...


@dataclass(frozen=True)
class MaskPair:
    """A case of a project: its truth, on the grid of its image, and the model's answer."""

    case_id: str
    patient_id: str
    truth: TruthReference
    truth_folder: Path
    question: Question
    grid: Grid
    answer: tuple[Path, ...]
    fold: int = NO_FOLD
    maps: MapFiles | str = NO_MAPS

    def load(self) -> tuple[LabelMap, LabelMap]:
        truth = open_label_map(self.case_id, self.truth, self.truth_folder, self.question, self.grid)
        return truth, open_answer(self.case_id, self.answer, self.question, self.grid)


def open_answer(case_id: str, paths: Sequence[Path], question: Question, grid: Grid) -> LabelMap:
    """The model's mask of a case, on the grid of the image or refused; one file per structure where they overlap."""
    what = f"the answer to {case_id}"
    layers, source = open_labels(list(paths), "nifti")
    return label_map(what, place_layers(layers, source, grid, what=what), question, grid)


def score_pair(names: tuple[str, ...], tolerance_mm: float, pair: Pair) -> ScoredCase:
    truth, answer = pair.load()
    scores = score_label_maps(truth, answer, names, tolerance_mm)
    voxels = pair.maps.tables(truth) if isinstance(pair.maps, MapFiles) else pair.maps
    return ScoredCase(pair.case_id, pair.patient_id, scores, pair.fold, voxels)


def score_pairs(
    pairs: Sequence[Pair], names: tuple[str, ...], tolerance_mm: float, progress: Progress | None = None
) -> list[ScoredCase]:
    """Score every case, in the given order."""
    return list(work_through(partial(score_pair, names, tolerance_mm), pairs, "scoring masks", progress))
