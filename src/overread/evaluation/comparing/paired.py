"""Two on the same cases: the difference of a score, its interval, and a test of exactly this difference.

The test fits the score. Areas under the ROC curve: DeLong's covariance, Obuchowski's where a patient has several cases.
Hits and misses: McNemar, by patient. Means of scores of cases (Dice, distances, errors, Brier): permutation by patient.
Everything else (predictive values, F1, correlations, average precision, means of areas over classes): jackknife by patient.
Scores of objects: paired bootstrap by patient, curves and areas computed again.
Several runs of one recipe enter with the mean of their scores; the interval is about patients, for these runs, and their
spread stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread.core.errors import OverreadError
from overread.core.score import Interval
from overread.evaluation.comparing.compared import Lined, Row
from overread.evaluation.comparing.difference import NoTest, Test, difference_interval, students_test
from overread.evaluation.comparing.endpoints import HITS, MEANS, Endpoint, case_values, defined_classes, rankings, statistic
from overread.evaluation.comparing.flips import FEWEST_PATIENTS, FlipTest
from overread.evaluation.comparing.jackknife import Statistic, jackknife_test
from overread.evaluation.comparing.mcnemar import McNemarTest
from overread.evaluation.comparing.placements import areas
from overread.evaluation.comparing.resampled import bootstrap_test
from overread.evaluation.comparing.signed_rank import SignedRankTest
from overread.evaluation.intervals.patients import Patients
from overread.metrics.ranking import AUC

FEW = 10  # patients of a class, below which the normal quantile of DeLong's test is a guess


@dataclass(frozen=True)
class Difference:
    """A model less the reference, in one endpoint.

    values  of reference and model, on the cases that both have a score for
    remark  which cases count for neither and why, or what makes the interval a rough one; "" where nothing
    """

    endpoint: Endpoint
    reference: str
    model: str
    values: tuple[float, float]
    test: Test
    interval: Interval
    remark: str = ""

    @property
    def p(self) -> float | None:
        return None if self.test.reason else self.test.p()


def difference(lined: Lined, endpoint: Endpoint, model: int, *, level: float = 0.95, ranks: bool = False) -> Difference:
    """Compare contender number `model` with the first, the reference.

    ranks  Wilcoxon's test in place of the permutation of means
    """
    runs = lined.rows[0], lined.rows[model]
    of_objects = lined.question.is_of_objects
    if ranks and (of_objects or endpoint.metric.key not in MEANS or endpoint.metric.key in HITS):
        raise OverreadError(
            f"Wilcoxon's test ranks the scores of cases, and {endpoint.metric.name} is no mean of them.",
            "leave --test out; the test that fits is taken",
        )
    if of_objects:
        found = _of_objects(lined, endpoint, runs)
    elif endpoint.metric.key in MEANS:
        found = _of_means(lined, endpoint, runs, ranks)
    elif endpoint.metric.key == AUC.key and len(endpoint.classes) == 1:
        found = _of_areas(lined, endpoint, runs)
    else:
        found = _of_sums(lined, endpoint, runs)
    if found is None:
        raise OverreadError(
            f"{endpoint.key} is not defined on these cases: {endpoint.metric.undefined}.", "choose another endpoint"
        )
    interval = difference_interval(found.test, found.cases, found.patients, level)
    return Difference(endpoint, lined.names[0], lined.names[model], found.values, found.test, interval, found.remark)


@dataclass(frozen=True)
class _Found:
    values: tuple[float, float]
    test: Test
    cases: int
    patients: int
    remark: str = ""


MakeTest = Callable[[Statistic, int], Test | None]
Runs = tuple[Sequence[Sequence[Row]], Sequence[Sequence[Row]]]


def _of_means(lined: Lined, endpoint: Endpoint, runs: Runs, ranks: bool) -> _Found | None:
    """sums (P,) and weights (P,): what each patient adds to the difference, and to the share of cases."""
    columns = [[case_values(endpoint, rows) for rows in side] for side in runs]  # side, run, class
    pairs = [[np.mean([run[c] for run in side], axis=0) for side in columns] for c in range(len(columns[0][0]))]
    known = [np.asarray(np.isfinite(pair).all(0)) for pair in pairs]
    used = [c for c in range(len(pairs)) if known[c].any()]
    if not used:
        return None
    everyone = np.any([known[c] for c in used], axis=0)
    patients = lined.patients.select(everyone)
    share = 1 / len(used)
    won, weights, values = np.zeros(patients.cases), np.zeros(patients.cases), np.zeros(2)
    for c in used:
        here = known[c][everyone]
        first, second = (values_of[everyone][here] for values_of in pairs[c])
        won[here] += (second - first) * share / here.sum()
        weights[here] += share / here.sum()
        values += np.array([first.mean(), second.mean()]) * share
    sums, shares = (np.bincount(patients.number, terms, patients.count) for terms in (won, weights))
    test = _means_test(endpoint, sums, shares, won, patients, len(used) == 1, ranks)
    return _Found((float(values[0]), float(values[1])), test, patients.cases, patients.count, _left_out(pairs, used))


def _means_test(
    endpoint: Endpoint, sums: np.ndarray, weights: np.ndarray, won: np.ndarray, patients: Patients, single: bool, ranks: bool
) -> Test:
    estimate, cases = float(sums.sum()), patients.cases
    if patients.count < FEWEST_PATIENTS:
        few = f"{patients.count} {'patient is' if patients.count == 1 else 'patients are'} too few for a paired test"
        return NoTest(estimate, "none", few)
    counts = np.rint(sums * cases)
    if endpoint.metric.key in HITS and single and np.allclose(counts, sums * cases, atol=1e-6):
        return McNemarTest(counts, np.rint(weights * cases))
    if not np.any(np.abs(sums) > 1e-12):
        return NoTest(estimate, "none", "every patient scores the same with both, so these cases cannot tell how sure that is")
    if np.ptp(sums / weights) <= 1e-9 * max(1.0, abs(estimate)):
        return NoTest(estimate, "none", "every patient differs by the same amount, so these cases cannot tell how sure that is")
    if not ranks:
        return FlipTest(sums, weights)
    if patients.are_clustered or not single:
        raise OverreadError(
            f"Wilcoxon's test takes cases as independent, and here {cases} cases belong to {patients.count} patients"
            + ("." if single else ", or several structures to one case."),
            "leave --test out: the permutation test turns the signs of whole patients",
        )
    return SignedRankTest(won * cases)


def _left_out(pairs: Sequence[Any], used: Sequence[int]) -> str:
    """Cases in which one side has a score and the other has none: they count for neither, and that is said."""
    only = [int(sum((np.isfinite(pairs[c][i]) & ~np.isfinite(pairs[c][1 - i])).sum() for c in used)) for i in (0, 1)]
    if not any(only):
        return ""
    return (
        f"Left out, as only one of the two has a score there: {only[0]} where only the reference has, {only[1]} where only the "
        "other has (a structure that one missed, or drew where there is none, has no distance; one that is rightly empty "
        "has no Dice)."
    )


def _of_areas(lined: Lined, endpoint: Endpoint, runs: Runs) -> _Found | None:
    """The areas of all runs of both, with their covariance."""
    ranked = [[rankings(endpoint, rows) for rows in side] for side in runs]
    known = np.logical_and.reduce([run[0][0] for side in ranked for run in side])
    patients, fold = lined.patients.select(known), lined.fold[known]
    truth = ranked[0][0][0][1]
    scores = np.stack([run[0][2] for side in ranked for run in side])
    found = areas(truth, scores, patients, fold)
    if found is None:
        return None
    sign = np.concatenate([np.full(len(side), weight / len(side)) for side, weight in zip(ranked, (-1.0, 1.0), strict=True)])
    count = len(ranked[0])
    values = float(found.values[:count].mean()), float(found.values[count:].mean())
    method = _area_method(patients, fold)
    estimate = values[1] - values[0]
    if found.covariance is None:
        few = f"{found.positives} positive and {found.negatives} negative patients; two of each are the least"
        return _Found(values, NoTest(estimate, method, few), patients.cases, patients.count)
    error = float(np.sqrt(max(sign @ found.covariance @ sign, 0.0)))
    order = "both put these cases into one order" if abs(estimate) < 1e-12 else "neither area varies from patient to patient"
    alike = f"{order}, so these cases cannot tell how sure that is"
    test = students_test(estimate, error, method, why_none=alike)
    return _Found(values, test, patients.cases, patients.count, few_of_a_class(found.positives, found.negatives))


def _area_method(patients: Patients, fold: np.ndarray) -> str:
    name = (
        "Obuchowski's test for areas by patient (DeLong's where each has one case)" if patients.are_clustered else "DeLong's test"
    )
    folds = len(np.unique(fold))
    return f"{name} for two correlated areas" + (f", mean of {folds} folds" if folds > 1 else "")


def few_of_a_class(positives: int, negatives: int) -> str:
    if min(positives, negatives) >= FEW:
        return ""
    return f"Only {positives} positive and {negatives} negative patients: the interval is a rough one."


def _of_objects(lined: Lined, endpoint: Endpoint, runs: Runs) -> _Found | None:
    """A mean over classes is taken over those for which every run has the score: else means of different classes would meet."""
    defined = [set(defined_classes(endpoint, rows)) for side in runs for rows in side]
    both = tuple(name for name in endpoint.classes if all(name in own for own in defined))
    found = _of_sums(lined, endpoint, runs, bootstrap_test, both)
    only = [name for name in endpoint.classes if name not in both and any(name in own for own in defined)]
    if found is None or not only:
        return found
    left = f"Left out of the mean, as it is not defined there for every run: {', '.join(only)} ({endpoint.metric.undefined})."
    return replace(found, remark=left)


def _of_sums(
    lined: Lined, endpoint: Endpoint, runs: Runs, make: MakeTest = jackknife_test, names: Sequence[str] | None = None
) -> _Found | None:
    patients = lined.patients
    parts = [[statistic(endpoint, rows, lined.fold, patients.number, names) for rows in side] for side in runs]

    def sides(counts: np.ndarray) -> np.ndarray:
        return np.stack([np.mean([run(counts) for run in side], axis=0) for side in parts])

    test = make(lambda counts: np.subtract(*sides(counts)[::-1]), patients.count)
    if test is None:
        return None
    first, second = sides(np.ones((1, patients.count)))[:, 0]
    return _Found((float(first), float(second)), test, patients.cases, patients.count)
