"""The bootstrap by patient: what it draws, when it declines, how wide it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.evaluation.intervals.areas import rank_interval
from overread.evaluation.intervals.bootstrap import bootstrap_interval, draws, of_sums
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.decided import MCC, confusion_terms
from overread.metrics.metric import mean_from_sums, mean_terms
from overread.metrics.ranking import Ranking

RULES = Rules(resamples=500)


def mean_interval(values, patients, rules=RULES):
    return bootstrap_interval(of_sums(patients, mean_terms(values), mean_from_sums), patients, rules, "nothing")


def test_every_resample_draws_as_many_patients_as_there_are() -> None:
    counts = draws(30, 100, 0)
    assert (counts.sum(1) == 30).all()
    assert (draws(30, 100, 0) == counts).all()
    assert (draws(30, 100, 1) != counts).any()


def test_totals_add_up_the_cases_of_a_patient() -> None:
    patients = Patients.of(["b", "a", "b", "c"])
    assert patients.totals(np.array([[1.0], [2.0], [4.0], [8.0]])).tolist() == [[2.0], [5.0], [8.0]]
    assert patients.are_clustered
    assert patients.select(np.array([True, False, False, True])).count == 2


def test_a_mean_has_nearly_the_interval_of_student() -> None:
    values = np.random.default_rng(0).normal(5, 1, 60)
    found = mean_interval(values, Patients.of(np.arange(60)), Rules(resamples=4000))
    half = 2.0 * values.std(ddof=1) / np.sqrt(60)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.04)
    assert found.high == pytest.approx(values.mean() + half, abs=0.04)
    assert found.method == "bootstrap by patient (BCa, 4000 resamples)"


def test_the_same_cases_counted_as_several_of_one_patient_widen_the_interval() -> None:
    values = np.random.default_rng(1).normal(5, 1, 40)
    once = mean_interval(values, Patients.of(np.arange(40)))
    thrice_own = mean_interval(np.tile(values, 3), Patients.of(np.tile(np.arange(40), 3)))
    thrice_alone = mean_interval(np.tile(values, 3), Patients.of(np.arange(120)))
    assert thrice_own.high - thrice_own.low == pytest.approx(once.high - once.low)
    assert thrice_own.high - thrice_own.low > 1.5 * (thrice_alone.high - thrice_alone.low)
    assert thrice_own.method.startswith("cluster bootstrap by patient")
    assert (thrice_own.n_cases, thrice_own.n_patients) == (120, 40)


def test_weights_and_sums_agree() -> None:
    random = np.random.default_rng(2)
    truth, score = random.random(50) < 0.4, random.random(50)
    patients = Patients.of(np.arange(50) // 2)
    ranking = Ranking.of(truth, score)
    counts = draws(25, 3, 0).astype(float)
    weighted = ranking.by_unit(patients.number).auc(counts)
    for row, value in zip(counts, weighted, strict=True):
        repeated = np.repeat(np.arange(50), row[patients.number].astype(int))
        assert value == pytest.approx(Ranking.of(truth[repeated], score[repeated]).auc()[0])


def test_it_declines_where_resampling_says_nothing() -> None:
    alike = mean_interval(np.ones(30), Patients.of(np.arange(30)))
    assert (alike.estimate, alike.low) == (1.0, None)
    assert "score alike" in alike.reason
    few = mean_interval(np.arange(4.0), Patients.of(np.arange(4)))
    assert few.reason == "4 patients are too few to resample"
    none = mean_interval(np.full(3, np.nan), Patients.of(np.arange(3)))
    assert (none.estimate, none.reason) == (None, "nothing")
    assert "too narrow" in mean_interval(np.arange(10.0), Patients.of(np.arange(10))).reason


def test_a_rare_class_that_vanishes_from_resamples_leaves_no_interval() -> None:
    truth = np.r_[True, np.zeros(39, bool)]
    terms = confusion_terms(truth, truth)
    found = bootstrap_interval(of_sums(Patients.of(np.arange(40)), terms, MCC.from_sums), Patients.of(np.arange(40)), RULES, "")
    assert found.estimate == 1.0
    assert "of the resamples" in found.reason


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(24)))
def test_the_order_of_cases_does_not_matter(order) -> None:
    values, names = np.random.default_rng(3).random(24), np.arange(24) // 2
    first = mean_interval(values, Patients.of(names))
    second = mean_interval(values[list(order)], Patients.of(names[list(order)]))
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


@pytest.mark.parametrize("function", [Ranking.average_precision, Ranking.partial_auc])
def test_ranking_by_patient_gives_the_interval_of_weighing_every_case(function) -> None:
    """Two findings with blanks, two folds, several cases per patient; the slow form weighs cases one by one."""
    random = np.random.default_rng(3)
    patients, known = Patients.of(random.integers(0, 40, 120)), [random.random(120) < 0.9 for _ in range(2)]
    truth, fold = random.random((2, 120)) < 0.4, np.arange(120) % 2
    score = np.round(random.normal(size=(2, 120)) + truth, 1)
    rules = Rules(resamples=300)

    def slow(counts: np.ndarray) -> np.ndarray:
        weights = counts[:, patients.number]
        areas = []
        for k in range(2):
            own = [np.flatnonzero(known[k] & (fold == f)) for f in range(2)]
            areas.append(np.mean([function(Ranking.of(truth[k][p], score[k][p]), weights[:, p]) for p in own], axis=0))
        return np.mean(areas, axis=0)

    pairs, folds = [(truth[k][known[k]], score[k][known[k]]) for k in range(2)], [fold[k] for k in known]
    found = rank_interval(function, pairs, patients, folds, rules, "nothing", known)
    expected = bootstrap_interval(slow, patients, rules, "nothing")
    assert (found.estimate, found.low, found.high) == pytest.approx((expected.estimate, expected.low, expected.high))
