"""What one part adds: the score with it less the score without it, paired by patient, each the mean of several trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.difference import holm
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import Difference, difference
from overread.evaluation.comparing.spread import run_values
from overread.evaluation.robustness.verdicts import DIRECTED, as_drop

HELPS, HARMS, UNSHOWN = "helps", "harms", "not shown"


@dataclass(frozen=True)
class Gain:
    """One part.

    with_it, without  the score, mean over the trainings
    gain              by how much the score is better with it, in its unit; below 0 where it is worse
    p, p_holm         two-sided, of no change; corrected over all parts
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


def gains(base: Contender, others: Sequence[Contender], endpoint: Endpoint, level: float = 0.95) -> list[Gain]:
    """The base against each of the others, from which one part was taken away.

    The verdicts are corrected for all of them together (Holm).
    """
    refuse_undirected(endpoint)
    lined = line_up([base, *others])
    found = [difference(lined, endpoint, k, level=level) for k in range(1, len(lined.names))]
    corrected = iter(holm([one.p for one in found if one.p is not None]))
    fair = [None if one.p is None else next(corrected) for one in found]
    values = [run_values(lined, endpoint, k) for k in range(len(lined.names))]
    sign = 1.0 if endpoint.metric.better == "higher" else -1.0
    made = []
    for k, (one, p) in enumerate(zip(found, fair, strict=True), 1):
        each = tuple(_less(a, b, sign) for a, b in zip(values[0], values[k], strict=False))
        interval = as_drop(one)
        made.append(Gain(lined.names[k], *one.values, interval, one.p, p, _verdict(one, interval, p, level), each, one.remark))
    return made


def refuse_undirected(endpoint: Endpoint) -> None:
    if endpoint.metric.better not in DIRECTED:
        raise OverreadError(
            f"By {endpoint.metric.name} nothing can be said to help: it has no better and worse side.",
            "set evaluation.primary_endpoint in project.toml",
        )


def _less(with_it: float | None, without: float | None, sign: float) -> float | None:
    return None if with_it is None or without is None else sign * (with_it - without)


def _verdict(found: Difference, gain: Interval, p: float | None, level: float) -> str:
    if p is None or p >= 1 - level or gain.low is None:
        return UNSHOWN
    return HELPS if (gain.estimate or 0.0) > 0 else HARMS
