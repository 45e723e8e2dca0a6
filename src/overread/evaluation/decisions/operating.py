"""Operating points and calibration, fitted on tuning data and frozen into the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from overread.core.kinds import Kind
from overread.core.question import Decisions, OperatingPoint, Question
from overread.evaluation.decisions.conformal import fit_limits
from overread.evaluation.decisions.recalibration import fit_recalibration
from overread.evaluation.decisions.temperature import fit_temperature
from overread.evaluation.decisions.threshold import Population, operating_point
from overread.evaluation.decisions.threshold_rules import ThresholdRule, parse_rule
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import prevalences
from overread.evaluation.units import combine
from overread.metrics.calibration import calibrated
from overread.metrics.quick import values_of
from overread.metrics.table import positive_class

HIGHEST = "highest probability"  # the rule where there are more than two exclusive classes


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
    patients: Sequence[str] | None = None,
    calibration: str = "temperature",
    sampling: str = "unknown",
    prevalence: float | Mapping[str, float] | None = None,
) -> Decisions:
    """Calibration, operating points and conformal limits from tuning cases; thresholds are meant for calibrated probabilities.

    truths, answers  one per tuning case, in one order; answers are raw probabilities, or numbers
    units            unit of analysis of each case (patient or exam), where cases are to be put together before the threshold
    aggregation      how: "none", "max", "mean" or "any"
    patients         of each case; None where each case is a patient of its own
    calibration      "temperature", "platt", "isotonic" or "none"
    sampling, prevalence   as in `Rules`
    """
    if question.task == "segmentation":
        return Decisions()
    truth, raw = values_of(truths, question.classes), values_of(answers, question.classes)
    names = np.asarray([str(k) for k in range(len(truth))] if patients is None else patients, dtype=str)
    decisions = Decisions()
    if question.task == "classification":
        shares = prevalences(question, prevalence) if sampling == "enriched" else {}
        decisions = fit_calibration(question, truth, raw, calibration, shares)
        raw = calibrated(raw, question, decisions)
    if units is not None and aggregation != "none":
        truth, raw, first = combine(question, truth, raw, units, aggregation)
        names = names[first]
    limits = fit_limits(question, truth, raw, names)
    if question.task == "regression":
        return Decisions(conformal=limits)
    population = Population(sampling == "enriched", prevalences(question, prevalence))
    points = operating_points(question, truth, raw, parse_rule(rule), patients=names, population=population)
    return Decisions(points, decisions.temperature, recalibration=decisions.recalibration, conformal=limits)


def fit_calibration(
    question: Question, truth: np.ndarray, raw: np.ndarray, method: str, shares: Mapping[str, float] | None = None
) -> Decisions:
    """Decisions that hold a temperature, or one recalibration per finding, or nothing.

    shares  stated prevalence by class that probabilities are meant for, where the cases are an enriched sample; a temperature
            has no term that could bring them there
    """
    if method == "temperature":
        return Decisions(temperature=fit_temperature(truth, raw, exclusive=question.exclusive))
    if method == "none":
        return Decisions()
    names = [positive_class(question)] if question.is_binary else list(question.classes)
    columns = [question.classes.index(name) for name in names]
    found = [
        fit_recalibration(name, truth[:, k], raw[:, k], method, (shares or {}).get(name))
        for name, k in zip(names, columns, strict=True)
    ]
    return Decisions(recalibration=tuple(r for r in found if r is not None))


def operating_points(
    question: Question,
    truth: np.ndarray,
    probability: np.ndarray,
    rule: ThresholdRule,
    fitted_on: str = "tuning",
    *,
    patients: np.ndarray | None = None,
    population: Population | None = None,
) -> tuple[OperatingPoint, ...]:
    """One threshold per finding; none where the class with the highest probability is the answer.

    patients  (N,) of each case; None where each case is a patient of its own
    """
    if question.exclusive and not question.is_binary:
        return ()
    names = [positive_class(question)] if question.is_binary else list(question.classes)
    points = []
    for name in names:
        k = question.classes.index(name)
        known = np.isfinite(truth[:, k]) & np.isfinite(probability[:, k])
        own = None if patients is None else Patients.of(patients[known])
        points.append(operating_point(name, truth[known, k] > 0.5, probability[known, k], rule, fitted_on, own, population))
    return tuple(points)
