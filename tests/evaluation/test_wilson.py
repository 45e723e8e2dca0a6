"""Intervals of proportions against statsmodels, and what clusters do to them."""

import importlib

import numpy as np
import pytest

from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import clopper_pearson, effective_cases, lower_bound, proportion_interval, wilson


@pytest.mark.parametrize(("hits", "cases"), [(0, 20), (1, 7), (46, 50), (20, 20), (313, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_equals_statsmodels(hits, cases, level) -> None:
    proportion = importlib.import_module("statsmodels.stats.proportion")
    expected = proportion.proportion_confint(hits, cases, 1 - level, "wilson")
    assert wilson(hits, cases, level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("hits", "cases"), [(0, 12), (1, 7), (12, 12), (313, 1000)])
def test_the_exact_interval_equals_statsmodels_and_is_named_for_few_cases(hits, cases) -> None:
    proportion = importlib.import_module("statsmodels.stats.proportion")
    expected = proportion.proportion_confint(hits, cases, 0.05, "beta")
    assert clopper_pearson(hits, cases) == pytest.approx(np.nan_to_num(expected), abs=1e-12)
    hit = (np.arange(cases) < hits).astype(float)
    found = proportion_interval(hit, np.ones(cases), Patients.of(np.arange(cases)), 0.95, "")
    assert found.method == ("Clopper-Pearson (exact)" if cases < 20 else "Wilson")
    assert found.low < found.high


def test_the_one_sided_bound_is_exact() -> None:
    assert lower_bound(np.ones(40), Patients.of(np.arange(40))) == pytest.approx(0.05 ** (1 / 40))
    assert lower_bound(np.ones(40), Patients.of(np.arange(40) // 4)) == pytest.approx(0.05 ** (1 / 10))


def test_one_case_per_patient_is_plain_wilson() -> None:
    hit = np.r_[np.ones(46), np.zeros(4)]
    found = proportion_interval(hit, np.ones(50), Patients.of(np.arange(50)), 0.95, "")
    assert (found.low, found.high) == pytest.approx(wilson(46, 50))
    assert (found.method, found.n_cases, found.n_patients) == ("Wilson", 50, 50)


def test_duplicated_cases_of_the_same_patients_teach_nothing() -> None:
    hit = np.r_[np.ones(30), np.zeros(10)]
    once = proportion_interval(hit, np.ones(40), Patients.of(np.arange(40)), 0.95, "")
    patients = Patients.of(np.tile(np.arange(40), 4))
    assert effective_cases(np.tile(hit, 4), patients) == pytest.approx(39)
    clustered = proportion_interval(np.tile(hit, 4), np.ones(160), patients, 0.95, "")
    naive = proportion_interval(np.tile(hit, 4), np.ones(160), Patients.of(np.arange(160)), 0.95, "")
    assert clustered.high - clustered.low == pytest.approx(once.high - once.low, rel=0.06)
    assert clustered.high - clustered.low > 1.8 * (naive.high - naive.low)
    assert "effective number of cases 39.0" in clustered.method


def test_all_right_never_means_certain() -> None:
    single = proportion_interval(np.ones(20), np.ones(20), Patients.of(np.arange(20)), 0.95, "")
    assert (single.estimate, single.high) == (1.0, 1.0)
    assert single.low == pytest.approx(0.839, abs=0.001)
    clustered = proportion_interval(np.ones(20), np.ones(20), Patients.of(np.arange(20) // 4), 0.95, "")
    assert clustered.low < 0.6


def test_only_cases_of_the_denominator_count() -> None:
    found = proportion_interval(np.array([1, 0, 1]), np.array([1, 1, 0]), Patients.of(["a", "b", "c"]), 0.95, "")
    assert (found.estimate, found.n_cases, found.n_patients) == (0.5, 2, 2)
    none = proportion_interval(np.zeros(3), np.zeros(3), Patients.of(["a", "b", "c"]), 0.95, "no positive case")
    assert (none.estimate, none.reason, none.n_cases) == (None, "no positive case", 0)
    one = proportion_interval(np.array([1.0, 0.0]), np.ones(2), Patients.of(["a", "a"]), 0.95, "")
    assert one.reason == "all cases are of one patient"
