"""What the evaluations of all tasks hand over: scores with intervals, and a row per case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overread.core.score import Interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.metric import FromSums, Metric


@dataclass(frozen=True)
class Scored:
    """One number of an evaluation: of which metric, of what, how sure."""

    metric: Metric
    subject: str
    interval: Interval


@dataclass(frozen=True)
class Evaluated:
    """Everything that one task's evaluation found; the parts have the form of the evaluation file.

    more  further tables by name (see `classification` and `regression`), to be written beside the others
    """

    scores: tuple[Scored, ...]
    cases: list[dict[str, Any]]
    confusion: dict[str, Any] | None = None
    curves: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


def by_sums(
    metric: Metric, subject: str, terms: np.ndarray, patients: Patients, rules: Rules, from_sums: FromSums | None = None
) -> Scored:
    """A metric of sums over cases with its bootstrap interval."""
    function = from_sums or metric.from_sums
    if function is None:
        raise ValueError(f"{metric.key} is not a function of sums")
    return Scored(metric, subject, bootstrap_interval(of_sums(patients, terms, function), patients, rules, metric.undefined))


def spread(terms: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n, K) terms of the known cases -> (N, K) with zeros for the others."""
    out = np.zeros((len(known), terms.shape[1]))
    out[known] = terms
    return out


def number(value: float) -> float | None:
    """A plain number for JSON; None instead of NaN."""
    return float(f"{value:.8g}") if np.isfinite(value) else None
