"""Scores of raw answers for the training loop: few, fast, without intervals. One that is not defined is left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.core.question import Question
from overread.metrics.objects.average_precision import RankedAnswers
from overread.metrics.objects.choose import of_class
from overread.metrics.objects.criterion import Criterion
from overread.metrics.objects.froc import sensitivity_at
from overread.metrics.objects.marks import pool
from overread.metrics.objects.matching import match
from overread.metrics.objects.overlap import Objects
from overread.metrics.objects.panoptic import COLUMNS, PQ, counts_of, intersections

THRESHOLDS = np.linspace(0.1, 0.9, 9)


def quick_object_scores(question: Question, truths: Sequence[Objects], answers: Sequence[Objects]) -> dict[str, float]:
    """ "ap50" and "sensitivity_at_1fp", for instances also "pq": each by class ("ap50/nodule") and as the mean over classes.

    Answers are found true by the automatic criterion (2D: IoU 0.5; 3D: IoU 0.1). PQ is that of the best of nine thresholds,
    one for all classes: what an operating point could reach.
    """
    of = "mask" if question.task == "instances" else "box"
    ap50, sensitivity = {}, {}
    matches = [
        match(truth, answer, Criterion.parse("auto", of=of, is_planar=truth.grid.is_planar), truth.grid)
        for truth, answer in zip(truths, answers, strict=True)
    ]
    for name in question.classes:
        ap50[name] = RankedAnswers.of(truths, answers, name, of, np.array([0.5])).average_precision()[0, 0]
        sensitivity[name] = sensitivity_at(pool(matches, name), (1.0,))[0, 0]
    scores = {**_with_mean("ap50", ap50), **_with_mean("sensitivity_at_1fp", sensitivity)}
    return {**scores, **_best_pq(question, truths, answers)} if of == "mask" else scores


def _best_pq(question: Question, truths: Sequence[Objects], answers: Sequence[Objects]) -> dict[str, float]:
    sums = np.zeros((len(THRESHOLDS), len(question.classes), COLUMNS))
    for truth, answer in zip(truths, answers, strict=True):
        for column, name in enumerate(question.classes):
            mine = of_class(answer, name)
            both, true_size, answer_size = intersections(of_class(truth, name), mine)
            for row, threshold in enumerate(THRESHOLDS):
                called = np.asarray(mine.scores, dtype=float) >= threshold
                sums[row, column] += counts_of(both[:, called], true_size, answer_size[called])
    assert PQ.from_sums is not None
    scores = [_with_mean("pq", dict(zip(question.classes, row, strict=True))) for row in PQ.from_sums(sums)]
    return max(scores, key=lambda found: found.get("pq", -1.0))


def _with_mean(key: str, by_class: dict[str, float]) -> dict[str, float]:
    known = {name: float(value) for name, value in by_class.items() if np.isfinite(value)}
    by_name = {f"{key}/{name}": value for name, value in known.items()}
    return {**by_name, key: float(np.mean(list(known.values())))} if known else {}
