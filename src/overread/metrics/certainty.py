"""Metrics of answers that know how sure they are: sets of classes, intervals of numbers, and leaving the unsure ones out."""

from __future__ import annotations

import numpy as np

from overread.metrics.metric import Metric, mean_from_sums, ratio
from overread.metrics.ranking import Ranking


def aurc(errors: Ranking, weights: np.ndarray | None = None) -> np.ndarray:
    """(R,) mean share of errors among the surest cases, over all shares of cases that could be answered; NaN without a case.

    errors  of truth "the call is wrong" and score "confidence"

    Source: Geifman and El-Yaniv, NeurIPS 2017. Cases of equal confidence are answered together.
    """
    wrong, right = errors.steps(weights)
    answered = wrong + right
    total = np.cumsum(answered, axis=1)
    risk = np.divide(np.cumsum(wrong, axis=1), total, out=np.zeros_like(total), where=total > 0)
    return ratio((risk * answered).sum(1), answered.sum(1))


AURC = Metric(
    "aurc", "Area under the risk-coverage curve",
    "mean, over all shares of cases that could be answered, surest first, of the share of wrong calls among them; confidence is "
    "the probability of the class that was called; 0 is perfect, without knowledge of its errors it is the share of wrong calls",
    "lower", undefined="no case", depends_on_prevalence=True,
)  # fmt: skip
COVERAGE = Metric(
    "conformal_coverage", "Truth inside the stated set or interval",
    "cases whose truth lies in the set of classes, or in the interval, that was made to hold it in a stated share of patients "
    "(split conformal prediction, limits fitted on tuning cases)",
    "none", "wilson", undefined="no case", from_sums=mean_from_sums, parts=((0,), (1,)),
)  # fmt: skip
SET_SIZE = Metric(
    "conformal_size", "Classes in the set", "mean number of classes in the set", "lower", undefined="no case",
    from_sums=mean_from_sums, depends_on_prevalence=True,
)  # fmt: skip
SINGLE = Metric(
    "conformal_single", "Sets of one class", "cases whose set holds exactly one class / all: those that are answered clearly",
    "higher", "wilson", undefined="no case", from_sums=mean_from_sums, parts=((0,), (1,)), depends_on_prevalence=True,
)  # fmt: skip
WIDTH = Metric(
    "conformal_width", "Width of the interval", "upper - lower end, one width for all cases", "lower", "none",
    undefined="no case", from_sums=mean_from_sums,
)  # fmt: skip

ALL = (AURC, COVERAGE, SET_SIZE, SINGLE, WIDTH)
