"""One class against the rest: its scores with intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.answered import Answered
from overread.evaluation.areas import auc_interval, rank_interval
from overread.evaluation.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.scored import Scored, by_sums, number
from overread.evaluation.wilson import proportion_interval
from overread.metrics import calibration, curves, decided
from overread.metrics.metric import Metric
from overread.metrics.ranking import AUC, AVERAGE_PRECISION, Ranking

BEFORE = "before temperature scaling"


class Finding:
    """One class against the rest: the cases whose truth and answer are known."""

    def __init__(self, table: Answered, k: int) -> None:
        self.known = np.isfinite(table.truth[:, k]) & np.isfinite(table.answer[:, k])
        self.truth = table.truth[self.known, k] > 0.5
        self.answer = table.answer[self.known, k]
        self.raw = table.raw[self.known, k]
        self.called = table.called[self.known, k] > 0.5
        self.fold = table.fold[self.known]
        self.patients = table.patients.select(self.known)
        self.patient_ids = np.asarray(table.patient_ids)[self.known]

    def terms(self, metric: Metric) -> np.ndarray:
        """(n, K) what a metric of sums adds up for this class."""
        if metric.key == "brier":
            return calibration.brier_terms(self.truth, self.answer)
        if metric.key == "ece":
            return calibration.bin_terms(self.truth, self.answer)
        if metric.key == "observed_expected":
            return np.stack([self.truth.astype(float), self.answer], -1)
        return decided.confusion_terms(self.truth, self.called)


def finding_score(metric: Metric, subject: str, finding: Finding, rules: Rules) -> Scored:
    if metric.key == AUC.key:
        interval = auc_interval(finding.truth, finding.answer, finding.patients, finding.fold, rules)
    elif metric.key == AVERAGE_PRECISION.key:
        interval = rank_interval(
            Ranking.average_precision,
            [(finding.truth, finding.answer)],
            finding.patients,
            [finding.fold],
            rules,
            metric.undefined,
        )
    elif metric.interval == "wilson":
        interval = proportion_score(metric, finding.terms(metric), finding.patients, rules)
    elif metric.interval == "sandwich":
        interval = _line_interval(metric, finding, rules)
    elif metric.key == "ece":
        interval = _ece_interval(finding, finding.answer, rules)
    else:
        return by_sums(metric, subject, finding.terms(metric), finding.patients, rules)
    return Scored(metric, subject, interval)


def proportion_score(metric: Metric, terms: np.ndarray, patients: Patients, rules: Rules) -> Interval:
    top, bottom = metric.parts or ((), ())
    return proportion_interval(terms[:, list(top)].sum(1), terms[:, list(bottom)].sum(1), patients, rules.level, metric.undefined)


def _line_interval(metric: Metric, finding: Finding, rules: Rules) -> Interval:
    """Slope or intercept with Student's quantile over patients."""
    count, cases = finding.patients.count, finding.patients.cases
    method = "sandwich standard error by patient"
    line = calibration.calibration_line(finding.truth, finding.answer, finding.patients.number) if cases else None
    if line is None or count < 3:
        return Interval(None, None, None, method, cases, count, rules.level, metric.undefined)
    value, error = (line.slope, line.slope_error) if metric is calibration.SLOPE else (line.intercept, line.intercept_error)
    half = float(stats.t.ppf(0.5 + rules.level / 2, count - 1)) * error
    return Interval(value, value - half, value + half, method, cases, count, rules.level)


def _ece_interval(finding: Finding, probability: np.ndarray, rules: Rules) -> Interval:
    """No interval: sampling noise only ever adds to this number. What noise alone would give is said instead."""
    cases, count = finding.patients.cases, finding.patients.count
    if cases == 0:
        return Interval(None, None, None, "none", 0, 0, rules.level, calibration.ECE.undefined)
    value = float(calibration.ece_from_sums(calibration.bin_terms(finding.truth, probability).sum(0)))
    noise = calibration.expected_ece(probability)
    reason = f"biased upwards; a perfectly calibrated model would show about {noise:.3f} on as many independent cases"
    return Interval(value, None, None, "none", cases, count, rules.level, reason)


def before_temperature(subject: str, finding: Finding, rules: Rules) -> list[Scored]:
    """Brier score and ECE of the raw probabilities, where a temperature changed them."""
    if np.allclose(finding.raw, finding.answer, atol=1e-6):
        return []
    terms = calibration.brier_terms(finding.truth, finding.raw)
    brier = by_sums(_before(calibration.BRIER), subject, terms, finding.patients, rules)
    return [brier, Scored(_before(calibration.ECE), subject, _ece_interval(finding, finding.raw, rules))]


def _before(metric: Metric) -> Metric:
    return replace(metric, key=f"{metric.key}_raw", name=f"{metric.name} {BEFORE}", formula=f"{metric.formula}; {BEFORE}")


def is_defined(metric: Metric, finding: Finding) -> bool:
    if metric.key in (AUC.key, AVERAGE_PRECISION.key):
        return 0 < int(finding.truth.sum()) < len(finding.truth)
    return metric.from_sums is not None and bool(np.isfinite(metric.from_sums(finding.terms(metric).sum(0))))


def calibration_curve(finding: Finding, rules: Rules) -> list[dict[str, Any]]:
    bins = []
    for low, high, cases in curves.calibration_bins(finding.truth, finding.answer):
        truth, patients = finding.truth[cases], Patients.of(finding.patient_ids[cases])
        rate = proportion_interval(truth.astype(float), np.ones(len(cases)), patients, rules.level, "no case")
        mean = float(finding.answer[cases].mean())
        bins.append(
            {"low": low, "high": high, "mean_probability": number(mean), "rate": rate.estimate, "rate_low": rate.low,
             "rate_high": rate.high, "n": len(cases)}
        )  # fmt: skip
    return bins
