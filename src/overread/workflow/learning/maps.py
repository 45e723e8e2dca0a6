"""Probability maps of masks, written case by case while a network reads: what calibration of voxels is measured and fitted on.

Raw, before the temperature, and on the grid of the image; in seven bits per voxel (`overread.metrics.probability_code`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from overread.batches.prepare import Prepared, undo_map
from overread.cohort.index import Cohort
from overread.cohort.load import load_truth
from overread.core.case import Case
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.core.question import Question
from overread.evaluation.decisions.voxel_temperature import fit_voxel_temperature
from overread.evaluation.voxels.maps import ABOUT, BACKGROUND, FOLDER, MapFiles, map_name
from overread.imaging.nifti import write_nifti
from overread.metrics.probability_code import CODING, encode_where
from overread.metrics.voxel_table import VoxelMaps, near
from overread.record.files import write_json

DOUBT = 1e-3  # probabilities from here on are kept wherever they are


class MapWriter:
    """Writes the maps of the cases of one partition into a folder of their own, which is moved beside the masks at the end."""

    def __init__(self, folder: Path, question: Question, *, is_phantom: bool) -> None:
        self.folder, self.question = Path(folder), question
        self.description = "PHANTOM, Overread probability, codes" if is_phantom else "Overread probability, codes"
        shutil.rmtree(self.folder, ignore_errors=True)  # what an interrupted reading left

    def write(self, case_id: str, raw: np.ndarray, prepared: Prepared) -> None:
        """raw (K, Z, Y, X) float probabilities on the prepared grid; one float volume of the source's size at a time."""
        anywhere = np.zeros(prepared.source.shape, bool)
        for name, channel in _channels(self.question):
            volume = undo_map(raw[channel], prepared)
            kept = anywhere if name == BACKGROUND else _kept(volume, prepared.source)
            anywhere |= kept
            codes = encode_where(kept, volume)
            write_nifti(self.folder / map_name(case_id, name), codes, prepared.source, description=self.description)

    def finish(self, answers: Path, model: str) -> None:
        """Move the maps beside the masks of the same cases."""
        if not self.folder.is_dir():
            return
        write_json(self.folder / ABOUT, {"format": 1, "coding": CODING, "model": model, "before": "the temperature"})
        shutil.rmtree(answers / FOLDER, ignore_errors=True)
        self.folder.replace(answers / FOLDER)

    def files(self, case_id: str) -> MapFiles:
        """The maps of a case that has been read, before they are moved."""
        paths = {name: self.folder / map_name(case_id, name) for name, _ in _channels(self.question)}
        background = paths.pop(BACKGROUND, None)
        return MapFiles(case_id, tuple(paths.items()), background, 1.0, True, self.question.exclusive)


def _kept(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """(Z, Y, X) bool: where a probability is worth its place on the disk: around what is answered, and where there is any doubt.

    Twice the band within which calibration is measured, as the truth, which is not known here, may lie somewhat aside.
    """
    kept = volume >= DOUBT
    around = near(volume >= 0.5, grid, times=2)
    kept[around.box] |= around.values
    return kept


def _channels(question: Question) -> list[tuple[str, int]]:
    """(name, channel) of what is written: every structure; the background too where more than one excludes it."""
    first = 1 if question.exclusive else 0
    structures = [(name, k + first) for k, name in enumerate(question.classes)]
    return [*structures, (BACKGROUND, 0)] if question.exclusive and len(structures) > 1 else structures


def fit_from(writer: MapWriter, cohort: Cohort, cases: Sequence[Case]) -> float:
    """The temperature of the tuning cases."""
    lazy: list[Callable[[], tuple[LabelMap, VoxelMaps]]] = [partial(_pair, writer, cohort, case) for case in cases]
    return fit_voxel_temperature(lazy)


def _pair(writer: MapWriter, cohort: Cohort, case: Case) -> tuple[LabelMap, VoxelMaps]:
    truth = load_truth(cohort, case)
    assert isinstance(truth, LabelMap)
    return truth, writer.files(case.case_id).open(truth.grid)
