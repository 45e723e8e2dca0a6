"""Scores of one class where positives are as common as stated, not as among the cases at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from overread.core.score import Interval
from overread.evaluation.finding import Finding, doubted, not_shown
from overread.evaluation.intervals.areas import rank_interval
from overread.evaluation.intervals.bootstrap import FEW_PATIENTS
from overread.evaluation.intervals.ratios import predictive_value
from overread.evaluation.intervals.wilson import proportion_interval, scaled
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums
from overread.metrics import calibration
from overread.metrics.metric import Metric
from overread.metrics.prevalence import (
    AVERAGE_PRECISION_AT,
    BY_SUMS_AT,
    ECE_AT,
    FALSE_ALARMS_AT,
    PPV_AT,
    at_shares_from_sums,
    class_weights,
    split_terms,
)
from overread.metrics.ranking import Ranking

SUMS_AT = {**{metric.key: plain for metric, plain in BY_SUMS_AT.items()}, ECE_AT.key: calibration.ECE}


def at_prevalence(metric: Metric, subject: str, finding: Finding, rules: Rules) -> Scored:
    """A metric that depends on the prevalence, at the stated one."""
    share = stated_share(rules, subject)
    truth, called, patients = finding.truth, finding.called, finding.patients
    if share is None:
        return Scored(metric, subject, not_shown(patients, rules, "no prevalence is stated"))
    metric = replace(metric, name=metric.name.replace("the stated prevalence", f"a prevalence of {100 * share:.3g} %"))
    if not truth.any() or truth.all():
        return Scored(metric, subject, not_shown(patients, rules, "cases of one class only"))
    if metric.interval == "ratio":
        of_calls = metric.key == PPV_AT.key
        interval = predictive_value(truth, called, patients, rules, metric.undefined, share, of_calls=of_calls)
    elif metric.key == FALSE_ALARMS_AT.key:
        healthy = proportion_interval(called, ~truth, patients, rules.level, metric.undefined)
        interval = scaled(healthy, 100 * (1 - share))
    elif metric.key == AVERAGE_PRECISION_AT.key:
        interval = doubted(_precision_at(finding, share, rules, metric.undefined), finding, FEW_PATIENTS, FEW_PATIENTS)
    else:
        plain = SUMS_AT[metric.key]
        assert plain.from_sums is not None
        terms = split_terms(truth, finding.terms(plain))
        from_sums = partial(at_shares_from_sums, plain.from_sums, (1 - share, share))
        if metric.interval != "none":
            scored = by_sums(metric, subject, terms, patients, rules, from_sums)
            return replace(scored, interval=doubted(scored.interval, finding, FEW_PATIENTS, FEW_PATIENTS))
        reason = "biased upwards: chance differences of the bins add to it"
        estimate = float(from_sums(terms.sum(0)))
        interval = Interval(estimate, None, None, "none", patients.cases, patients.count, rules.level, reason)
    return Scored(metric, subject, interval)


def stated_share(rules: Rules, subject: str) -> float | None:
    """The stated prevalence of a class; one number is that of the only class that counts as positive."""
    return rules.prevalence.get(subject) if isinstance(rules.prevalence, Mapping) else rules.prevalence


def _precision_at(finding: Finding, share: float, rules: Rules, undefined: str) -> Interval:
    def function(ranking: Ranking, counts: np.ndarray) -> np.ndarray:
        by_case = class_weights(ranking.truth.astype(int), (1 - share, share), counts[:, ranking.order])
        return replace(ranking, order=np.arange(len(ranking.order))).average_precision(by_case)

    return rank_interval(function, [(finding.truth, finding.answer)], finding.patients, [finding.fold], rules, undefined)
