"""Every score of objects as a function of how often each case counts, so that patients can be drawn anew thousands of times.

Nothing is averaged over cases: curves and areas are computed again from the matchings for every drawing. Models of different
folds have different scales, so what depends on the order of scores is computed for each fold and averaged over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from overread.evaluation.intervals.bootstrap import Statistic
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.objects.at_hits import AtHits
from overread.evaluation.objects.found_case import FoundCase
from overread.metrics.metric import Metric
from overread.metrics.objects.afroc import wafroc
from overread.metrics.objects.average_precision import RankedAnswers
from overread.metrics.objects.counts import COUNTED, case_counts
from overread.metrics.objects.froc import RATES
from overread.metrics.objects.marks import Marks, pool
from overread.metrics.objects.panoptic import PANOPTIC
from overread.metrics.objects.rows import AP, AP50, FROC, RATE_OF, WAFROC

OfCases = Callable[[np.ndarray], np.ndarray]  # (r, N) how often each case counts -> (r,) values, NaN where not defined
MARKED = (FROC.key, WAFROC.key, *RATE_OF)
AREAS = (AP50.key, AP.key)
BOX = "box_"  # before the key: average precision of the boxes around instances
SUMMED = {metric.key: metric for metric in (*COUNTED, *PANOPTIC)}


def of_patients(statistic: OfCases, patients: Patients) -> Statistic:
    """The same of how often each patient counts."""
    return lambda counts: statistic(counts[:, patients.number])


def class_statistic(metric: Metric, name: str, cases: Sequence[FoundCase]) -> OfCases:
    """One score of one class over these cases."""
    key = metric.key.removeprefix(BOX)
    if key in SUMMED:
        return _of_sums(SUMMED[key], sums(key, name, cases))
    folds = np.array([case.fold for case in cases])
    parts: list[tuple[np.ndarray, OfCases]] = []
    for fold in np.unique(folds):
        own = np.flatnonzero(folds == fold)
        members = [cases[int(k)] for k in own]
        statistic = ranked_statistic(metric.key, name, members)
        if len(np.unique(folds)) == 1 or any(name in case.truth.classes for case in members):
            parts.append((own, statistic))
    return partial(_mean_of_folds, parts)


def mean_statistic(statistics: Sequence[OfCases]) -> OfCases:
    """The plain mean over classes."""
    return lambda weights: np.mean([statistic(weights) for statistic in statistics], axis=0)


def ranked_statistic(key: str, name: str, cases: Sequence[FoundCase]) -> OfCases:
    """What depends on the order of scores, of cases that one model answered."""
    if key in MARKED:
        return of_marks(key, pool([case.matched for case in cases], name))
    form = "box" if key.startswith(BOX) or "mask" not in cases[0].hits else "mask"
    return of_ranked(key.removeprefix(BOX), ranked(cases, name, form))


def of_marks(key: str, marks: Marks) -> OfCases:
    if key == WAFROC.key:
        return partial(wafroc, marks)
    rates = (RATE_OF[key],) if key in RATE_OF else RATES
    at_hits = AtHits.of_marks(marks)
    return lambda weights: at_hits.sensitivity_at(rates, weights).mean(-1)


def of_ranked(key: str, answers: RankedAnswers) -> OfCases:
    """Average precision at an IoU of 0.5, or the mean over all ten limits."""
    limits = 1 if key == AP50.key else len(answers.hit)
    tables = [AtHits.of_ranked(answers, limit) for limit in range(limits)]
    return lambda weights: np.mean([table.average_precision(weights) for table in tables], axis=0)


def ranked(cases: Sequence[FoundCase], name: str, form: str) -> RankedAnswers:
    """The answers of one class in all cases, highest score first; of equal scores the earlier case first."""
    found = [case.hits[form][name] for case in cases]
    scores = np.concatenate([hits.scores for hits in found])
    order = np.argsort(-scores, kind="stable")
    number = np.repeat(np.arange(len(cases)), [len(hits.scores) for hits in found])
    truths = np.array([case.truth.classes.count(name) for case in cases], dtype=int)
    return RankedAnswers(number[order], np.concatenate([hits.hit for hits in found], axis=1)[:, order], truths)


def sums(key: str, name: str, cases: Sequence[FoundCase]) -> np.ndarray:
    """(N, K) what each case adds, at the operating point."""
    if any(metric.key == key for metric in PANOPTIC):
        return np.stack([case.panoptic[name] for case in cases])
    return case_counts([case.decided for case in cases], name)


def _of_sums(metric: Metric, terms: np.ndarray) -> OfCases:
    function = metric.from_sums
    assert function is not None
    return lambda weights: function(weights @ terms)


def _mean_of_folds(parts: Sequence[tuple[np.ndarray, OfCases]], weights: np.ndarray) -> np.ndarray:
    """Folds for which the score is not defined are left out."""
    values = np.stack([statistic(weights[:, own]) for own, statistic in parts]) if parts else np.full((1, len(weights)), np.nan)
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(0)
    return np.divide(total, known.sum(0), out=np.full(len(weights), np.nan), where=known.any(0))
