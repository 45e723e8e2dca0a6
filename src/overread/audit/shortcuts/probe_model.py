"""A small model that tries to tell a group of cases, and what it would reach on labels that chance handed out.

Ridge regression of the label on standardised features, trained on the other folds; a linear discriminant, whose answer
to a thousand permuted labels costs one matrix product instead of a thousand fits.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA

from overread.core.score import Interval
from overread.evaluation.intervals.areas import auc_interval, rank_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.ranking import Ranking

FOLDS = 5
PENALTY = 0.1  # of the variance of a feature
MOST_FEATURES = 30  # principal components of what is wider
PATIENTS_PER_FEATURE = 4
AT_ONCE = 1 << 22  # numbers held at once


def deal(codes: np.ndarray, patients: Patients, random: np.random.Generator) -> np.ndarray:
    """(N,) fold of each case: a patient lies in one fold, and every fold has patients of each level."""
    counts = np.zeros((patients.count, int(codes.max()) + 1))
    np.add.at(counts, (patients.number, codes), 1)
    order = random.permutation(patients.count)
    order = order[np.argsort(counts[order].argmax(1), kind="stable")]
    fold = np.empty(patients.count, int)
    fold[order] = np.arange(patients.count) % FOLDS
    return fold[patients.number]


def narrowed(features: np.ndarray, patients: int) -> np.ndarray:
    """(N, F) -> (N, G) features of mean 0 and variance 1, principal components where they are many for the patients.

    The labels are not asked, so all cases may be used.
    """
    centred = features - features.mean(0)
    most = max(2, min(MOST_FEATURES, patients // PATIENTS_PER_FEATURE))
    if centred.shape[1] > most:
        centred = PCA(most, svd_solver="randomized", random_state=0).fit_transform(centred)
    spread = centred.std(0)
    kept = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-6)
    return np.asarray(centred[:, kept] / spread[kept])


def told(features: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(N, M) answers for M columns of labels (N, M), each case answered by the model of the other folds."""
    answers = np.empty(labels.shape)
    for k in range(FOLDS):
        rest = fold != k
        centre = features[rest].mean(0)
        known = features[rest] - centre
        weights = np.linalg.solve(known.T @ known + PENALTY * len(known) * np.eye(known.shape[1]), known.T)
        answers[~rest] = (features[~rest] - centre) @ (weights @ (labels[rest] - labels[rest].mean(0)))
    return answers


def areas(labels: np.ndarray, answers: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(M,) area under the ROC curve within each fold, then the mean over folds that have both kinds; NaN where none has."""
    found = np.full((FOLDS, labels.shape[1]), np.nan)
    for k in range(FOLDS):
        truth, ranks = labels[fold == k], rankdata(answers[fold == k], axis=0)
        positive = truth.sum(0)
        pairs = positive * (len(truth) - positive)
        won = (ranks * truth).sum(0) - positive * (positive + 1) / 2
        np.divide(won, pairs, out=found[k], where=pairs > 0)
    defined = np.isfinite(found)
    return np.divide(np.nansum(found, 0), defined.sum(0), out=np.full(labels.shape[1], np.nan), where=defined.any(0))


def mean_areas(features: np.ndarray, codes: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(B,) area for each row of codes (B, N); the mean over levels, each against the rest, where there are more than two."""
    levels = int(codes.max()) + 1
    wanted = [1] if levels == 2 else list(range(levels))
    step = max(1, AT_ONCE // max(1, codes.shape[1]))
    parts = []
    for start in range(0, len(codes), step):
        some = codes[start : start + step].T
        each = []
        for level in wanted:
            labels = (some == level).astype(np.float64)
            each.append(areas(labels, told(features, labels, fold), fold))
        parts.append(np.mean(each, axis=0))
    return np.concatenate(parts)


def area_with_interval(features: np.ndarray, codes: np.ndarray, fold: np.ndarray, patients: Patients) -> Interval:
    """The same area of the labels as they are, with its interval by patient."""
    levels = int(codes.max()) + 1
    wanted = [1] if levels == 2 else list(range(levels))
    labels = np.stack([codes == level for level in wanted], axis=1)
    answers = told(features, labels.astype(np.float64), fold)
    if levels == 2:
        return auc_interval(labels[:, 0], answers[:, 0], patients, fold, Rules())
    findings = [(labels[:, k], answers[:, k]) for k in range(levels)]
    return rank_interval(Ranking.auc, findings, patients, [fold] * levels, Rules(resamples=1000), "cases of one class only")
