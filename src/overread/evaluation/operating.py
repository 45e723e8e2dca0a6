"""Operating points and calibration, fitted on tuning data and frozen into the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overread.core.errors import OverreadError
from overread.core.kinds import Kind
from overread.core.question import Decisions, OperatingPoint, Question
from overread.evaluation.temperature import fit_temperature
from overread.evaluation.units import combine
from overread.metrics.calibration import tempered
from overread.metrics.quick import values_of
from overread.metrics.table import positive_class

HIGHEST = "highest probability"  # the rule where there are more than two exclusive classes


@dataclass(frozen=True)
class ThresholdRule:
    """kind "youden", "sensitivity", "specificity" or "fixed"; value is the aim, or the fixed threshold."""

    kind: str
    value: float
    text: str


def parse_rule(text: str) -> ThresholdRule:
    """Read "youden", "sensitivity >= 0.95", "specificity >= 0.9" or a number between 0 and 1."""
    plain = text.strip().lower()
    if plain == "youden":
        return ThresholdRule("youden", 0.0, "youden")
    match = re.fullmatch(r"(?:(sensitivity|specificity)\s*>=\s*)?(0?\.\d+|0|1|1\.0+)", plain)
    if match is None:
        raise OverreadError(
            f"The threshold rule '{text}' is not known; expected youden, sensitivity >= 0.95, specificity >= 0.9 "
            "or a number like 0.5.",
            "correct evaluation.threshold_rule in project.toml, or --threshold-rule",
        )
    value = float(match[2])
    return ThresholdRule(match[1], value, f"{match[1]} >= {match[2]}") if match[1] else ThresholdRule("fixed", value, match[2])


def stated_rule(question: Question, text: str) -> str:
    """The rule by which probabilities become calls: the one given, "highest probability" where more than two classes
    exclude each other, "" where nothing is called. A rule that means nothing is refused in any case."""
    given = parse_rule(text).text
    if question.task != "classification":
        return ""
    return HIGHEST if question.exclusive and not question.is_binary else given


def fit_decisions(
    question: Question,
    truths: Sequence[Kind],
    answers: Sequence[Kind],
    rule: str = "youden",
    *,
    units: Sequence[str] | None = None,
    aggregation: str = "none",
    calibrate: bool = True,
) -> Decisions:
    """Temperature and operating points from tuning cases; thresholds are meant for probabilities after the temperature.

    truths, answers  one per tuning case, in one order; answers are raw probabilities
    units            unit of analysis of each case (patient or exam), where cases are to be put together before the threshold
    aggregation      how: "none", "max", "mean" or "any"
    """
    if question.task != "classification":
        return Decisions()
    parsed = parse_rule(rule)
    truth, raw = values_of(truths, question.classes), values_of(answers, question.classes)
    temperature = fit_temperature(truth, raw, exclusive=question.exclusive) if calibrate else 1.0
    probability = tempered(raw, temperature, exclusive=question.exclusive)
    if units is not None and aggregation != "none":
        truth, probability, _ = combine(question, truth, probability, units, aggregation)
    return Decisions(operating_points(question, truth, probability, parsed), temperature)


def operating_points(
    question: Question, truth: np.ndarray, probability: np.ndarray, rule: ThresholdRule, fitted_on: str = "tuning"
) -> tuple[OperatingPoint, ...]:
    """One threshold per finding; none where the class with the highest probability is the answer."""
    if question.exclusive and not question.is_binary:
        return ()
    names = [positive_class(question)] if question.is_binary else list(question.classes)
    points = []
    for name in names:
        k = question.classes.index(name)
        known = np.isfinite(truth[:, k]) & np.isfinite(probability[:, k])
        points.append(operating_point(name, truth[known, k] > 0.5, probability[known, k], rule, fitted_on))
    return tuple(points)


def operating_point(
    name: str, truth: np.ndarray, probability: np.ndarray, rule: ThresholdRule, fitted_on: str = "tuning"
) -> OperatingPoint:
    """The threshold of one finding, midway between the two probabilities that it parts.

    truth (N,) bool, probability (N,)
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if rule.kind == "fixed":
        threshold, text = rule.value, rule.text
    elif positives == 0 or negatives == 0:
        absent = "positive" if positives == 0 else "negative"
        threshold, text = 0.5, f"0.5 (no {absent} {fitted_on} case, so '{rule.text}' cannot be fitted)"
    else:
        threshold, text = _fitted(truth, probability, rule), rule.text
    called = probability >= threshold
    return OperatingPoint(
        name,
        threshold,
        text,
        fitted_on,
        float(called[truth].mean()) if positives else None,
        float((~called)[~truth].mean()) if negatives else None,
    )


def _fitted(truth: np.ndarray, probability: np.ndarray, rule: ThresholdRule) -> float:
    values = np.unique(probability)
    cuts = np.r_[values[0] / 2, (values[1:] + values[:-1]) / 2, (values[-1] + 1) / 2]  # call all, ..., call none
    cuts[1:-1] = np.where(cuts[1:-1] > values[:-1], cuts[1:-1], values[1:])  # neighbours in floating point have no middle
    positive, negative = np.sort(probability[truth]), np.sort(probability[~truth])
    sensitivity = 1 - np.searchsorted(positive, cuts, "left") / len(positive)
    specificity = np.searchsorted(negative, cuts, "left") / len(negative)
    if rule.kind == "sensitivity":
        return float(cuts[np.flatnonzero(sensitivity >= rule.value - 1e-12)[-1]])
    if rule.kind == "specificity":
        return float(cuts[np.flatnonzero(specificity >= rule.value - 1e-12)[0]])
    together = sensitivity + specificity
    best = np.flatnonzero(together >= together.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])
