"""The cases of one evaluation as arrays: what is true, what was answered, what was called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from overread.core.errors import OverreadError
from overread.core.kinds import Kind
from overread.core.question import Decisions, Question
from overread.core.score import Score
from overread.evaluation.decisions.conformal import region
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.sources.refused import worst_answers
from overread.evaluation.units import combine
from overread.metrics.calibration import calibrated
from overread.metrics.label_maps import StructureScores
from overread.metrics.quick import values_of
from overread.metrics.table import positive_class
from overread.metrics.voxel_table import VoxelTable

NO_FOLD = -1
NO_MAPS = "no probability maps"
ARRAYS = ("truth", "raw", "answer", "called", "fold", "refused")


@dataclass(frozen=True)
class Answered:
    """Classification or regression: N cases, K classes or quantities.

    truth   (N, K) 1, 0 or the measured number; NaN where not known
    raw     (N, K) answers as they came: probabilities before calibration, or numbers
    answer  (N, K) answers after the frozen calibration
    called  (N, K) 1 or 0: classes called at the frozen thresholds; NaN where there is no answer
    fold    (N,) number of the fold whose model answered, -1 where there are no folds
    refused (N,) bool: there was no answer, and the worst one stands in its place
    region  (N, K, 2) sets of classes or ends of intervals that were made to hold the truth, see `conformal.region`;
            None where the model has no limits for them
    """

    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    truth: np.ndarray
    raw: np.ndarray
    answer: np.ndarray
    called: np.ndarray
    fold: np.ndarray
    refused: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    region: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.refused):
            object.__setattr__(self, "refused", np.zeros(len(self.case_ids), dtype=bool))

    @property
    def patients(self) -> Patients:
        return Patients.of(self.patient_ids)

    def select(self, which: np.ndarray) -> Answered:
        """The chosen cases alone; `which` is (N,) bool."""
        places = np.flatnonzero(which)
        return replace(
            self,
            case_ids=tuple(self.case_ids[i] for i in places),
            patient_ids=tuple(self.patient_ids[i] for i in places),
            **{name: getattr(self, name)[places] for name in ARRAYS},
            region=None if self.region is None else self.region[places],
        )


@dataclass(frozen=True)
class ScoredCase:
    """Segmentation: the per-case scores of one case, by structure.

    voxels  how often voxels of each probability have the structure; or why that is not known, "" where nothing was answered
    """

    case_id: str
    patient_id: str
    structures: Mapping[str, StructureScores]
    fold: int = NO_FOLD
    voxels: Mapping[str, VoxelTable] | str = NO_MAPS

    def score(self, metric: str, structure: str) -> Score:
        return self.structures[structure].scores[metric]


def answered(
    question: Question,
    case_ids: Sequence[str],
    patient_ids: Sequence[str],
    truths: Sequence[Kind],
    answers: Sequence[Kind],
    decisions: Decisions,
    *,
    units: Sequence[str] | None = None,
    aggregation: str = "none",
    fold: int = NO_FOLD,
    refused: Collection[str] = (),
) -> Answered:
    """Apply the frozen decisions to raw answers: calibration, then from cases to units, then thresholds and limits.

    refused  cases that were not answered; a unit of several cases is answered by those that were, where there are any
    """
    truth, raw = values_of(truths, question.classes), values_of(answers, question.classes)
    _check_exclusive(question, case_ids, truth, raw)
    answer = raw
    if question.task == "classification":
        answer = calibrated(raw, question, decisions)
    names, patients = np.asarray(case_ids, dtype=str), np.asarray(patient_ids, dtype=str)
    without = np.array([name in refused for name in case_ids], dtype=bool)
    if units is not None and aggregation != "none":
        _, raw, _ = combine(question, truth, raw, units, aggregation)
        truth, answer, first = combine(question, truth, answer, units, aggregation)
        names, patients, without = names[first], patients[first], _all_of(units, without)
    called = call(question, answer, decisions) if question.task == "classification" else np.full(answer.shape, np.nan)
    within = region(question, answer, decisions)
    if without.any():
        worst, worst_calls = (values[without] for values in worst_answers(question, truth))
        raw, answer = raw.copy(), answer.copy()
        raw[without] = answer[without] = worst
        called[without] = worst_calls
        if within is not None:
            within[without] = np.nan if question.task == "regression" else 0.0  # no set, no interval: nothing is held
    number = np.full(len(names), fold)
    return Answered(tuple(names.tolist()), tuple(patients.tolist()), truth, raw, answer, called, number, without, within)


def _all_of(units: Sequence[str], refused: np.ndarray) -> np.ndarray:
    """(N,) per case -> (U,) per unit, in the order of their first cases: whether none of its cases was answered."""
    answered_units = {unit for unit, gone in zip(units, refused, strict=True) if not gone}
    return np.array([unit not in answered_units for unit in dict.fromkeys(units)], dtype=bool)


def call(question: Question, probability: np.ndarray, decisions: Decisions) -> np.ndarray:
    """(N, K) probabilities -> (N, K) 1 or 0. Two classes: threshold of the positive one; more exclusive ones: the highest."""
    if question.is_binary:
        positive = question.classes.index(positive_class(question))
        is_positive = probability[:, positive] >= decisions.threshold(question.classes[positive])
        called = np.where(np.arange(2)[None] == positive, is_positive[:, None], ~is_positive[:, None])
    elif question.exclusive:
        called = np.arange(len(question.classes))[None] == np.nan_to_num(probability, nan=-1).argmax(1)[:, None]
    else:
        called = probability >= np.array([decisions.threshold(name) for name in question.classes])
    return np.where(np.isfinite(probability), called, np.nan)


def join(parts: Sequence[Answered]) -> Answered:
    """The folds one after another."""
    if len(parts) == 1:
        return parts[0]
    regions = [p.region for p in parts if p.region is not None]
    return replace(
        parts[0],
        region=np.concatenate(regions) if len(regions) == len(parts) else None,
        case_ids=tuple(c for p in parts for c in p.case_ids),
        patient_ids=tuple(c for p in parts for c in p.patient_ids),
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS},
    )


def _check_exclusive(question: Question, case_ids: Sequence[str], truth: np.ndarray, raw: np.ndarray) -> None:
    """Exclusive probabilities add up to 1, and exactly one class is true; anything else is somebody's mistake."""
    if question.task != "classification":
        return
    outside = np.flatnonzero(((raw < 0) | (raw > 1)).any(1))
    if len(outside):
        row = outside[0]
        raise OverreadError(
            f"The answer for {case_ids[row]} is {_words(question, raw[row])}; probabilities between 0 and 1 were expected "
            f"({len(outside)} cases are wrong).",
            "give probabilities, not logits or percentages",
        )
    if not question.exclusive:
        return
    wrong = np.flatnonzero(np.abs(raw.sum(1) - 1) > 0.01)
    if len(wrong):
        row = wrong[0]
        raise OverreadError(
            f"The answer for {case_ids[row]} is {_words(question, raw[row])}; exclusive classes must add up to 1 "
            f"({len(wrong)} cases do not).",
            "give softmax probabilities; if several classes may hold at once, set question.exclusive = false",
        )
    known = np.isfinite(truth).all(1)
    several = np.flatnonzero(known & (np.abs(truth.sum(1) - 1) > 1e-6))
    if len(several):
        row = several[0]
        raise OverreadError(
            f"The truth of {case_ids[row]} is {_words(question, truth[row])}; exactly one class was expected "
            f"({len(several)} cases differ).",
            "correct the labels; if several classes may hold at once, set question.exclusive = false",
        )


def _words(question: Question, values: np.ndarray) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in zip(question.classes, values, strict=True))
