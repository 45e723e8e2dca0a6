"""The threshold of one finding: by its rule where the cases can support it, else by a stricter one that is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from overread.core.question import OperatingPoint
from overread.evaluation.decisions.threshold_rules import CERTAINTY, ThresholdRule
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import effective_cases, lower_bound


@dataclass(frozen=True)
class Population:
    """What is known of the place where the model is to be used.

    is_enriched  positive cases were sought out, so their share among the tuning cases means nothing
    shares       stated prevalence by class
    """

    is_enriched: bool = False
    shares: Mapping[str, float] = field(default_factory=dict)


def operating_point(
    name: str,
    truth: np.ndarray,
    probability: np.ndarray,
    rule: ThresholdRule,
    fitted_on: str = "tuning",
    patients: Patients | None = None,
    population: Population | None = None,
) -> OperatingPoint:
    """The threshold of one finding, midway between the two probabilities that it parts.

    truth (N,) bool, probability (N,)

    An aim that these cases could not show to be reached, were all of them right, is not taken for reached: the strictest
    point takes its place, at which all of them are right, and the rule says so.
    """
    patients = patients or Patients.of(np.arange(len(truth)))
    population = population or Population()
    positives, negatives = int(truth.sum()), int((~truth).sum())
    threshold, text = rule.value, rule.text
    needed: int | None = None
    if rule.kind != "fixed":
        threshold, text, needed = _chosen(name, truth, probability, rule, fitted_on, patients, population)
    called = probability >= threshold
    aimed = {"sensitivity": truth, "specificity": ~truth}.get(rule.kind)
    bound = None
    if aimed is not None and positives and negatives:
        bound = lower_bound((called == truth)[aimed], patients.select(aimed), CERTAINTY)
    return OperatingPoint(
        name,
        threshold,
        text,
        fitted_on,
        float(called[truth].mean()) if positives else None,
        float((~called)[~truth].mean()) if negatives else None,
        is_supported=text == rule.text,
        needed=needed,
        lower_bound=bound,
        positives=positives,
        negatives=negatives,
    )


def _chosen(
    name: str,
    truth: np.ndarray,
    probability: np.ndarray,
    rule: ThresholdRule,
    fitted_on: str,
    patients: Patients,
    population: Population,
) -> tuple[float, str, int | None]:
    """The threshold, the rule that gave it, and how many cases would be needed where that is not the rule asked for."""
    if not truth.any() or truth.all():
        absent = "negative" if truth.all() and len(truth) else "positive"
        return 0.5, f"0.5 (no {absent} {fitted_on} case, so '{rule.text}' cannot be fitted)", None
    if rule.kind == "cost":
        share = population.shares.get(name, None if population.is_enriched else float(truth.mean()))
        if share is None:
            youden = ThresholdRule("youden", 0.0, "youden")
            why = "needs the prevalence, which is not stated, and the sample is enriched"
            return _fitted(truth, probability, youden), f"youden ('{rule.text}' {why})", None
        return _cheapest(truth, probability, rule.value, share), rule.text, None
    if rule.kind == "youden":
        return _fitted(truth, probability, rule), rule.text, None
    kind = truth if rule.kind == "sensitivity" else ~truth
    word = "positive" if rule.kind == "sensitivity" else "negative"
    needed, count = rule.cases_needed, int(kind.sum())
    if needed is not None and _independent(patients.select(kind)) >= needed - 1e-9:
        return _fitted(truth, probability, rule), rule.text, None
    strictest = ThresholdRule(rule.kind, 1.0, "")
    done = "called" if rule.kind == "sensitivity" else "left uncalled"
    own = patients.select(kind)
    those = f"{count} {word}s" + (f" of {own.count} patients" if own.are_clustered else "")
    lack = f"{needed} are needed" if needed is not None else "no number of cases could"
    text = f"every {word} {fitted_on} case {done} ('{rule.text}' is not supported by {those}; {lack})"
    return _fitted(truth, probability, strictest), text, needed


def _independent(patients: Patients) -> float:
    """How many cases of different patients these are worth, were all of them right."""
    return effective_cases(np.ones(patients.cases), patients)


def _cuts(probability: np.ndarray) -> np.ndarray:
    """Thresholds that part the cases differently: from all called to none."""
    values = np.unique(probability)
    cuts = np.r_[values[0] / 2, (values[1:] + values[:-1]) / 2, (values[-1] + 1) / 2]
    cuts[1:-1] = np.where(cuts[1:-1] > values[:-1], cuts[1:-1], values[1:])  # neighbours in floating point have no middle
    return cuts


def _rates(truth: np.ndarray, probability: np.ndarray, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sensitivity and specificity at each threshold."""
    positive, negative = np.sort(probability[truth]), np.sort(probability[~truth])
    sensitivity = 1 - np.searchsorted(positive, cuts, "left") / len(positive)
    return sensitivity, np.searchsorted(negative, cuts, "left") / len(negative)


def _fitted(truth: np.ndarray, probability: np.ndarray, rule: ThresholdRule) -> float:
    cuts = _cuts(probability)
    sensitivity, specificity = _rates(truth, probability, cuts)
    if rule.kind == "sensitivity":
        return float(cuts[np.flatnonzero(sensitivity >= rule.value - 1e-12)[-1]])
    if rule.kind == "specificity":
        return float(cuts[np.flatnonzero(specificity >= rule.value - 1e-12)[0]])
    return _middle(cuts, sensitivity + specificity)


def _cheapest(truth: np.ndarray, probability: np.ndarray, cost: float, share: float) -> float:
    """The threshold of least expected cost where a miss costs `cost` false alarms and `share` of the cases are positive."""
    cuts = _cuts(probability)
    sensitivity, specificity = _rates(truth, probability, cuts)
    return _middle(cuts, -(cost * (1 - sensitivity) * share + (1 - specificity) * (1 - share)))


def _middle(cuts: np.ndarray, gain: np.ndarray) -> float:
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])
