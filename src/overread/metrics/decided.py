"""Metrics of decisions: what was called against what is there, at a frozen threshold or by the highest probability.

Cells of a two-class table are counted in the order TN, FP, FN, TP (truth * 2 + call).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from overread.metrics.metric import Metric, proportion, ratio
from overread.metrics.readers import kappa_from_sums, weights

TN, FP, FN, TP = range(4)


def confusion_terms(truth: np.ndarray, call: np.ndarray, classes: int = 2) -> np.ndarray:
    """(N,) true and called class numbers -> (N, classes**2), a one in each case's cell; row is truth, column is call."""
    terms = np.zeros((len(truth), classes * classes))
    terms[np.arange(len(truth)), truth.astype(int) * classes + call.astype(int)] = 1.0
    return terms


def _table(sums: np.ndarray) -> np.ndarray:
    """(..., C * C) -> (..., C, C)."""
    classes = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], classes, classes)


def accuracy_from_sums(sums: np.ndarray) -> np.ndarray:
    table = _table(sums)
    return ratio(np.trace(table, axis1=-2, axis2=-1), table.sum((-2, -1)))


def balanced_accuracy_from_sums(sums: np.ndarray) -> np.ndarray:
    """Mean of the sensitivities of all classes; not defined while a class has no case."""
    table = _table(sums)
    return ratio(np.diagonal(table, axis1=-2, axis2=-1), table.sum(-1)).mean(-1)


def mcc_from_sums(sums: np.ndarray) -> np.ndarray:
    """Matthews correlation; for more than two classes Gorodkin's R_K (Comput Biol Chem 2004;28:367)."""
    table = _table(sums)
    total, right = table.sum((-2, -1)), np.trace(table, axis1=-2, axis2=-1)
    true, called = table.sum(-1), table.sum(-2)
    covariance = right * total - (true * called).sum(-1)
    spread = (total**2 - (called**2).sum(-1)) * (total**2 - (true**2).sum(-1))
    return ratio(covariance, np.sqrt(np.maximum(spread, 0.0)))


def positive_ratio_from_sums(sums: np.ndarray) -> np.ndarray:
    """Sensitivity / (1 - specificity); not defined (without end) where there is no false alarm."""
    return ratio(sums[..., TP] * (sums[..., TN] + sums[..., FP]), sums[..., FP] * (sums[..., TP] + sums[..., FN]))


def negative_ratio_from_sums(sums: np.ndarray) -> np.ndarray:
    """(1 - sensitivity) / specificity; not defined where no negative case is called so."""
    return ratio(sums[..., FN] * (sums[..., TN] + sums[..., FP]), sums[..., TN] * (sums[..., TP] + sums[..., FN]))


def false_alarms_from_sums(sums: np.ndarray) -> np.ndarray:
    return 100 * ratio(sums[..., FP], sums.sum(-1))


def graded_kappa_from_sums(power: int, sums: np.ndarray) -> np.ndarray:
    """Kappa of truth and call, where a miss by two grades weighs 2 ** power times a miss by one."""
    table = _table(sums)
    return kappa_from_sums(weights(table.shape[-1], power), sums)


def f1_from_sums(sums: np.ndarray) -> np.ndarray:
    return ratio(2 * sums[..., TP], 2 * sums[..., TP] + sums[..., FP] + sums[..., FN])


SENSITIVITY = proportion(
    "sensitivity", "Sensitivity", "TP / (TP + FN)", (TP,), (TP, FN), "no positive case", ("recall", "true positive rate")
)
SPECIFICITY = proportion(
    "specificity", "Specificity", "TN / (TN + FP)", (TN,), (TN, FP), "no negative case", ("true negative rate",)
)
LR_POSITIVE = Metric(
    "lr_positive", "Positive likelihood ratio", "sensitivity / (1 - specificity): how much a call raises the odds", "higher",
    "ratio", synonyms=("LR+",), undefined="no positive case, or no false alarm", from_sums=positive_ratio_from_sums,
)  # fmt: skip
LR_NEGATIVE = Metric(
    "lr_negative", "Negative likelihood ratio", "(1 - sensitivity) / specificity: how much no call lowers the odds",
    "lower", "ratio", synonyms=("LR-",), undefined="no positive case, or no negative case left uncalled",
    from_sums=negative_ratio_from_sums,
)  # fmt: skip
PPV = proportion(
    "ppv", "Positive predictive value", "TP / (TP + FP), at the prevalence of these cases", (TP,), (TP, FP),
    "nothing was called positive", ("precision",), depends_on_prevalence=True,
)  # fmt: skip
NPV = proportion(
    "npv", "Negative predictive value", "TN / (TN + FN), at the prevalence of these cases", (TN,), (TN, FN),
    "nothing was called negative", depends_on_prevalence=True,
)  # fmt: skip
F1 = Metric(
    "f1", "F1", "2 TP / (2 TP + FP + FN)", "higher", synonyms=("Dice of cases",),
    undefined="no positive case and nothing called positive", from_sums=f1_from_sums, depends_on_prevalence=True,
)  # fmt: skip
FALSE_ALARMS = Metric(
    "false_alarms_per_100", "False alarms", "100 FP / all, at the prevalence of these cases", "lower", "wilson",
    unit="per 100 cases", undefined="no case", from_sums=false_alarms_from_sums, parts=((FP,), (TN, FP, FN, TP)), scale=100.0,
    depends_on_prevalence=True,
)  # fmt: skip
ACCURACY = Metric(
    "accuracy", "Accuracy", "correct / all", "higher", "wilson", undefined="no case", from_sums=accuracy_from_sums,
    depends_on_prevalence=True,
)  # fmt: skip
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", "Balanced accuracy", "mean of the sensitivities of all classes", "higher",
    undefined="a class has no case", from_sums=balanced_accuracy_from_sums,
)  # fmt: skip
MCC = Metric(
    "mcc", "Matthews correlation", "(TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)); R_K for more than two classes",
    "higher", undefined="one class alone, in truth or in answers", from_sums=mcc_from_sums, depends_on_prevalence=True,
)  # fmt: skip
KAPPA_LINEAR = Metric(
    "kappa_linear", "Cohen's kappa, linear weights", "1 - observed / expected disagreement of grades, weighed by their distance",
    "higher", undefined="one grade alone, in truth and in answers", from_sums=partial(graded_kappa_from_sums, 1),
    depends_on_prevalence=True,
)  # fmt: skip
KAPPA_QUADRATIC = Metric(
    "kappa_quadratic", "Cohen's kappa, quadratic weights",
    "1 - observed / expected disagreement of grades, weighed by the square of their distance",
    "higher", undefined="one grade alone, in truth and in answers", from_sums=partial(graded_kappa_from_sums, 2),
    depends_on_prevalence=True,
)  # fmt: skip

PER_CLASS = (SENSITIVITY, SPECIFICITY, LR_POSITIVE, LR_NEGATIVE, PPV, NPV, F1, FALSE_ALARMS)
OVERALL = (ACCURACY, BALANCED_ACCURACY, MCC)
GRADES = (KAPPA_QUADRATIC, KAPPA_LINEAR)
