"""One class against the rest: its scores with intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.at_prevalence import at_prevalence
from overread.evaluation.finding import Finding, doubted, lopsided, not_shown
from overread.evaluation.intervals.areas import auc_interval, rank_interval
from overread.evaluation.intervals.bootstrap import FEW_PATIENTS
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.ratios import likelihood_ratio, predictive_value
from overread.evaluation.intervals.wilson import proportion_interval, scaled
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums, number
from overread.metrics import calibration, curves, decided
from overread.metrics.metric import Metric
from overread.metrics.prevalence import SUFFIX
from overread.metrics.ranking import AUC, AVERAGE_PRECISION, PARTIAL_AUC, Ranking

BEFORE = "before calibration"
FEWEST_FOR_A_LINE = 3  # patients; a standard error of two says nothing
SEPARATED = "the probability parts the classes without an error, so these cases cannot tell how sure that is"
FEW_NEGATIVES = 50  # patients; the partial area rests on the highest tenth of them
RANKS = {PARTIAL_AUC.key: Ranking.partial_auc, AVERAGE_PRECISION.key: Ranking.average_precision}


def finding_score(metric: Metric, subject: str, finding: Finding, rules: Rules) -> Scored:
    """One metric of one class; what an enriched sample cannot tell is not shown."""
    if rules.is_enriched and metric.depends_on_prevalence:
        return Scored(metric, subject, not_shown(finding.patients, rules))
    if metric.key.endswith(SUFFIX):
        return at_prevalence(metric, subject, finding, rules)
    if metric.key == AUC.key:
        interval = auc_interval(finding.truth, finding.answer, finding.patients, finding.fold, rules)
        interval = lopsided(interval, finding, subject)
    elif metric.key in RANKS:
        pairs = [(finding.truth, finding.answer)]
        interval = rank_interval(RANKS[metric.key], pairs, finding.patients, [finding.fold], rules, metric.undefined)
        if metric.key == PARTIAL_AUC.key:
            interval = doubted(interval, finding, FEW_PATIENTS, FEW_NEGATIVES)
    elif metric.interval == "wilson":
        interval = proportion_score(metric, finding.terms(metric), finding.patients, rules)
    elif metric.interval == "ratio":
        of_calls = metric.key == decided.LR_POSITIVE.key
        interval = likelihood_ratio(finding.truth, finding.called, finding.patients, rules, metric.undefined, of_calls=of_calls)
    elif metric.interval == "sandwich":
        interval = _line_interval(metric, finding, rules)
    elif metric.interval == "none":
        interval = _binned_interval(metric, finding, finding.answer, rules)
    else:
        return by_sums(metric, subject, finding.terms(metric), finding.patients, rules)
    return Scored(metric, subject, interval)


def proportion_score(metric: Metric, terms: np.ndarray, patients: Patients, rules: Rules) -> Interval:
    top, bottom = metric.parts or ((), ())
    hit, of = terms[:, list(top)].sum(1), terms[:, list(bottom)].sum(1)
    return scaled(proportion_interval(hit, of, patients, rules.level, metric.undefined), metric.scale)


def _line_interval(metric: Metric, finding: Finding, rules: Rules) -> Interval:
    """Slope or intercept with Student's quantile over patients."""
    count, cases = finding.patients.count, finding.patients.cases
    method = "sandwich standard error by patient"
    line = calibration.calibration_line(finding.truth, finding.answer, finding.patients.number) if cases else None
    found = None if line is None else line.slope if metric is calibration.SLOPE else line.intercept
    if found is None:
        return Interval(None, None, None, method, cases, count, rules.level, metric.undefined)
    value, error = found
    if count < FEWEST_FOR_A_LINE:
        few = f"{count} {'patient is' if count == 1 else 'patients are'} too few for a fitted line"
        return Interval(value, None, None, method, cases, count, rules.level, few)
    if line is not None and line.slope is None and np.ptp(finding.answer) > 0:
        return Interval(value, None, None, method, cases, count, rules.level, SEPARATED)
    half = float(stats.t.ppf(0.5 + rules.level / 2, count - 1)) * error
    return Interval(value, value - half, value + half, method, cases, count, rules.level)


def _binned_interval(metric: Metric, finding: Finding, probability: np.ndarray, rules: Rules) -> Interval:
    """No interval: sampling noise only ever adds to a gap of bins. What noise alone would give is said instead."""
    cases, count = finding.patients.cases, finding.patients.count
    if cases == 0 or metric.from_sums is None:
        return Interval(None, None, None, "none", 0, 0, rules.level, metric.undefined)
    if metric is calibration.RELIABILITY or metric is calibration.RESOLUTION:
        terms, noise = calibration.brier_part_terms(finding.truth, probability), calibration.expected_reliability(probability)
    else:
        terms, noise = calibration.bin_terms(finding.truth, probability), calibration.expected_ece(probability)
    reason = f"biased upwards; a perfectly calibrated model would show about {noise:.3f} on as many independent cases"
    if metric is calibration.RESOLUTION:
        reason = f"biased upwards, by about {noise:.3f} on as many independent cases"
    return Interval(float(metric.from_sums(terms.sum(0))), None, None, "none", cases, count, rules.level, reason)


def before_calibration(subject: str, finding: Finding, rules: Rules) -> list[Scored]:
    """Brier score and ECE of the raw probabilities, where a frozen calibration changed them."""
    if np.allclose(finding.raw, finding.answer, atol=1e-6):
        return []
    if rules.is_enriched:
        hidden = not_shown(finding.patients, rules)
        return [Scored(_before(metric), subject, hidden) for metric in (calibration.BRIER, calibration.ECE)]
    terms = calibration.brier_terms(finding.truth, finding.raw)
    brier = by_sums(_before(calibration.BRIER), subject, terms, finding.patients, rules)
    return [brier, Scored(_before(calibration.ECE), subject, _binned_interval(calibration.ECE, finding, finding.raw, rules))]


def _before(metric: Metric) -> Metric:
    return replace(metric, key=f"{metric.key}_raw", name=f"{metric.name} {BEFORE}", formula=f"{metric.formula}; {BEFORE}")


def is_defined(metric: Metric, finding: Finding) -> bool:
    if metric.key in (AUC.key, AVERAGE_PRECISION.key):
        return 0 < int(finding.truth.sum()) < len(finding.truth)
    return metric.from_sums is not None and bool(np.isfinite(metric.from_sums(finding.terms(metric).sum(0))))


def calibration_curve(finding: Finding, rules: Rules, share: float | None = None) -> list[dict[str, Any]]:
    """Rate of positives by bin of probability; where a prevalence `share` is stated, the rate that it would give.

    Bayes' rule turns the odds of the prevalence into the rate of a bin by the ratio of positives and negatives that fall in it.
    """
    bins = []
    for low, high, cases in curves.calibration_bins(finding.truth, finding.answer):
        truth, patients = finding.truth[cases], Patients.of(finding.patient_ids[cases])
        if share is None:
            rate = proportion_interval(truth.astype(float), np.ones(len(cases)), patients, rules.level, "no case")
        else:
            inside = np.isin(np.arange(len(finding.truth)), cases)
            rate = predictive_value(finding.truth, inside, finding.patients, rules, "no case", share, of_calls=True)
        if rate.estimate is None:
            continue
        mean = float(finding.answer[cases].mean())
        bins.append(
            {"low": low, "high": high, "mean_probability": number(mean), "rate": rate.estimate, "rate_low": rate.low,
             "rate_high": rate.high, "n": len(cases)}
        )  # fmt: skip
    return bins
