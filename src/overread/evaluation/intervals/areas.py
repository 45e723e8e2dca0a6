"""Intervals of what depends on the order of scores, over one or several folds.

Models of different folds have different scales, so their scores are never ranked together: each fold has its own area,
and the mean of the areas is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.delong import area, area_interval, mean_area
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.ranking import Ranking

RankMetric = Callable[[Ranking, np.ndarray], np.ndarray]  # a ranking by patient, (R, P) how often each counts -> (R,)


def auc_interval(truth: np.ndarray, score: np.ndarray, patients: Patients, fold: np.ndarray, rules: Rules) -> Interval:
    """DeLong or Obuchowski; the mean over folds where there are several, bootstrapped where folds share patients."""
    folds = np.unique(fold)
    if len(folds) <= 1:
        return area_interval(area(truth, score, patients), patients, rules.level)
    parts = [patients.select(fold == k) for k in folds]
    if sum(p.count for p in parts) > patients.count:
        return rank_interval(Ranking.auc, [(truth, score)], patients, [fold], rules, "cases of one class only")
    found = [area(truth[fold == k], score[fold == k], p) for k, p in zip(folds, parts, strict=True)]
    defined = [a for a in found if a is not None]
    return area_interval(mean_area(defined) if defined else None, patients, rules.level, folds=len(defined))


def rank_interval(
    function: RankMetric,
    findings: Sequence[tuple[np.ndarray, np.ndarray]],
    patients: Patients,
    folds: Sequence[np.ndarray],
    rules: Rules,
    undefined: str,
    known: Sequence[np.ndarray] | None = None,
) -> Interval:
    """The bootstrap interval of the mean of a rank metric over findings, and over the folds of each.

    findings  (truth, score) of the known cases of each finding
    folds     fold of each of those cases
    known     (N,) bool per finding: which of the patients' cases those are; None where all
    """
    parts: list[list[Ranking]] = []
    for number, (truth, score) in enumerate(findings):
        places = np.arange(patients.cases) if known is None else np.flatnonzero(known[number])
        own = []
        for k in np.unique(folds[number]):
            which = folds[number] == k
            if 0 < truth[which].sum() < which.sum():
                own.append(Ranking.of(truth[which], score[which]).by_unit(patients.number[places[which]]))
        if own:
            parts.append(own)

    def mean(counts: np.ndarray) -> np.ndarray:
        values = [np.mean([function(ranking, counts) for ranking in own], axis=0) for own in parts]
        return np.mean(values, axis=0) if values else np.full(len(counts), np.nan)

    return bootstrap_interval(mean, patients, rules, undefined)
