"""A 95 % interval should hold the true value about 95 times in 100, patients with several cases included.

Small seeded simulations with limits that sampling noise alone does not cross; the naive interval has to fail the same test.
"""

import numpy as np
import pytest
from scipy import stats

from overread.evaluation.intervals.bootstrap import bootstrap_interval, of_sums
from overread.evaluation.intervals.delong import area, area_interval
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.rules import Rules
from overread.metrics.metric import mean_from_sums, mean_terms

TRIALS = 400
RULES = Rules(resamples=1000)


def clustered(random, patients: int, cases: int, correlation: float) -> np.ndarray:
    """(patients * cases,) standard normal numbers, alike within a patient."""
    own = random.normal(size=(patients, 1)) * np.sqrt(correlation)
    return (own + random.normal(size=(patients, cases)) * np.sqrt(1 - correlation)).ravel()


def held(make, truth: float) -> float:
    found = [make(np.random.default_rng(seed)) for seed in range(TRIALS)]
    return float(np.mean([i.low <= truth <= i.high for i in found]))


@pytest.mark.parametrize(("patients", "cases"), [(20, 1), (50, 1), (50, 3)])
def test_mean_dice(patients, cases) -> None:
    ids = np.repeat(np.arange(patients), cases)

    def interval(random, names):
        dice = stats.beta.ppf(stats.norm.cdf(clustered(random, patients, cases, 0.5)), 8, 1.2)
        who = Patients.of(names)
        return bootstrap_interval(of_sums(who, mean_terms(dice), mean_from_sums), who, RULES, "")

    assert 0.905 <= held(lambda r: interval(r, ids), 8 / 9.2) <= 0.985
    if cases > 1:
        assert held(lambda r: interval(r, np.arange(len(ids))), 8 / 9.2) < 0.905


@pytest.mark.parametrize(("patients", "cases"), [(50, 1), (50, 4), (20, 4)])
def test_sensitivity(patients, cases) -> None:
    ids = np.repeat(np.arange(patients), cases)

    def interval(random, names):
        hit = (clustered(random, patients, cases, 0.6) < stats.norm.ppf(0.8)).astype(float)
        return proportion_interval(hit, np.ones(len(hit)), Patients.of(names), 0.95, "")

    assert 0.92 <= held(lambda r: interval(r, ids), 0.8) <= 0.99
    if cases > 1:
        assert held(lambda r: interval(r, np.arange(len(ids))), 0.8) < 0.91


def test_four_lesions_of_a_patient_that_are_found_alike() -> None:
    """At a correlation of 0.4 between the hits themselves, Wilson's interval over lesions holds the truth 80 times in 100."""
    ids = np.repeat(np.arange(50), 4)

    def interval(random, names):
        own = random.beta(0.8 * 1.5, 0.2 * 1.5, size=(50, 1))  # intraclass correlation 1 / (1 + 1.5)
        hit = (random.random((50, 4)) < own).astype(float).ravel()
        return proportion_interval(hit, np.ones(200), Patients.of(names), 0.95, "")

    assert 0.92 <= held(lambda r: interval(r, ids), 0.8) <= 0.98
    assert 0.74 <= held(lambda r: interval(r, np.arange(200)), 0.8) <= 0.87


@pytest.mark.parametrize(("patients", "cases"), [(60, 1), (60, 4)])
def test_area_under_the_curve(patients, cases) -> None:
    ids = np.repeat(np.arange(patients), cases)
    truth = np.repeat(np.arange(patients) % 3 == 0, cases)

    def interval(random, names):
        score = clustered(random, patients, cases, 0.6) + truth * np.sqrt(2) * stats.norm.ppf(0.85)
        who = Patients.of(names)
        return area_interval(area(truth, score, who), who, 0.95)

    assert 0.915 <= held(lambda r: interval(r, ids), 0.85) <= 0.99
    if cases > 1:
        assert held(lambda r: interval(r, np.arange(len(ids))), 0.85) < 0.88
