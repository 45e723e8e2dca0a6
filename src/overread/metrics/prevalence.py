"""What scores would be where positives are rarer or commoner than among the cases at hand.

Cases are weighed so that each class has its stated share. Nothing else may differ: the diseased of the two places must look
alike, and so must the others (no difference in severity). Source: Pepe 2003, section 2.3; Zweig and Campbell 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from overread.metrics import calibration, decided, ranking
from overread.metrics.metric import FromSums, Metric, ratio

SUFFIX = "_at_prevalence"


def split_terms(truth: np.ndarray, terms: np.ndarray, classes: int = 2) -> np.ndarray:
    """(N,) true class numbers and (N, K) terms -> (N, classes * (K + 1)): in the place of the true class its terms and a one."""
    out = np.zeros((len(terms), classes, terms.shape[1] + 1))
    out[np.arange(len(terms)), truth.astype(int)] = np.column_stack([terms, np.ones(len(terms))])
    return out.reshape(len(terms), classes * (terms.shape[1] + 1))


def at_shares_from_sums(from_sums: FromSums, shares: Sequence[float], sums: np.ndarray) -> np.ndarray:
    """(..., classes * (K + 1)) sums of `split_terms` -> the metric of one case in which class k has the weight shares[k]."""
    parts = sums.reshape(*sums.shape[:-1], len(shares), -1)
    means = ratio(parts[..., :-1], parts[..., -1:])
    return from_sums((np.asarray(shares)[:, None] * means).sum(-2))


def class_weights(truth: np.ndarray, shares: Sequence[float], weights: np.ndarray) -> np.ndarray:
    """(N,) true class numbers, (R, N) weights -> (R, N) weights of which class k has the share shares[k] in every row."""
    out = np.zeros_like(weights, dtype=float)
    for k, share in enumerate(shares):
        own = truth == k
        out[:, own] = share * ratio(weights[:, own], weights[:, own].sum(1, keepdims=True))
    return out


def _at_prevalence(metric: Metric, formula: str) -> Metric:
    return replace(
        metric,
        key=metric.key + SUFFIX,
        name=f"{metric.name} at the stated prevalence",
        formula=formula,
        from_sums=None,
        parts=None,
        interval="bootstrap" if metric.interval == "wilson" else metric.interval,
        depends_on_prevalence=False,
    )


WEIGHED = "positive cases weigh p / their share, negative ones (1 - p) / their share; p is the stated prevalence"
PPV_AT = replace(_at_prevalence(decided.PPV, "LR+ p / (LR+ p + 1 - p); p is the stated prevalence"), interval="ratio")
NPV_AT = replace(_at_prevalence(decided.NPV, "(1 - p) / (1 - p + LR- p); p is the stated prevalence"), interval="ratio")
FALSE_ALARMS_AT = replace(
    _at_prevalence(decided.FALSE_ALARMS, "100 (1 - specificity) (1 - p); p is the stated prevalence"),
    interval="wilson",
    parts=((decided.FP,), (decided.TN, decided.FP)),
)
AVERAGE_PRECISION_AT = _at_prevalence(ranking.AVERAGE_PRECISION, f"{ranking.AVERAGE_PRECISION.formula}; {WEIGHED}")
BY_SUMS_AT = {
    _at_prevalence(metric, f"{metric.formula}; {WEIGHED}"): metric
    for metric in (decided.F1, calibration.BRIER, calibration.OBSERVED_EXPECTED)
}
ECE_AT = _at_prevalence(calibration.ECE, f"{calibration.ECE.formula}; {WEIGHED}")
PER_CLASS_AT = (PPV_AT, NPV_AT, FALSE_ALARMS_AT, AVERAGE_PRECISION_AT, *BY_SUMS_AT, ECE_AT)

BY_CLASS = "each class weighs its stated prevalence / its share of these cases"
OVERALL_AT = {
    _at_prevalence(metric, f"{metric.formula}; {BY_CLASS}"): metric
    for metric in (decided.ACCURACY, decided.MCC, calibration.BRIER_ALL)
}
ALL_AT = (*PER_CLASS_AT, *OVERALL_AT)
