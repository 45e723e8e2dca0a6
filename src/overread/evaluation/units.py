"""From the unit of an image to the unit of analysis: several answers of one exam or patient become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.question import Question

RULES = ("none", "max", "mean", "any")


def units_of(question: Question, cases: Sequence[Case]) -> list[str]:
    """The unit of analysis that each case belongs to: its patient, its exam, or the case itself (a lesion, a side)."""
    if question.unit == "patient":
        return [case.patient_id for case in cases]
    return [case.exam_id if question.unit == "exam" else case.case_id for case in cases]


def combine(
    question: Question, truth: np.ndarray, answer: np.ndarray, units: Sequence[str], rule: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put the cases of each unit together.

    truth, answer  (N, K), NaN where not known
    units          (N,) name of the unit that each case belongs to
    rule           "max" and "any": the highest probability, and positive where any case is; "mean": the mean
    returns        truth and answer (U, K), and (U,) number of the first case of each unit, which lends it its names

    Truths of one unit that differ are put together by the same rule for findings. Exclusive classes must agree under
    "mean"; with two of them, "max" and "any" act on the positive one.
    """
    if rule not in RULES[1:]:
        raise OverreadError(
            f"The aggregation '{rule}' is not known; expected one of {', '.join(RULES)}.", "correct question.aggregation"
        )
    if question.exclusive and not question.is_binary and question.task == "classification" and rule != "mean":
        raise OverreadError(
            f"The aggregation '{rule}' has no meaning for {len(question.classes)} exclusive classes.",
            'set question.aggregation = "mean"',
        )
    names = np.asarray(units, dtype=str)
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    order = np.argsort(first)
    groups = [np.flatnonzero(number == u) for u in order]
    joined = [_join(question, truth[g], answer[g], rule, names[g[0]]) for g in groups]
    return np.array([t for t, _ in joined]), np.array([a for _, a in joined]), first[order]


def _join(question: Question, truth: np.ndarray, answer: np.ndarray, rule: str, unit: str) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(truth)
    if rule == "mean":
        agreed = (np.nanmin(np.where(known, truth, np.inf), 0), np.nanmax(np.where(known, truth, -np.inf), 0))
        if question.task == "classification" and (agreed[0] < agreed[1]).any():
            raise OverreadError(
                f"The cases of {unit} have different truths, so their mean has no truth of its own.",
                'set question.aggregation = "any" (positive where any case is), or give one truth per unit',
            )
        return _over(np.nanmean, truth), _over(np.nanmean, answer)
    if not question.is_binary:
        return _over(np.nanmax, truth), _over(np.nanmax, answer)
    positive = question.classes.index(question.positive or question.classes[-1])
    pair = np.array([_over(np.nanmax, t)[positive] for t in (truth, answer)])
    columns = np.where(np.arange(2)[None] == positive, pair[:, None], 1 - pair[:, None])
    return columns[0], columns[1]


def _over(reduce: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
    """Reduce over cases, NaN (without a warning) where none is known."""
    out = np.full(values.shape[1], np.nan)
    some = np.isfinite(values).any(0)
    out[some] = reduce(values[:, some], axis=0)
    return out
