"""Does a patient have the finding at all? The ROC curve of patients, from the objects that were found in their cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.evaluation.objects.found_case import FoundCase
from overread.metrics.ranking import Ranking


@dataclass(frozen=True)
class PatientLevel:
    """One class; U patients (of one fold each: a tuning case of several folds was answered by several models).

    truth  (U,) bool: one of the patient's cases holds an object of the class
    score  (U,) highest score of an answer of the class, 0 where there is none
    unit   (N,) number of that patient, of each case
    """

    truth: np.ndarray
    score: np.ndarray
    patients: tuple[str, ...]
    fold: np.ndarray
    unit: np.ndarray

    def statistic(self) -> _Areas:
        return _Areas(self)


def patient_level(name: str, cases: Sequence[FoundCase]) -> PatientLevel:
    keys = [(case.patient_id, case.fold) for case in cases]
    number = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    truth, score = np.zeros(len(number), bool), np.zeros(len(number))
    for case, key in zip(cases, keys, strict=True):
        own = [value for value, of in zip(case.matched.scores, case.matched.answer_classes, strict=True) if of == name]
        truth[number[key]] |= name in case.truth.classes
        score[number[key]] = max([score[number[key]], *own])
    return PatientLevel(
        truth,
        score,
        tuple(patient for patient, _ in number),
        np.array([fold for _, fold in number], dtype=int),
        np.array([number[key] for key in keys], dtype=int),
    )


@dataclass(frozen=True)
class _Areas:
    """(r, N) how often each case counts -> (r,) area, the mean over folds; the cases of a patient count alike."""

    of: PatientLevel

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        first = np.unique(self.of.unit, return_index=True)[1]
        counts = weights[:, first]
        values = []
        for fold in np.unique(self.of.fold):
            own = self.of.fold == fold
            if 0 < self.of.truth[own].sum() < own.sum():
                values.append(Ranking.of(self.of.truth[own], self.of.score[own]).auc(counts[:, own]))
        return np.mean(values, axis=0) if values else np.full(len(weights), np.nan)
