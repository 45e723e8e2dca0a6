"""A frozen model reads the cases under one condition, and the answers are scored in memory; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from overread.cohort.index import Cohort
from overread.cohort.load import load_truth, open_label_map
from overread.cohort.progress import Progress
from overread.core.case import Case, TruthReference
from overread.core.grid import Grid
from overread.core.image import Image
from overread.core.kinds import Findings, LabelMap, Measurements
from overread.core.question import Decisions, Question
from overread.evaluation.answered import NO_FOLD, NO_MAPS, Answered, ScoredCase, answered
from overread.evaluation.objects.found_case import FoundCase
from overread.evaluation.scoring import Pair, open_answer, score_pairs
from overread.evaluation.sources.predictions import Predictions
from overread.evaluation.units import units_of
from overread.imaging.degrade.degradation import random_of
from overread.imaging.degrade.table import DEGRADATIONS
from overread.metrics.components import clean
from overread.metrics.quick import values_of
from overread.reading.adversarial import attacked
from overread.reading.answering import Answering
from overread.workflow.learning.predict import Packed, Undecided, read_cases
from overread.workflow.robust.objects import answered_otherwise, found_cases
from overread.workflow.robust.suite import Condition

SAME = 1e-3  # probabilities nearer than this, and numbers by this share of their spread, are one answer
SAME_VOXELS = 0.01  # of a structure; a few voxels turn with the order in which a processor adds


@dataclass(frozen=True)
class Subject:
    """What is read, and by which rules it is scored.

    aggregation           how answers of one unit of analysis are put together
    surface_tolerance_mm  of the surface Dice
    matching              when an answer finds an object, as in `[evaluation]`
    """

    predictor: Answering
    decisions: Decisions
    cohort: Cohort
    cases: tuple[Case, ...]
    aggregation: str
    surface_tolerance_mm: float
    matching: str = "auto"


class _InTurn:
    """Degrades the images of cases that are read in order, each with the random numbers of its own case."""

    def __init__(self, cases: Sequence[Case], condition: Condition) -> None:
        self._ids = iter([case.case_id for case in cases])
        self._condition = condition

    def __call__(self, image: Image) -> Image:
        return degraded(image, self._condition, next(self._ids))


def degraded(image: Image, condition: Condition, case_id: str) -> Image:
    """The image of a case under a condition; as it is where only the network's input is changed. A first model looks again."""
    if condition.degradation is None:
        return image
    return condition.degradation.change(replace(image, region=None), condition.level.value, random_of(condition.name, case_id))


def read_under(subject: Subject, condition: Condition | None, progress: Progress | None, text: str) -> Undecided:
    """Raw answers, before any decision; condition None reads the images as they are."""
    if condition is None:
        return read_cases(subject.predictor, subject.cohort, subject.cases, progress, text)
    if condition.degradation is None:
        reader = attacked(subject.predictor, condition.level.value)
        return read_cases(reader, subject.cohort, subject.cases, progress, text)
    return read_cases(subject.predictor, subject.cohort, subject.cases, progress, text, adapt=_InTurn(subject.cases, condition))


def score(subject: Subject, answers: Undecided, condition: Condition | None) -> Answered | list[ScoredCase] | list[FoundCase]:
    """Answers against the truths of the tuning cases, by the decisions frozen in the model."""
    question = subject.cohort.question
    if question.task == "segmentation":
        pairs: list[Pair] = [_pair(subject, case, answers[case.case_id], condition) for case in subject.cases]
        return score_pairs(pairs, question.classes, subject.surface_tolerance_mm)
    if question.is_of_objects:
        return found_cases(subject.cohort, subject.cases, answers, subject.decisions, subject.matching)
    kinds = [answers[case.case_id] for case in subject.cases]
    return answered(
        question,
        [case.case_id for case in subject.cases],
        [case.patient_id for case in subject.cases],
        [load_truth(subject.cohort, case) for case in subject.cases],
        [kind for kind in kinds if isinstance(kind, Findings | Measurements)],
        subject.decisions,
        units=units_of(question, subject.cases),
        aggregation=subject.aggregation,
    )


@dataclass(frozen=True)
class HeldPair:
    """The truth of a case on disk, and an answer that is held in memory.

    turned_by, amount  the degradation that moved the patient, so that the answer has to be moved back; "" where none did
    """

    case_id: str
    patient_id: str
    truth: TruthReference
    truth_folder: Path
    question: Question
    grid: Grid
    answer: Packed
    decisions: Decisions
    turned_by: str = ""
    amount: float = 0.0
    fold: int = NO_FOLD
    maps: str = NO_MAPS

    def load(self) -> tuple[LabelMap, LabelMap]:
        truth = open_label_map(self.case_id, self.truth, self.truth_folder, self.question, self.grid)
        answer = clean(self.answer.label_map(), self.decisions)
        turn_back = DEGRADATIONS[self.turned_by].turn_back if self.turned_by else None
        if turn_back is not None:
            answer = turn_back(answer, self.amount, random_of(self.turned_by, self.case_id))
        return truth, answer


def _pair(subject: Subject, case: Case, answer: object, condition: Condition | None) -> HeldPair:
    cohort = subject.cohort
    assert isinstance(answer, Packed)
    assert case.truth is not None
    assert cohort.truth_folder is not None
    turns = condition is not None and condition.degradation is not None and condition.degradation.turn_back is not None
    return HeldPair(
        case.case_id,
        case.patient_id,
        case.truth,
        cohort.truth_folder,
        cohort.question,
        cohort.grids[case.case_id],
        answer,
        subject.decisions,
        condition.name if turns and condition is not None else "",
        condition.level.value if turns and condition is not None else 0.0,
    )


def read_otherwise(subject: Subject, answers: Undecided, folder: Path) -> int | None:
    """How many cases are answered otherwise now than when the model was frozen; None where those answers are gone."""
    if not folder.is_dir():
        return None
    if subject.cohort.question.is_of_objects:
        return answered_otherwise(subject.cohort, subject.cases, answers, subject.decisions, folder)
    before, question = Predictions(folder, subject.cohort.question), subject.cohort.question
    ids = [case.case_id for case in subject.cases]
    if question.task == "segmentation":
        return sum(_is_other(subject, before, case_id, answers[case_id]) for case_id in ids)
    now = [kind for case_id in ids if isinstance(kind := answers[case_id], Findings | Measurements)]
    first, second = (values_of(kinds, question.classes) for kinds in (before.values(ids), now))
    scale = 1.0 if question.task == "classification" else max(float(np.nanstd(first)), 1e-6)
    return int((np.abs(first - second) > SAME * scale).any(1).sum())


def _is_other(subject: Subject, before: Predictions, case_id: str, answer: object) -> bool:
    assert isinstance(answer, Packed)
    question = subject.cohort.question
    then = open_answer(case_id, before.masks(case_id), question, subject.cohort.grids[case_id])
    now = clean(answer.label_map(), subject.decisions)
    masks = [(then.mask(name), now.mask(name)) for name in question.classes]
    return any(int((one ^ other).sum()) > SAME_VOXELS * max(int(one.sum()), 1) for one, other in masks)
