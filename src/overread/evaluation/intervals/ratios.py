"""Intervals of ratios of two proportions: likelihood ratios, and predictive values at a stated prevalence."""

from __future__ import annotations

import numpy as np

from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.rules import Rules
from overread.metrics import decided
from overread.metrics.metric import FromSums
from overread.metrics.prevalence import at_shares_from_sums, split_terms


def mover_ratio(top: Interval, bottom: Interval) -> tuple[float, float]:
    """Limits of top / bottom, two proportions of different cases, from the limits of each; the upper one may be infinite.

    Source: MOVER-R, Donner and Zou, Stat Methods Med Res 2012;21:347; Newcombe, ibid. 2016;25:1774.
    """
    values = (top.estimate, top.low, top.high, bottom.estimate, bottom.low, bottom.high)
    assert all(v is not None for v in values)
    a, la, ua, b, lb, ub = (float(v) for v in values if v is not None)
    low_root = max((a * b) ** 2 - la * ub * (2 * a - la) * (2 * b - ub), 0.0)
    high_root = max((a * b) ** 2 - ua * lb * (2 * a - ua) * (2 * b - lb), 0.0)
    # (c - r) / d with r near c, written as (c^2 - r^2) / (d (c + r)), so that nothing is lost where d is near 0
    low = la * (2 * a - la) / (a * b + np.sqrt(low_root)) if la > 0 else 0.0
    high = (a * b + np.sqrt(high_root)) / (lb * (2 * b - lb)) if lb > 0 else np.inf
    return float(low), float(high)


def ratio_interval(truth: np.ndarray, called: np.ndarray, patients: Patients, rules: Rules, *, of_calls: bool) -> Interval:
    """A likelihood ratio; infinite where its lower part is 0, and so is its upper end.

    of_calls  True: sensitivity / (1 - specificity); False: (1 - sensitivity) / specificity
    """
    hit = called if of_calls else ~called
    cases, count = patients.cases, patients.count
    top, bottom = (proportion_interval(hit, which, patients, rules.level, "") for which in (truth, ~truth))
    method = "MOVER-R from Wilson's limits" + (" by patient" if patients.are_clustered else "")
    if top.estimate is None or bottom.estimate is None or not (top.estimate or bottom.estimate):
        return Interval(None, None, None, method, cases, count, rules.level, "a class has no case, or nothing of the kind")
    ratio = top.estimate / bottom.estimate if bottom.estimate else np.inf
    if top.low is None or bottom.low is None:
        few = "all cases of a class are of one patient"
        return Interval(ratio if np.isfinite(ratio) else None, None, None, method, cases, count, rules.level, few)
    low, high = mover_ratio(top, bottom)
    return Interval(ratio, low, high, method, cases, count, rules.level)


def straddles(truth: np.ndarray, patients: Patients) -> bool:
    """Some patient has positive and negative cases, so that the two proportions are not independent."""
    return bool(np.intersect1d(patients.number[truth], patients.number[~truth]).size)


def likelihood_ratio(
    truth: np.ndarray, called: np.ndarray, patients: Patients, rules: Rules, undefined: str, *, of_calls: bool
) -> Interval:
    """With its interval; where the ratio is infinite, the lower end is told as the reason."""
    if straddles(truth, patients):
        from_sums = decided.positive_ratio_from_sums if of_calls else decided.negative_ratio_from_sums
        return bootstrap_interval(
            of_sums(patients, decided.confusion_terms(truth, called), from_sums), patients, rules, undefined
        )
    found = ratio_interval(truth, called, patients, rules, of_calls=of_calls)
    if found.low is None:
        return found if found.estimate is not None else _without(found, undefined)
    if found.estimate is not None and not np.isfinite(found.estimate):
        return _without(found, f"infinite in these cases; the lower end of its interval is {found.low:.3g}")
    if found.high is None or not np.isfinite(found.high):
        return Interval(
            found.estimate, None, None, found.method, found.n_cases, found.n_patients, found.level,
            f"without an upper end; its lower end is {found.low:.3g}",
        )  # fmt: skip
    return found


def predictive_value(
    truth: np.ndarray, called: np.ndarray, patients: Patients, rules: Rules, undefined: str, share: float, *, of_calls: bool
) -> Interval:
    """PPV (of calls) or NPV where the share of positives is `share`: the likelihood ratio, turned by Bayes' rule."""
    if straddles(truth, patients):
        from_sums = (decided.PPV if of_calls else decided.NPV).from_sums
        return _resampled(truth, called, patients, rules, undefined, share, from_sums)
    found = ratio_interval(truth, called, patients, rules, of_calls=of_calls)
    if found.estimate is None or found.low is None or found.high is None:
        return _without(found, undefined if found.estimate is None else found.reason)
    edges = [_after(ratio, share) for ratio in (found.estimate, found.low, found.high)]
    estimate, low, high = edges if of_calls else (1 - edges[0], 1 - edges[2], 1 - edges[1])
    return Interval(estimate, low, high, f"{found.method}, by Bayes' rule", found.n_cases, found.n_patients, rules.level)


def _after(ratio: float, share: float) -> float:
    """Probability of disease after a result with this likelihood ratio."""
    return 1.0 if np.isinf(ratio) else ratio * share / (ratio * share + 1 - share)


def _resampled(
    truth: np.ndarray,
    called: np.ndarray,
    patients: Patients,
    rules: Rules,
    undefined: str,
    share: float,
    from_sums: FromSums | None,
) -> Interval:
    assert from_sums is not None
    terms = split_terms(truth, decided.confusion_terms(truth, called))
    statistic = of_sums(patients, terms, lambda sums: at_shares_from_sums(from_sums, (1 - share, share), sums))
    return bootstrap_interval(statistic, patients, rules, undefined)


def _without(found: Interval, reason: str) -> Interval:
    return Interval(None, None, None, found.method, found.n_cases, found.n_patients, found.level, reason)
