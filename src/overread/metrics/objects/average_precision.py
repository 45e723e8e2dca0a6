"""Average precision as COCO computes it, for comparison with others.

Per class: answers of all cases in falling order of score, the 100 highest of each case; precision made to fall with recall,
read at 101 recalls from 0 to 1, and averaged. Of equal scores the earlier case comes first, as in pycocotools. Bands of area
are left aside, and no truth counts as a crowd.
Source: Lin, ECCV 2014, and pycocotools, cocoeval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.metrics.metric import ratio
from overread.metrics.objects.choose import highest, of_class
from overread.metrics.objects.marks import once, parts
from overread.metrics.objects.matching import greedy, iou_limit
from overread.metrics.objects.overlap import Objects, overlaps

LIMITS = np.linspace(0.5, 0.95, 10)  # of intersection over union
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100  # answers of a class in a case


@dataclass(frozen=True)
class RankedAnswers:
    """Answers of one class in all cases, highest score first.

    case    (A,) number of the case
    hit     (L, A) bool: found a truth at each limit of overlap
    truths  (N,) number of truths in each case
    """

    case: np.ndarray
    hit: np.ndarray
    truths: np.ndarray

    @classmethod
    def of(
        cls,
        truths: Sequence[Objects],
        answers: Sequence[Objects],
        class_name: str,
        of: str = "box",
        limits: np.ndarray = LIMITS,
    ) -> RankedAnswers:
        """truths, answers  one per case; of  "box" or "mask"; limits  (L,) of intersection over union"""
        least = np.array([iou_limit(limit) for limit in limits])
        cases, scores, hits, counts = [np.zeros(0, int)], [np.zeros(0)], [np.zeros((len(limits), 0), bool)], []
        for number, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
            truth, answer = of_class(truth, class_name), highest(of_class(answer, class_name), MOST)
            score = np.asarray(answer.scores, dtype=float)
            hits.append(greedy(overlaps(answer, truth, of), score, least) >= 0)
            cases.append(np.full(len(score), number))
            scores.append(score)
            counts.append(len(truth.classes))
        order = np.argsort(-np.concatenate(scores), kind="stable")
        return cls(np.concatenate(cases)[order], np.concatenate(hits, axis=1)[:, order], np.array(counts, dtype=int))

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(R, L) average precision at each limit; NaN where no truth has weight.

        weights  (R, N) of the cases; None counts each once
        """
        rows = parts(once(weights, len(self.truths)), len(self.case))
        return np.concatenate([self._of_rows(part) for part in rows])

    def _of_rows(self, weights: np.ndarray) -> np.ndarray:
        ranked = weights[:, self.case]
        called = np.cumsum(ranked, axis=1)
        every = weights @ self.truths
        values = np.zeros((len(weights), len(self.hit)))
        for line, hit in enumerate(self.hit):
            at = np.flatnonzero(hit)  # precision only falls between hits: they alone need looking at
            if len(at):
                found = np.cumsum(ranked[:, at], axis=1)
                precision = np.divide(found, called[:, at], out=np.zeros_like(found), where=called[:, at] > 0)
                values[:, line] = _read_off(ratio(found, every[:, None]), precision)
        return np.where(every[:, None] > 0, values, np.nan)


def _read_off(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """(R, P) rising recall and precision -> (R,) mean over 101 recalls of the best precision from there on; 0 beyond the last."""
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
    return np.array([line[np.searchsorted(r, RECALLS, "left")].mean() for r, line in zip(recall, best, strict=True)])
