"""How far a score falls when images are degraded, and what may be said of it: holds, drops, or too few to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from overread.core.score import Interval
from overread.evaluation.comparing.compared import Lined
from overread.evaluation.comparing.difference import holm
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.paired import Difference, difference

HOLDS, DROPS, TOO_FEW = "holds", "drops", "too few to say"
OF_SHARES = 0.05  # of a score that ends at 1
OF_OTHERS = 0.1  # of the value on the images as they are: an error, a distance
FEWEST = 10  # patients, for any verdict
FEWEST_TO_HOLD = 60  # patients among whom a total failure in 1 of 20 would be seen (rule of three; Hanley 1983, JAMA 249:1743)
DIRECTED = ("higher", "lower")


@dataclass(frozen=True)
class Drop:
    """One degradation at one amount against the images as they are.

    clean, degraded  the score, on the cases that have one both times
    drop             by how much it got worse, in the unit of the score; below 0 where it got better
    p, p_holm        two-sided, of no change; corrected over the suite
    p_holds          one-sided, of a drop as large as the tolerance; corrected over the suite
    """

    clean: float
    degraded: float
    drop: Interval
    p: float | None
    p_holm: float | None
    p_holds: float | None
    verdict: str
    remark: str


def drops(lined: Lined, endpoint: Endpoint, level: float = 0.95) -> tuple[float, list[Drop]]:
    """The drop that would matter, and every contender against the first, which read the images as they are.

    The verdicts are corrected for all of them together.
    """
    found = [difference(lined, endpoint, k, level=level) for k in range(1, len(lined.names))]
    tolerance = tolerance_of(endpoint, found[0].values[0])
    change = _corrected([f.p for f in found])
    within = _corrected([None if f.test.reason else _p_within(f, tolerance) for f in found])
    made = [
        Drop(*f.values, as_drop(f), f.p, p, q, _verdict(f, p, q, level), f.remark)
        for f, p, q in zip(found, change, within, strict=True)
    ]
    return tolerance, made


def as_drop(found: Difference) -> Interval:
    """The difference, degraded less clean, turned so that above 0 is worse; an open end (too few patients) is none."""
    one = found.interval
    sign = -1.0 if found.endpoint.metric.better == "higher" else 1.0
    ends = sorted(sign * end + 0.0 for end in (one.low, one.high) if end is not None)
    if not ends or not all(map(isfinite, ends)):
        reason = one.reason or f"{one.n_patients} patients are too few for an interval of {one.level:.0%}"
        return Interval(sign * found.test.estimate + 0.0, None, None, one.method, one.n_cases, one.n_patients, one.level, reason)
    low, high = ends
    return Interval(sign * found.test.estimate + 0.0, low, high, one.method, one.n_cases, one.n_patients, one.level, one.reason)


def tolerance_of(endpoint: Endpoint, clean: float) -> float:
    """The drop that would matter, in the unit of the score; fixed before anything is read but for the value that errors have."""
    return OF_SHARES if endpoint.metric.better == "higher" and not endpoint.metric.unit else OF_OTHERS * abs(clean)


def rule_words(endpoint: Endpoint, tolerance: float, level: float = 0.95) -> str:
    """The rule of the verdicts in words."""
    unit = f" {endpoint.metric.unit}" if endpoint.metric.unit else ""
    share = "" if tolerance == OF_SHARES else f", {OF_OTHERS:.0%} of the value on the images as they are"
    return (
        f"'{HOLDS}': a drop of {tolerance:.3g}{unit} or more{share} is ruled out (one-sided, {(1 - level) / 2:.3g}), by "
        f"{FEWEST_TO_HOLD} patients or more, so that a total failure in 1 of 20 would have been seen. '{DROPS}': a drop is shown "
        f"(two-sided, {1 - level:.2g}), and one of that size is not ruled out. Both after Holm's correction over the suite. "
        f"'{TOO_FEW}': neither, or fewer than {FEWEST} patients."
    )


def _p_within(found: Difference, tolerance: float) -> float:
    up = found.endpoint.metric.better == "higher"
    return found.test.p_above(-tolerance) if up else found.test.p_below(tolerance)


def _corrected(p: Sequence[float | None]) -> list[float | None]:
    fair = iter(holm([value for value in p if value is not None]))
    return [None if value is None else next(fair) for value in p]


def _verdict(found: Difference, p: float | None, within: float | None, level: float) -> str:
    if p is None or within is None or found.interval.n_patients < FEWEST:
        return TOO_FEW
    if within < (1 - level) / 2:
        return HOLDS if found.interval.n_patients >= FEWEST_TO_HOLD else TOO_FEW
    is_worse = (found.test.estimate < 0) == (found.endpoint.metric.better == "higher")
    return DROPS if p < 1 - level and is_worse else TOO_FEW
