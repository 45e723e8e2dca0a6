"""The score of a case, or of a patient, from the objects found in it: what the patient-level ROC curve is drawn from.

The score is the highest of the answers of a class, 0 where there is none: a case is as suspicious as the worst thing seen in
it. Raw answers are taken, before thresholds. A patient's score is the highest of his cases, and he has the disease when one of
them shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from overread.metrics.objects.overlap import Objects


def case_scores(answers: Sequence[Objects], classes: Sequence[str]) -> np.ndarray:
    """(N, K) highest score of each class in each case, 0 where there is none."""
    table = np.zeros((len(answers), len(classes)))
    for row, answer in enumerate(answers):
        for name, score in zip(answer.classes, answer.scores, strict=True):
            column = classes.index(name)
            table[row, column] = max(table[row, column], float(score))
    return table


def case_truths(truths: Sequence[Objects], classes: Sequence[str]) -> np.ndarray:
    """(N, K) bool: the case holds an object of the class."""
    return np.array([[name in truth.classes for name in classes] for truth in truths], dtype=bool).reshape(-1, len(classes))


def by_patient(values: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """(N, K) of cases -> (P, K) highest of each patient; number (N,) of the patient of each case, from 0."""
    highest = np.zeros((count, *values.shape[1:]), values.dtype)
    np.maximum.at(highest, number, values)
    return highest
