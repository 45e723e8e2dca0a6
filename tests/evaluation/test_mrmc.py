"""Readers: the published example of the method's authors, simulated studies with known components, agreement on one footing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from evaluation.van_dyke import PRINTED, van_dyke
from overread.core.errors import OverreadError
from overread.evaluation.comparing import footing, mrmc
from overread.evaluation.comparing.difference import StudentTest
from overread.evaluation.comparing.placements import areas, shares
from overread.evaluation.comparing.reader_study import Reading, Study
from overread.evaluation.intervals.patients import Patients


@pytest.fixture(scope="module")
def study() -> tuple[np.ndarray, np.ndarray]:
    return van_dyke()


def jackknife_covariance(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Covariance of areas by leaving out one case at a time, with scikit-learn's areas: independent of ours, and slow."""
    n = len(truth)
    without = np.array([[roc_auc_score(np.delete(truth, i), np.delete(s, i)) for s in scores] for i in range(n)])
    centred = without - without.mean(0)
    return (n - 1) / n * centred.T @ centred


def test_areas_of_the_published_example(study) -> None:
    truth, ratings = study
    found = areas(truth, ratings.reshape(10, -1), Patients.of(np.arange(114)))
    assert found.values.reshape(2, 5) == pytest.approx(np.array(PRINTED["areas"]), abs=6e-9)


def test_the_published_analysis_from_jackknife_covariances(study) -> None:
    """The program's own covariances, made anew: every figure it prints for random readers and random cases."""
    truth, ratings = study
    covariance = jackknife_covariance(truth, ratings.reshape(10, -1)).reshape(2, 5, 2, 5)
    parts = mrmc.components(covariance)
    assert [parts.error, parts.same_reader, parts.same_condition, parts.neither] == pytest.approx(PRINTED["components"], abs=6e-9)
    values = np.array(PRINTED["areas"])
    test = mrmc.two_conditions(values, parts)
    assert isinstance(test, StudentTest)
    assert test.estimate == pytest.approx(PRINTED["difference"], abs=1e-8)
    assert test.error == pytest.approx(PRINTED["error"], abs=5e-6)
    assert test.freedom == pytest.approx(PRINTED["freedom"], abs=5e-3)
    assert test.p() == pytest.approx(PRINTED["p"], abs=5e-5)
    assert test.interval(0.95) == pytest.approx((PRINTED["low"], PRINTED["high"]), abs=5e-6)
    for condition, name in enumerate(("first", "second")):
        single = mrmc.one_condition(values[condition], covariance[condition, :, condition])
        mean, error, freedom, low, high = PRINTED[name]
        assert isinstance(single, StudentTest)
        assert (single.estimate, single.error) == pytest.approx((mean, error), abs=1e-7)
        assert single.freedom == pytest.approx(freedom, abs=5e-3)
        assert single.interval(0.95) == pytest.approx((low, high), abs=1e-7)


def test_delong_covariances_stay_near_the_jackknife(study) -> None:
    truth, ratings = study
    scores = ratings.reshape(10, -1)
    ours = areas(truth, scores, Patients.of(np.arange(114))).covariance
    parts, theirs = mrmc.components(ours.reshape(2, 5, 2, 5)), PRINTED["components"]
    assert [parts.error, parts.same_reader, parts.same_condition, parts.neither] == pytest.approx(theirs, rel=0.03)
    assert mrmc.two_conditions(np.array(PRINTED["areas"]), parts).p() == pytest.approx(PRINTED["p"], abs=0.002)


def roe_and_metz(random, readers: int, patients: int, shift: float, reader_sd: float = 0.2, cases: int = 1):
    """Scores (2, R, N) of a study in which both conditions have one area (Roe and Metz, Acad Radiol 1997;4:298).

    Reader 0.2, case 0.5, condition x case 0.3, reader x case 0.3, pure error; case and condition x case by patient.
    """
    truth = np.repeat(np.arange(patients) % 2 == 1, cases)
    n = patients * cases

    def by_patient(*shape: int) -> np.ndarray:
        return np.repeat(random.normal(size=(*shape, patients)), cases, axis=-1)

    skill = reader_sd * random.normal(size=(1, readers, 1)) + 0.1 * random.normal(size=(2, readers, 1))
    noise = 0.7 * by_patient(1, 1) + 0.45 * by_patient(2, 1) + 0.3 * random.normal(size=(1, readers, n))
    return truth, noise + 0.4 * random.normal(size=(2, readers, n)) + truth * (shift + skill)


def test_the_size_of_the_test_of_two_conditions() -> None:
    """No difference in 300 simulated studies: about 5 in 100 are found different. Ignoring readers finds far more."""
    wrong = naive = 0
    for seed in range(300):
        truth, scores = roe_and_metz(np.random.default_rng(seed), 5, 60, 1.3, reader_sd=0.4)
        found = areas(truth, scores.reshape(10, -1), Patients.of(np.arange(len(truth))))
        wrong += mrmc.two_conditions(found.values.reshape(2, 5), mrmc.components(found.covariance.reshape(2, 5, 2, 5))).p() < 0.05
        turn = np.repeat([-1, 1], 5) / 5
        naive += abs(turn @ found.values) / np.sqrt(turn @ found.covariance @ turn / 5) > 1.96  # readings taken as independent
    assert 0.01 <= wrong / 300 <= 0.09
    assert naive / 300 > 0.12


@pytest.mark.parametrize("cases", [1, 3])
def test_a_fixed_model_against_random_readers(cases: int) -> None:
    """The model has the readers' mean area; taking the readers as fixed cries wolf, and so does taking cases as independent."""
    wrong = fixed = unclustered = 0
    trials = 300
    readers, patients = 4, 40
    for seed in range(trials):
        truth, scores = roe_and_metz(np.random.default_rng(seed), readers, patients, 1.3, reader_sd=0.35, cases=cases)
        model = roe_and_metz(np.random.default_rng(seed), 1, patients, 1.3, reader_sd=0.0, cases=cases)[1][0, 0]
        stacked = np.vstack([scores[0], model])
        ids = np.repeat(np.arange(patients), cases)
        found = areas(truth, stacked, Patients.of(ids))
        test = mrmc.model_less_readers(found.values[:-1], found.values[-1], found.covariance)
        wrong += test.p() < 0.05
        turn = np.r_[np.full(readers, -1 / readers), 1.0]
        fixed += abs(turn @ found.values) / np.sqrt(turn @ found.covariance @ turn) > 1.96
        alone = areas(truth, stacked, Patients.of(np.arange(len(ids))))
        unclustered += abs(turn @ alone.values) / np.sqrt(turn @ alone.covariance @ turn) > 1.96
    assert wrong / trials <= 0.09
    assert fixed / trials > wrong / trials
    if cases > 1:
        assert unclustered / trials > 0.12


def test_against_is_the_model_less_the_mean_of_the_readers(study) -> None:
    truth, ratings = study
    stacked = np.vstack([ratings[0], ratings[1, 3]])
    found = areas(truth, stacked, Patients.of(np.arange(114)))
    test = mrmc.model_less_readers(found.values[:-1], found.values[-1], found.covariance)
    assert test.estimate == pytest.approx(found.values[-1] - found.values[:-1].mean())
    assert (test.p() < 0.05) == (test.interval(0.95)[0] > 0)
    v, c = found.values, found.covariance
    between = np.var(v[-1] - v[:-1], ddof=1)
    shared = np.mean([c[j, k] - c[j, 5] - c[k, 5] + c[5, 5] for j in range(5) for k in range(5) if j != k])
    assert test.error == pytest.approx(np.sqrt(between / 5 + max(shared, 0)))


def test_shares_vary_together_as_by_hand() -> None:
    random = np.random.default_rng(0)
    hits = (random.random((3, 40)) < 0.8).astype(float)
    found = shares(hits, Patients.of(np.arange(40)))
    assert found.covariance == pytest.approx(np.cov(hits) / 40)
    paired = shares(np.repeat(hits, 2, axis=1), Patients.of(np.repeat(np.arange(40), 2)))
    assert paired.covariance == pytest.approx(np.cov(hits) / 40)  # every case twice says nothing new


def calls_of(random, readers: int, patients: int) -> tuple[np.ndarray, np.ndarray]:
    truth = random.random(patients) < 0.5
    said = np.array([np.where(random.random(patients) < 0.85, truth, ~truth) for _ in range(readers + 1)]).astype(float)
    return said[:-1], said[-1]


def test_kappa_on_the_same_footing() -> None:
    calls, model = calls_of(np.random.default_rng(3), 4, 80)
    reference, value, test = footing.model_less_readers(calls, model, Patients.of(np.arange(80)))
    assert reference == pytest.approx(np.mean([cohen_kappa_score(a, b) for a, b in combinations(calls, 2)]))
    assert value == pytest.approx(np.mean([cohen_kappa_score(a, model) for a in calls]))
    assert test.estimate == pytest.approx(value - reference)
    assert "by reader" in test.method
    two = footing.model_less_readers(calls[:2], model, Patients.of(np.arange(80)))[2]
    assert "for these two readers" in two.method


def test_the_level_of_kappa_on_the_same_footing() -> None:
    wrong = [
        footing.model_less_readers(*calls_of(np.random.default_rng(seed), 4, 50), Patients.of(np.arange(50)))[2].p() < 0.05
        for seed in range(200)
    ]
    assert np.mean(wrong) <= 0.09


def test_a_study_gives_rows_for_what_was_read(study) -> None:
    truth, ratings = study
    reads = tuple(Reading(t, r, (r >= 3).astype(float)) for t, r in zip(("alone", "aided"), ratings, strict=True))
    made = Study(tuple("ABCDE"), truth, Patients.of(np.arange(114)), reads, None, "dissection")
    rows = {row.metric.key: row for row in made.rows()}
    assert list(rows) == ["auc", "sensitivity", "specificity"]
    assert rows["auc"].each["D"] == pytest.approx([0.97310789, 0.99935588])
    assert rows["auc"].difference.values == pytest.approx((0.89703704, 0.94083736))
    assert rows["sensitivity"].difference.interval.n_cases == 45
    beside = Study(
        tuple("ABCDE"), truth, Patients.of(np.arange(114)), reads[:1], Reading("model", ratings[1, :1], None), "dissection"
    )
    assert [row.metric.key for row in beside.rows()] == ["auc"]
    with pytest.raises(OverreadError, match="'dice' is no score of readers"):
        made.rows(["dice"])
    lone = Study(
        tuple("ABCDE"), truth[68:71], Patients.of(np.zeros(3)), (Reading("x", ratings[0][:, 68:71], None),) * 2, None, "d"
    )
    with pytest.raises(OverreadError, match="two of each are the least"):
        lone.rows()


def test_readers_who_never_differ_give_no_interval() -> None:
    truth = np.arange(20) % 2 == 1
    rating = truth * 1.0
    study = Study(("A", "B"), truth, Patients.of(np.arange(20)), (Reading("a", np.stack([rating] * 2), None),) * 2, None, "d")
    row = study.rows()[0]
    assert row.difference.interval.low is None
    assert "neither readers nor patients vary in it" in row.difference.interval.reason
    assert "neither readers nor patients vary in it" in row.means["a"].reason


def test_few_cases_are_said_and_a_difference_of_shares_stays_within_one() -> None:
    truth = np.arange(12) < 5
    calls = np.stack([truth, truth, truth & (np.arange(12) > 0)]).astype(float)
    ratings = calls + np.linspace(0, 0.5, 12)
    wrong = Reading("model", ratings.max() - ratings[:1], 1 - calls[:1])
    study = Study(("A", "B", "C"), truth, Patients.of(np.arange(12)), (Reading("alone", ratings, calls),), wrong, "d")
    rows = {row.metric.key: row.difference for row in study.rows(["auc", "sensitivity"])}
    assert rows["sensitivity"].interval.low == -1.0
    assert rows["sensitivity"].remark == "Only 5 patients count: the interval is a rough one."
    assert rows["auc"].remark == "Only 5 positive and 7 negative patients: the interval is a rough one."
