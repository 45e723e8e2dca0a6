"""The variance of an area: against all pairs, against clusters counted out, at its boundary."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from overread.evaluation.intervals.areas import auc_interval
from overread.evaluation.intervals.bootstrap import draws
from overread.evaluation.intervals.delong import area, area_interval, mean_area, newcombe
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.metrics.ranking import Ranking

RULES = Rules(resamples=500)


def cases(seed: int, n: int = 60, tied: bool = False):
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.4
    score = random.normal(size=n) + truth
    return truth, np.round(score, 0 if tied else 12)


def by_all_pairs(truth, score):
    """DeLong's variance from every (positive, negative) pair."""
    win = (score[truth][:, None] > score[~truth]) + 0.5 * (score[truth][:, None] == score[~truth])
    m, n = win.shape
    return win.mean(), win.mean(1).var(ddof=1) / m + win.mean(0).var(ddof=1) / n


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_delong_equals_the_count_over_all_pairs(seed, tied) -> None:
    truth, score = cases(seed, tied=tied)
    found = area(truth, score, Patients.of(np.arange(60)))
    value, variance = by_all_pairs(truth, score)
    assert found.value == pytest.approx(value)
    assert found.value == pytest.approx(roc_auc_score(truth, score))
    assert found.variance == pytest.approx(variance)


def test_several_cases_of_a_patient_bring_the_variance_of_the_cluster_bootstrap() -> None:
    random = np.random.default_rng(5)
    patient = np.repeat(np.arange(150), 3)
    own = random.normal(size=150)[patient]
    truth = random.random(450) < 0.4
    score = truth + 1.2 * own + 0.6 * random.normal(size=450)
    patients = Patients.of(patient)
    clustered = area(truth, score, patients)
    naive = area(truth, score, Patients.of(np.arange(450)))
    values = Ranking.of(truth, score).by_unit(patients.number).auc(draws(150, 2000, 0).astype(float))
    assert clustered.variance == pytest.approx(values.var(), rel=0.12)
    assert clustered.value == naive.value


def test_doubling_every_case_within_its_patient_changes_nothing() -> None:
    truth, score = cases(6)
    once = area(truth, score, Patients.of(np.arange(60)))
    twice = area(np.tile(truth, 2), np.tile(score, 2), Patients.of(np.tile(np.arange(60), 2)))
    assert twice.value == pytest.approx(once.value)
    assert twice.variance == pytest.approx(once.variance, rel=1e-9)


def test_a_perfect_area_never_has_zero_width() -> None:
    truth, score = np.arange(20) >= 10, np.arange(20.0)
    found = area_interval(area(truth, score, Patients.of(np.arange(20))), Patients.of(np.arange(20)), 0.95)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 0.9
    assert "Newcombe" in found.method
    assert newcombe(0.0, 10, 10, 1.96)[1] == pytest.approx(1 - newcombe(1.0, 10, 10, 1.96)[0])


def test_too_few_of_a_class() -> None:
    one = area_interval(area(np.array([1, 0, 0]) > 0, np.arange(3.0), Patients.of(range(3))), Patients.of(range(3)), 0.95)
    assert one.low is None
    assert "1 positive and 2 negative patients" in one.reason
    none = area_interval(area(np.zeros(3, bool), np.arange(3.0), Patients.of(range(3))), Patients.of(range(3)), 0.95)
    assert (none.estimate, none.reason) == (None, "cases of one class only")


def test_areas_of_folds_are_averaged_and_never_ranked_together() -> None:
    truth, score = cases(7, 120)
    fold = np.arange(120) % 2
    shifted = score + 10 * fold  # the second model's scale lies elsewhere
    patients = Patients.of(np.arange(120))
    found = auc_interval(truth, shifted, patients, fold, RULES)
    parts = [area(truth[fold == k], score[fold == k], patients.select(fold == k)) for k in (0, 1)]
    assert found.estimate == pytest.approx(np.mean([p.value for p in parts]))
    assert mean_area(parts).variance == pytest.approx(sum(p.variance for p in parts) / 4)
    assert "mean of 2 folds" in found.method
    shared = auc_interval(truth, shifted, Patients.of(np.arange(120) // 2), fold, RULES)
    assert shared.estimate == pytest.approx(found.estimate)
    assert "cluster bootstrap" in shared.method
