"""Which of several candidates is taken, from their scores on inner parts of the open cases.

Sources: nested cross-validation, Varma and Simon, BMC Bioinformatics 2006;7:91, and Cawley and Talbot, JMLR 2010;11:2079: what
chooses must not be what is reported. The rule of one standard error: Breiman et al., Classification and Regression Trees, 1984.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.core.question import Question
from overread.core.score import Interval
from overread.evaluation.answered import NO_FOLD
from overread.evaluation.comparing.endpoints import COMPARABLE, Endpoint
from overread.evaluation.intervals.bootstrap import bootstrap_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.learning.run_statistic import run_statistic
from overread.evaluation.rules import Rules
from overread.metrics.metric import Metric

Evaluation = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """Numbers of candidates, from 0.

    chosen  the first listed of those that are tied
    best    the one with the best mean
    tied    the best, and those that fall short of it by no more than the standard error of the difference over the parts
    errors  (C,) that standard error; 0 for the best, NaN where a candidate has no score
    """

    chosen: int
    best: int
    tied: tuple[int, ...]
    errors: tuple[float, ...]


def part_scores(metric: Metric, subject: str, evaluations: Sequence[Evaluation]) -> list[float | None]:
    """The score of one candidate on each inner part; None where it is not defined there."""
    found: list[float | None] = []
    for evaluation in evaluations:
        scores = {(s["metric"], s["subject"]): s["interval"]["estimate"] for s in evaluation["scores"]}
        found.append(scores.get((metric.key, subject)))
    return found


def with_unit(metric: Metric, subject: str, evaluation: Evaluation) -> Metric:
    """The metric with the unit that it has in an evaluation: that of a quantity stands in the project."""
    units = [s["unit"] for s in evaluation["scores"] if (s["metric"], s["subject"]) == (metric.key, subject)]
    return replace(metric, unit=units[0]) if units else metric


def choose(scores: np.ndarray, better: str) -> Choice | None:
    """Take the first listed candidate that the best one does not surpass by more than the spread; None where none has a score.

    scores  (C, J) of C candidates on J parts, NaN where not defined: such a candidate is not taken
    better  "higher", "lower" or "zero"
    """
    good = {"higher": scores, "lower": -scores, "zero": -np.abs(scores)}[better]
    means = good.mean(1)  # NaN where one part has no score
    if not np.isfinite(means).any():
        return None
    best = int(np.nanargmax(means))
    short = good[best] - good
    errors = short.std(1, ddof=1) / np.sqrt(scores.shape[1])
    tied = tuple(k for k in range(len(scores)) if np.isfinite(means[k]) and short[k].mean() <= errors[k] + 1e-12)
    return Choice(tied[0], best, tied, tuple(float(e) for e in errors))


def mean_interval(metric: Metric, subject: str, evaluations: Sequence[Evaluation], question: Question, rules: Rules) -> Interval:
    """The mean over inner parts with its interval by patient; no patient is in two parts.

    It is that of one candidate among several: the best of them is too good, which is why it is not reported as a result.
    """
    scores = part_scores(metric, subject, evaluations)
    ids = [str(row["patient_id"]) for evaluation in evaluations for row in evaluation["cases"]]
    patients = Patients.of(ids)
    known = [score for score in scores if score is not None]
    is_comparable = metric.key in COMPARABLE or question.is_of_objects
    if not is_comparable or len(known) < len(scores):
        why = "not defined on every inner part" if len(known) < len(scores) else "no resampling by patient for this score"
        mean = float(np.mean(known)) if known and len(known) == len(scores) else None
        return Interval(mean, None, None, "none", patients.cases, patients.count, rules.level, why)
    endpoint = Endpoint(metric, subject, question)
    parts, at = [], 0
    for evaluation in evaluations:
        rows = evaluation["cases"]
        number = patients.number[at : at + len(rows)]
        at += len(rows)
        places, own = np.unique(number, return_inverse=True)
        fold = np.full(len(rows), NO_FOLD)
        parts.append((places, run_statistic(endpoint, rows, fold, Patients(own.reshape(-1), len(places)))))
    return bootstrap_interval(
        lambda counts: np.mean([score(counts[:, places]) for places, score in parts], axis=0), patients, rules, metric.undefined
    )


def choice_in_words(metric: Metric, table: Sequence[Mapping[str, Any]], choice: Choice) -> str:
    """Who was taken, by what, and whether it was a tie."""
    taken, best = table[choice.chosen], table[choice.best]
    unit = f" {metric.unit}" if metric.unit else ""
    mean, parts = taken["interval"]["estimate"], len(taken["scores"])
    words = (
        f"Of {len(table)} candidates number {taken['number']} was chosen ({in_words(taken['settings'])}): {metric.name} "
        f"{mean:.3f}{unit} on average over {parts} inner parts."
    )
    if len(choice.tied) == 1:
        return words
    others = ", ".join(str(table[k]["number"]) for k in choice.tied)
    top = "" if choice.best == choice.chosen else f", number {best['number']} with {best['interval']['estimate']:.3f}{unit}"
    return (
        f"{words} Candidates {others} are tied: they fall short of the best{top} by no more than the standard error of the "
        "difference over the inner parts. Of these the first listed was taken."
    )


def in_words(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items())
