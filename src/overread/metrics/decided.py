"""Metrics of decisions: what was called against what is there, at a frozen threshold or by the highest probability.

Cells of a two-class table are counted in the order TN, FP, FN, TP (truth * 2 + call).
"""

from __future__ import annotations

import numpy as np

from overread.metrics.metric import Metric, proportion, ratio

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


def f1_from_sums(sums: np.ndarray) -> np.ndarray:
    return ratio(2 * sums[..., TP], 2 * sums[..., TP] + sums[..., FP] + sums[..., FN])


SENSITIVITY = proportion(
    "sensitivity", "Sensitivity", "TP / (TP + FN)", (TP,), (TP, FN), "no positive case", ("recall", "true positive rate")
)
SPECIFICITY = proportion(
    "specificity", "Specificity", "TN / (TN + FP)", (TN,), (TN, FP), "no negative case", ("true negative rate",)
)
PPV = proportion(
    "ppv", "Positive predictive value", "TP / (TP + FP), at the prevalence of these cases", (TP,), (TP, FP),
    "nothing was called positive", ("precision",),
)  # fmt: skip
NPV = proportion(
    "npv", "Negative predictive value", "TN / (TN + FN), at the prevalence of these cases", (TN,), (TN, FN),
    "nothing was called negative",
)  # fmt: skip
F1 = Metric(
    "f1", "F1", "2 TP / (2 TP + FP + FN)", "higher", synonyms=("Dice of cases",),
    undefined="no positive case and nothing called positive", from_sums=f1_from_sums,
)  # fmt: skip
ACCURACY = Metric(
    "accuracy", "Accuracy", "correct / all", "higher", "wilson", undefined="no case", from_sums=accuracy_from_sums,
)  # fmt: skip
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", "Balanced accuracy", "mean of the sensitivities of all classes", "higher",
    undefined="a class has no case", from_sums=balanced_accuracy_from_sums,
)  # fmt: skip
MCC = Metric(
    "mcc", "Matthews correlation", "(TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)); R_K for more than two classes",
    "higher", undefined="one class alone, in truth or in answers", from_sums=mcc_from_sums,
)  # fmt: skip

PER_CLASS = (SENSITIVITY, SPECIFICITY, PPV, NPV, F1)
OVERALL = (ACCURACY, BALANCED_ACCURACY, MCC)
