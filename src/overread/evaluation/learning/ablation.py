"""What one part adds: the score with it less the score without it, paired by patient, each the mean of several trainings.

Both what patients tune and how trainings turn out is in the interval and in p, see `overread.evaluation.learning.trainings`; one
training of each shows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.difference import difference_interval, holm
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import Difference, difference
from overread.evaluation.comparing.spread import run_values
from overread.evaluation.learning.trainings import OverTrainings
from overread.evaluation.robustness.verdicts import DIRECTED, as_drop

HELPS, HARMS, UNSHOWN = "helps", "harms", "not shown"
ALONE = "each was trained once, and how another training would turn out is not known"


@dataclass(frozen=True)
class Gain:
    """One part.

    with_it, without  the score, mean over the trainings
    gain              by how much the score is better with it, in its unit; below 0 where it is worse
    p, p_holm         two-sided, of no change; corrected over all parts; None where nothing can be shown
    each              the same, for each training (each seed) by itself
    """

    name: str
    with_it: float
    without: float
    gain: Interval
    p: float | None
    p_holm: float | None
    verdict: str
    each: tuple[float | None, ...]
    remark: str

    @property
    def spread(self) -> float | None:
        """Standard deviation of the gain over trainings; None of fewer than two."""
        known = [value for value in self.each if value is not None]
        return float(np.std(known, ddof=1)) if len(known) > 1 else None


def gains(
    base: Contender, others: Sequence[Contender], endpoint: Endpoint, level: float = 0.95, *, one_model: bool = False
) -> list[Gain]:
    """The base against each of the others, from which one part was taken away.

    one_model  all are answers of one frozen model, and nothing was trained: then patients alone vary
    The verdicts are corrected for all of them together (Holm).
    """
    refuse_undirected(endpoint)
    lined = line_up([base, *others])
    values = [run_values(lined, endpoint, k) for k in range(len(lined.names))]
    sign = 1.0 if endpoint.metric.better == "higher" else -1.0
    numbers = range(1, len(lined.names))
    each = [tuple(_less(a, b, sign) for a, b in zip(values[0], values[k], strict=False)) for k in numbers]
    found = [difference(lined, endpoint, k, level=level) for k in numbers]
    if not one_model:
        found = [_over_trainings(one, pairs) for one, pairs in zip(found, each, strict=True)]
    p = [None if one.interval.reason == ALONE else one.p for one in found]
    corrected = iter(holm([value for value in p if value is not None]))
    fair = [None if value is None else next(corrected) for value in p]
    return [
        Gain(one.model, *one.values, as_drop(one), own, all_, _verdict(as_drop(one), all_, level), pairs, one.remark)
        for one, own, all_, pairs in zip(found, p, fair, each, strict=True)
    ]


def _over_trainings(found: Difference, each: Sequence[float | None]) -> Difference:
    """The difference with the spread of its pairs of trainings in it; with one pair it stands for these trainings alone."""
    if found.test.reason:
        return found
    known = [value for value in each if value is not None]
    if len(known) < 2:
        return replace(found, interval=replace(found.interval, reason=ALONE))
    test, about = OverTrainings.of(found.test, known), found.interval
    return replace(found, test=test, interval=difference_interval(test, about.n_cases, about.n_patients, about.level))


def refuse_undirected(endpoint: Endpoint) -> None:
    if endpoint.metric.better not in DIRECTED:
        raise OverreadError(
            f"By {endpoint.metric.name} nothing can be said to help: it has no better and worse side.",
            "set evaluation.primary_endpoint in project.toml",
        )


def _less(with_it: float | None, without: float | None, sign: float) -> float | None:
    return None if with_it is None or without is None else sign * (with_it - without)


def _verdict(gain: Interval, p: float | None, level: float) -> str:
    if p is None or p >= 1 - level or gain.low is None:
        return UNSHOWN
    return HELPS if (gain.estimate or 0.0) > 0 else HARMS
