"""A case of a project whose answer is an image: truth, answer and what was read, opened when they are needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_image, load_truth
from overread.core.case import Case, TruthReference
from overread.core.kinds import Picture
from overread.core.question import Question
from overread.evaluation.pictures.case import NO_FOLD
from overread.evaluation.pictures.read import is_scaled, read_beside
from overread.evaluation.scoring import open_answer
from overread.evaluation.sources.pictures_file import read_picture
from overread.metrics.pictures.data_range import units_by_channel
from overread.metrics.pictures.rows import is_of_another_image


@dataclass(frozen=True)
class Opened:
    """What is compared in one case, on one grid.

    answer      None where the case was not answered
    read        channel -> what was read in its place, or why nothing can be compared; None where nothing is to be
    structures  name -> (Z, Y, X) bool, to be scored by themselves
    """

    truth: Picture
    answer: Picture | None
    read: dict[str, np.ndarray | str] | None = None
    structures: dict[str, np.ndarray] = field(default_factory=dict)
    read_scaled: bool = False


class Pair(Protocol):
    """Anything that can be opened in whichever process."""

    @property
    def case_id(self) -> str: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def fold(self) -> int: ...
    def load(self) -> Opened: ...


@dataclass(frozen=True)
class PicturePair:
    """A case of a project.

    cohort     of this case alone, so that it can be handed to another process
    answer     the files of its answer; empty where it was not answered
    masks      label files of structures that are to be scored by themselves; empty where none are
    classes    their names and values
    """

    cohort: Cohort
    case: Case
    reference: TruthReference
    answer: tuple[Path, ...]
    fold: int = NO_FOLD
    masks: tuple[Path, ...] = ()
    classes: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls, cohort: Cohort, case: Case, reference: TruthReference, answer: tuple[Path, ...], fold: int = NO_FOLD
    ) -> PicturePair:
        own = case.case_id
        alone = replace(
            cohort,
            cases=(case,),
            partition={own: cohort.partition[own]},
            grids={own: cohort.grids[own]} if own in cohort.grids else {},
            boxes={},
        )
        return cls(alone, case, reference, answer, fold)

    @property
    def case_id(self) -> str:
        return self.case.case_id

    @property
    def patient_id(self) -> str:
        return self.case.patient_id

    def load(self) -> Opened:
        question = self.cohort.question
        truth = load_truth(self.cohort, self.case, self.reference)
        assert isinstance(truth, Picture)
        answer = read_picture(self.case_id, self.answer, question, truth.grid, truth.units) if self.answer else None
        structures = self._structures(truth)
        if not is_of_another_image(question):
            return Opened(truth, answer, None, structures)
        read = read_beside(question, load_image(self.cohort, self.case), truth)
        units = units_by_channel(truth.units, len(truth.array))
        return Opened(truth, answer, read, structures, any(is_scaled(question, unit) for unit in units))

    def _structures(self, truth: Picture) -> dict[str, np.ndarray]:
        """Name -> (Z, Y, X) bool on the grid of the truth."""
        if not self.masks:
            return {}
        asked = Question("segmentation", tuple(name for name, _ in self.classes), tuple(value for _, value in self.classes))
        found = open_answer(self.case_id, self.masks, asked, truth.grid)
        return {name: found.mask(name) for name in found.names}
