"""FROC: of the truths, how many are found, against false positives per case, over all thresholds of the score.

Rules. All cases count in the denominator of false positives, those without an object among them. A second answer to a truth
that is found already is a false positive (LUNA16 leaves such answers out). The sensitivity at a rate is the highest of a
threshold with at most so many false positives per case; nothing is interpolated between two thresholds, so it is what could
be had (LUNA16 interpolates linearly, which is never lower). Where the answers never reach a rate, the last sensitivity is
carried on. Equal scores are called together.
Sources: Bunch, Proc SPIE 1977;127:124; Setio, Med Image Anal 2017;42:1 (LUNA16: mean over seven rates, also CPM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.metrics.metric import ratio
from overread.metrics.objects.marks import Marks, once, parts

RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)  # false positives per case
_ROUNDING = 1 + 1e-12


@dataclass(frozen=True)
class FrocCurve:
    """One point per distinct score, highest first; the curve begins at no false positive and nothing found.

    threshold     (G,) an answer is called when its score is at least this
    fp_per_case   (G,) rising
    sensitivity   (G,) rising, 0 to 1; NaN where there is no truth
    """

    threshold: np.ndarray
    fp_per_case: np.ndarray
    sensitivity: np.ndarray


def froc_curve(marks: Marks, weights: np.ndarray | None = None) -> FrocCurve:
    """weights (N,) of the cases; None counts each once."""
    ranked = _Ranked.of(marks)
    row = once(weights, marks.cases)
    found = _reached(row, ranked.found)[0, ranked.found_until]
    false = _reached(row, ranked.false)[0, ranked.false_until]
    return FrocCurve(ranked.threshold, ratio(false, row.sum()), ratio(found, row[0] @ marks.truths))


def sensitivity_at(marks: Marks, rates: Sequence[float] = RATES, weights: np.ndarray | None = None) -> np.ndarray:
    """(R, len(rates)) sensitivity at each number of false positives per case.

    weights  (R, N) of the cases; None counts each once
    returns  NaN where no truth has weight
    """
    ranked = _Ranked.of(marks)
    wanted = np.asarray(rates, dtype=float) * _ROUNDING
    head = min(len(ranked.false), int(2 * wanted.max() * marks.cases) + 1)  # false positives that will nearly always do
    values = []
    for rows in parts(once(weights, marks.cases), head):
        limits = rows.sum(1)[:, None] * wanted
        reached = _reached(rows, ranked.false[:head])[:, 1:]
        if head < len(ranked.false) and (reached[:, -1] <= limits.max(1)).any():
            reached = _reached(rows, ranked.false)[:, 1:]
        kept = np.array([np.searchsorted(line, limit, "right") for line, limit in zip(reached, limits, strict=True)])
        groups = np.searchsorted(ranked.false_until, kept.reshape(limits.shape), "right")  # called as a whole
        places = np.r_[0, ranked.found_until][groups]
        found = np.take_along_axis(_reached(rows, ranked.found), places, axis=1)
        values.append(ratio(found, (rows @ marks.truths)[:, None]))
    return np.concatenate(values)


def froc_score(marks: Marks, weights: np.ndarray | None = None) -> np.ndarray:
    """(R,) mean sensitivity at the seven rates. Definition froc/1."""
    return sensitivity_at(marks, RATES, weights).mean(-1)


def threshold_at(marks: Marks, rate: float) -> float | None:
    """The lowest score from which there are at most `rate` false positives per case; None where nothing was answered.

    Where even the highest score brings more, the threshold lies just above it: nothing is called.
    """
    curve = froc_curve(marks)
    if not len(curve.threshold):
        return None
    kept = int(np.searchsorted(curve.fp_per_case, rate * _ROUNDING, "right"))
    return float(curve.threshold[kept - 1] if kept else np.nextafter(curve.threshold[0], np.inf))


@dataclass(frozen=True)
class _Ranked:
    """Answers sorted once by falling score, in G groups of equal ones.

    found, false              cases of the answers that found a truth, and of the others
    found_until, false_until  (G,) how many of them score at least as high as the group
    threshold                 (G,) score of the group
    """

    found: np.ndarray
    false: np.ndarray
    found_until: np.ndarray
    false_until: np.ndarray
    threshold: np.ndarray

    @classmethod
    def of(cls, marks: Marks) -> _Ranked:
        order = np.argsort(-marks.score, kind="stable")
        score, case, hit = marks.score[order], marks.answer_case[order], marks.is_hit[order]
        ends = np.flatnonzero(np.r_[score[1:] != score[:-1], True][: len(score)])
        return cls(case[hit], case[~hit], np.cumsum(hit)[ends], np.cumsum(~hit)[ends], score[ends])


def _reached(weights: np.ndarray, case: np.ndarray) -> np.ndarray:
    """(R, N) weights, (A,) cases of answers in order -> (R, A + 1) weight of the answers so far, from 0."""
    reached = np.zeros((len(weights), len(case) + 1))
    np.cumsum(weights[:, case], axis=1, out=reached[:, 1:])
    return reached
