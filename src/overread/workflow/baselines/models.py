"""Small models on hand-made features: fitted on training cases, the best chosen on tuning cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from overread.core.question import Question
from overread.metrics.ranking import auc

Answers = Callable[[np.ndarray], np.ndarray]  # a table of features (M, F) -> what is answered

TREES = 400
SUREST = 0.999  # a forest that is of one mind has seen too few cases to be certain


@dataclass(frozen=True)
class Candidate:
    """One kind of model with one setting: the strength of a penalty, or the fewest cases in a leaf."""

    name: str
    what: str
    value: float

    @property
    def setting(self) -> str:
        return f"{self.what} {self.value:g}"

    def make(self, task: str, seed: int) -> Any:
        """A model of scikit-learn that is not fitted yet."""
        leaf = int(self.value)
        if task == "regression":
            if self.name == "ridge regression":
                return _scaled(Ridge(self.value))
            if self.name == "random forest":
                third = {"max_features": 0.33}  # of the features at each split, as usual for numbers (Breiman 2001)
                return _filled(RandomForestRegressor(TREES, min_samples_leaf=leaf, random_state=seed, **third))
            return HistGradientBoostingRegressor(**_boost(seed, leaf))
        if self.name == "logistic regression":
            return _scaled(LogisticRegression(C=1 / self.value, max_iter=2000))
        if self.name == "random forest":
            return _filled(RandomForestClassifier(TREES, min_samples_leaf=leaf, random_state=seed))
        return HistGradientBoostingClassifier(**_boost(seed, leaf))


def candidates(task: str) -> tuple[Candidate, ...]:
    """Logistic (or ridge) regression, a random forest, gradient boosting, each with a few settings."""
    line = "ridge regression" if task == "regression" else "logistic regression"
    return (
        *(Candidate(line, "penalty", value) for value in (10, 100, 1000)),
        *(Candidate("random forest", "fewest cases in a leaf", value) for value in (1, 5)),
        *(Candidate("gradient boosting", "fewest cases in a leaf", value) for value in (5, 20)),
    )


def _filled(model: Any) -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), model)


def _scaled(model: Any) -> Pipeline:
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(filled, VarianceThreshold(), StandardScaler(), model)


def _boost(seed: int, leaf: int) -> dict[str, Any]:
    return {"max_iter": 150, "learning_rate": 0.05, "min_samples_leaf": leaf, "early_stopping": False, "random_state": seed}


def fit(candidate: Candidate, question: Question, learned: np.ndarray, truth: np.ndarray, seed: int) -> Answers:
    """Fit on training cases; the same model every time.

    learned  (N, F) features of the training cases;  truth  (N, K), NaN where not known
    returns  a function of a table (M, F) -> (M, K): probabilities, which add up to 1 where classes exclude each other, or numbers
    """
    if question.task == "classification" and question.exclusive:
        known = np.isfinite(truth).all(1)
        label = truth[known].argmax(1)
        return _classes(candidate, learned[known], label, len(question.classes), seed)
    columns: list[Answers] = []
    for k in range(truth.shape[1]):
        known = np.isfinite(truth[:, k])
        if question.task == "regression":
            columns.append(_numbers(candidate, learned[known], truth[known, k], seed))
        else:
            both = _classes(candidate, learned[known], (truth[known, k] > 0.5).astype(int), 2, seed)
            columns.append(partial(_second, both))
    return lambda table: np.stack([column(table) for column in columns], axis=1)


def answer(
    candidate: Candidate, question: Question, learned: np.ndarray, truth: np.ndarray, asked: Sequence[np.ndarray], seed: int
) -> list[np.ndarray]:
    """Fit on training cases and answer others: one (M, K) for each table (M, F) that is asked; see `fit`."""
    answers = fit(candidate, question, learned, truth, seed)
    return [answers(table) for table in asked]


def _second(both: Answers, table: np.ndarray) -> np.ndarray:
    return both(table)[:, 1]


def _classes(candidate: Candidate, learned: np.ndarray, label: np.ndarray, count: int, seed: int) -> Answers:
    """Probabilities, never 0 or 1; of one class alone, its own certainty."""
    present = np.unique(label)
    model = candidate.make("classification", seed).fit(learned, label) if len(present) > 1 else None

    def answers(table: np.ndarray) -> np.ndarray:
        probability = np.zeros((len(table), count))
        if model is not None and len(table):
            probability[:, model.classes_] = model.predict_proba(table)
        elif len(present):
            probability[:, present[0]] = 1.0
        probability = np.clip(probability, 1 - SUREST, None)
        return np.asarray(probability / probability.sum(1, keepdims=True))

    return answers


def _numbers(candidate: Candidate, learned: np.ndarray, truth: np.ndarray, seed: int) -> Answers:
    model = candidate.make("regression", seed).fit(learned, truth)
    return lambda table: model.predict(table) if len(table) else np.zeros(0)


def loss(question: Question, truth: np.ndarray, answered: np.ndarray) -> float:
    """What the choice goes by, on tuning cases, lower is better: 1 minus the mean area under the curve, or the mean absolute
    error over the spread of the truth; plus a little of the log loss, which decides between equals.

    truth, answered  (M, K)
    """
    known = np.isfinite(truth)
    if question.task == "regression":
        spread = np.nanstd(truth, axis=0)
        return float(np.nanmean(np.abs(answered - truth) / np.where(spread > 0, spread, 1.0)))
    probability = np.clip(answered, 1 - SUREST, SUREST)
    log_loss = -np.where(truth > 0.5, np.log(probability), np.log1p(-probability))[known].mean()
    areas = [a for k in range(truth.shape[1]) if (a := auc(truth[known[:, k], k] > 0.5, answered[known[:, k], k])) is not None]
    return float((1 - np.mean(areas) if areas else 0.5) + 1e-3 * log_loss)
