"""Areas under several ROC curves of the same cases, and how they vary together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from overread.evaluation.intervals.patients import Patients


@dataclass(frozen=True)
class Areas:
    """T areas of the same cases.

    values      (T,)
    covariance  (T, T); None where a class has fewer than two patients
    """

    values: np.ndarray
    covariance: np.ndarray | None
    positives: int
    negatives: int


@dataclass(frozen=True)
class _Fold:
    """excess, defect (T, P): by how much each patient's positives, negatives are ranked better than the average.

    positives, negatives, patients  how many patients have such a case, or any case, in this fold
    """

    values: np.ndarray
    excess: np.ndarray
    defect: np.ndarray
    positives: int
    negatives: int
    patients: int


def areas(truth: np.ndarray, scores: np.ndarray, patients: Patients, fold: np.ndarray | None = None) -> Areas | None:
    """The areas and their covariance; None where a class is absent.

    truth (N,) bool, scores (T, N), fold (N,) number of the fold of each case: means over folds, as models of different folds
    have different scales; a fold with cases of one class only is left out

    Sources: DeLong et al., Biometrics 1988;44:837; where a patient has several cases Obuchowski's form, Biometrics
    1997;53:567, which equals DeLong's where none has.
    """
    truth, scores = np.asarray(truth, bool), np.asarray(scores, float)
    number = np.zeros(len(truth), int) if fold is None else fold
    groups = [number == k for k in np.unique(number)]
    both = [g for g in groups if 0 < truth[g].sum() < g.sum()]
    if not both:
        return None
    folds = [_fold(truth[g], scores[:, g], patients.number[g], patients.count) for g in both]
    values = np.mean([f.values for f in folds], axis=0)
    counts = sum(f.positives for f in folds), sum(f.negatives for f in folds)
    if min(min(f.positives, f.negatives) for f in folds) < 2:
        return Areas(values, None, *counts)
    spread = patients.count / (patients.count - 1)
    shifts = [f.excess + f.defect for f in folds]
    total = sum(_covariance(f) for f in folds)
    total = total + spread * sum(a @ b.T for i, a in enumerate(shifts) for j, b in enumerate(shifts) if i != j)
    return Areas(values, np.asarray(total) / len(folds) ** 2, *counts)


def _fold(truth: np.ndarray, scores: np.ndarray, number: np.ndarray, count: int) -> _Fold:
    positive, negative = scores[:, truth], scores[:, ~truth]
    m, n = positive.shape[1], negative.shape[1]
    ranks = stats.rankdata(scores, axis=1)
    beaten = (ranks[:, truth] - stats.rankdata(positive, axis=1)) / n  # share of negatives below each positive
    beating = 1 - (ranks[:, ~truth] - stats.rankdata(negative, axis=1)) / m  # share of positives above each negative
    values = beaten.mean(1)
    excess = _by_patient((beaten - values[:, None]) / m, number[truth], count)
    defect = _by_patient((beating - values[:, None]) / n, number[~truth], count)
    own = [len(np.unique(number[which])) for which in (truth, ~truth, np.ones(len(truth), bool))]
    return _Fold(values, excess, defect, *own)


def _by_patient(values: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """(T, n) -> (T, P) sums."""
    return np.stack([np.bincount(number, row, count) for row in values])


def _covariance(fold: _Fold) -> np.ndarray:
    mixed = fold.excess @ fold.defect.T
    return np.asarray(
        fold.positives / (fold.positives - 1) * fold.excess @ fold.excess.T
        + fold.negatives / (fold.negatives - 1) * fold.defect @ fold.defect.T
        + fold.patients / (fold.patients - 1) * (mixed + mixed.T)
    )


def shares(hits: np.ndarray, patients: Patients) -> Areas:
    """The same for proportions: T means of (T, N) hits and misses of the same cases, clustered by patient."""
    hits = np.asarray(hits, float)
    values = hits.mean(1)
    count = patients.count
    if count < 2:
        return Areas(values, None, count, count)
    beyond = _by_patient((hits - values[:, None]) / hits.shape[1], patients.number, count)
    return Areas(values, count / (count - 1) * beyond @ beyond.T, count, count)
