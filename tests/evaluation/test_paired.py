"""Two on the same cases: against other programs, against slow hand-made forms, and against simulated clustered data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from evaluation.van_dyke import van_dyke
from overread.core.errors import OverreadError
from overread.core.question import Question
from overread.evaluation.comparing.claims import Margin, claims, margin_of
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.difference import StudentTest, difference_interval, holm, students_test
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.flips import FlipTest
from overread.evaluation.comparing.jackknife import jackknife_test
from overread.evaluation.comparing.mcnemar import McNemarTest
from overread.evaluation.comparing.paired import Difference, difference
from overread.evaluation.comparing.placements import areas
from overread.evaluation.comparing.signed_rank import SignedRankTest
from overread.evaluation.comparing.spread import fold_values, run_values
from overread.evaluation.intervals.delong import area
from overread.evaluation.intervals.patients import Patients


def flips(values: np.ndarray, cases: int = 1) -> FlipTest:
    """Values (P * cases,) of patients with `cases` cases each."""
    return FlipTest(values.reshape(-1, cases).sum(1) / len(values), np.full(len(values) // cases, cases / len(values)))


# --- areas -----------------------------------------------------------------------------------------------------------


def slow_delong(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """DeLong's covariance from placement values, pair by pair, as the paper writes it."""

    def kernel(x: float, y: float) -> float:
        return 1.0 if x > y else 0.5 if x == y else 0.0

    positive, negative = scores[:, truth], scores[:, ~truth]
    v10 = np.array([[np.mean([kernel(x, y) for y in n]) for x in p] for p, n in zip(positive, negative, strict=True)])
    v01 = np.array([[np.mean([kernel(x, y) for x in p]) for y in n] for p, n in zip(positive, negative, strict=True)])
    return np.cov(v10) / positive.shape[1] + np.cov(v01) / negative.shape[1]


def test_delong_against_a_slow_form() -> None:
    random = np.random.default_rng(1)
    truth = random.random(60) < 0.4
    scores = np.round(random.normal(size=(3, 60)) + truth, 1)  # with ties
    found = areas(truth, scores, Patients.of(np.arange(60)))
    assert found.covariance == pytest.approx(slow_delong(truth, scores), abs=1e-12)
    d, error = found.values[1] - found.values[0], np.sqrt(np.array([-1, 1, 0]) @ slow_delong(truth, scores) @ [-1, 1, 0])
    ours = students_test(d, error, "", why_none="")
    assert ours.p() == pytest.approx(2 * stats.norm.sf(abs(d) / error))
    assert ours.interval(0.95) == pytest.approx((d - 1.959964 * error, d + 1.959964 * error), abs=1e-6)


def test_delong_against_proc() -> None:
    """R 4, pROC 1.18.0, for the fifth reader: roc.test(roc(truth, cine), roc(truth, spin), method="delong", paired=TRUE)."""
    truth, ratings = van_dyke()
    found = areas(truth, ratings[:, 4], Patients.of(np.arange(114)))
    turn = np.array([-1, 1])
    test = students_test(turn @ found.values, np.sqrt(turn @ found.covariance @ turn), "", why_none="")
    assert test.p() == pytest.approx(0.0221540703754, abs=1e-12)
    assert test.interval(0.95) == pytest.approx((0.0143496711162, 0.1859723900754), abs=1e-12)


def test_delong_against_pairs_by_hand() -> None:
    """Truth + + - -: the first ranks them + - + -, the second + + - -; placements by hand."""
    truth = np.array([True, True, False, False])
    found = areas(truth, np.array([[4, 2, 3, 1], [4, 3, 2, 1]]), Patients.of(np.arange(4)))
    assert found.values == pytest.approx([0.75, 1.0])
    assert found.covariance == pytest.approx(np.array([[0.125, 0], [0, 0]]))  # V10 (1, 1/2), V01 (1/2, 1): 0.125 / 2 twice


def test_the_variance_of_one_area_is_that_of_its_own_interval() -> None:
    random = np.random.default_rng(2)
    truth, who = random.random(90) < 0.4, Patients.of(np.arange(90) // 3)
    scores = random.normal(size=(2, 90)) + truth
    found = areas(truth, scores, who)
    assert np.diag(found.covariance) == pytest.approx([area(truth, s, who).variance for s in scores])


def test_areas_of_folds_are_means_with_their_variance() -> None:
    random = np.random.default_rng(3)
    truth, fold = random.random(80) < 0.5, np.arange(80) % 4
    scores = random.normal(size=(2, 80)) + truth + fold  # folds have other scales
    found = areas(truth, scores, Patients.of(np.arange(80)), fold)
    parts = [areas(truth[fold == k], scores[:, fold == k], Patients.of(np.arange(20))) for k in range(4)]
    assert found.values == pytest.approx(np.mean([p.values for p in parts], axis=0))
    assert found.covariance == pytest.approx(sum(p.covariance for p in parts) / 16)


# --- hits and misses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("won", "lost", "cases"), [(9, 2, 60), (4, 0, 30), (12, 5, 40), (1, 0, 20), (30, 44, 300)])
def test_mcnemar_against_other_programs(won: int, lost: int, cases: int) -> None:
    each = np.r_[np.ones(won), -np.ones(lost), np.zeros(cases - won - lost)]
    ours = McNemarTest(each, np.ones(cases))
    table = [[10, lost], [won, cases - won - lost - 10]]
    exact = mcnemar(table, exact=True).pvalue
    assert ours.p() == pytest.approx(exact - stats.binom.pmf(won, won + lost, 0.5), abs=1e-9)  # mid-p
    score = mcnemar(table, exact=False, correction=False).pvalue
    assert 2 * stats.norm.sf(abs(ours._score(0.0))) == pytest.approx(score)
    low, high = ours.interval(0.95)
    assert low < ours.estimate < high
    assert (ours.p() < 0.05) == (low > 0 or high < 0)


def test_no_discordant_case_is_no_interval_of_width_zero() -> None:
    low, high = McNemarTest(np.zeros(40), np.ones(40)).interval(0.95)
    assert (low, high) == pytest.approx((-0.0876, 0.0876), abs=1e-4)  # Tango: z^2 / (n + z^2)


@pytest.mark.parametrize("won", [-1.0, 1.0])
@pytest.mark.parametrize("patients", [6, 10, 30])
def test_all_cases_discordant_one_way_is_no_interval_of_width_zero(won: float, patients: int) -> None:
    test = McNemarTest(np.full(patients, won), np.ones(patients))
    low, high = sorted(abs(end) for end in test.interval(0.95))
    z = stats.norm.ppf(0.975)
    assert high == 1.0
    if patients > 6:  # below, the exact test is the more careful one and widens the interval
        assert low == pytest.approx((patients - z**2) / (patients + z**2))  # Tango's, worked out for n discordant of n
    assert 0 < low < 0.9
    assert test.p() == pytest.approx(2 * 0.5**patients / 2)
    assert np.isfinite([test.p_above(-1.0), test.p_below(1.0)]).all()


def test_patients_who_all_win_half_of_their_cases_have_an_interval() -> None:
    test = McNemarTest(np.ones(12), np.full(12, 2.0))
    low, high = test.interval(0.95)
    assert 0 < low < 0.45 < 0.55 < high < 1
    assert test.p() < 0.05


def clustered(random, patients: int, cases: int, correlation: float) -> np.ndarray:
    own = random.normal(size=(patients, 1)) * np.sqrt(correlation)
    return own + random.normal(size=(patients, cases)) * np.sqrt(1 - correlation)


def test_clustered_hits_hold_their_level_where_the_plain_test_does_not() -> None:
    wrong = plain = covered = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        first = clustered(random, 40, 4, 0.6) < stats.norm.ppf(0.8)
        second = clustered(random, 40, 4, 0.6) < stats.norm.ppf(0.8)
        won = second.astype(float) - first
        test = McNemarTest(won.sum(1), np.full(40, 4.0))
        low, high = test.interval(0.95)
        covered += low <= 0 <= high
        wrong += test.p() < 0.05
        plain += McNemarTest(won.ravel(), np.ones(160)).p() < 0.05
    assert wrong + covered == 400  # interval and p value say the same, every time
    assert 0.02 <= wrong / 400 <= 0.08
    assert plain / 400 > 0.12


# --- means -----------------------------------------------------------------------------------------------------------


def test_permutation_against_scipy() -> None:
    values = np.random.default_rng(4).normal(0.4, 1, 10)
    theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert flips(values).p() == pytest.approx(theirs.pvalue)


@given(some.lists(some.floats(-3, 3).map(lambda v: round(v, 2)), min_size=6, max_size=11))
def test_p_value_and_interval_of_a_permutation_never_disagree(values: list[float]) -> None:
    test = flips(np.array(values))
    if not np.any(test.sums):
        return
    low, high = test.interval(0.95)
    if min(abs(low), abs(high)) > 1e-9:
        assert (test.p() <= 0.05) == (low > 0 or high < 0)
    assert low <= test.estimate + 1e-12
    assert high >= test.estimate - 1e-12
    assert test.p_above(low - 0.01) <= 0.5


def test_clustered_means_hold_their_level_where_cases_taken_as_independent_do_not() -> None:
    wrong = plain = held = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        gain = stats.gamma.ppf(stats.norm.cdf(clustered(random, 30, 4, 0.7)), 2) - 2  # skewed, mean 0
        test = flips(gain.ravel(), 4)
        low, high = test.interval(0.95)
        wrong += test.p() <= 0.05
        held += low <= 0 <= high
        plain += stats.ttest_1samp(gain.ravel(), 0).pvalue < 0.05
    assert wrong + held == 300
    assert 0.015 <= wrong / 300 <= 0.095
    assert plain / 300 > 0.2


def test_wilcoxon_against_scipy() -> None:
    random = np.random.default_rng(5)
    for size in (12, 30, 70):
        values = random.normal(0.3, 1, size)
        test = SignedRankTest(values)
        theirs = stats.wilcoxon(values, method="exact" if size <= 50 else "approx")
        assert test.p() == pytest.approx(theirs.pvalue)
        low, high = test.interval(0.95)
        assert low < test.estimate < high
        assert (test.p() <= 0.05) == (low > 0 or high < 0)


def test_jackknife_of_a_mean_is_students_test() -> None:
    values = np.random.default_rng(6).normal(0.2, 1, 25)
    test = jackknife_test(lambda counts: counts @ values / counts.sum(1), 25)
    assert test.p() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_holm_against_statsmodels() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.6, 0.04]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == []


# --- from evaluations to sentences -----------------------------------------------------------------------------------

BINARY = Question("classification", ("benign", "malignant"), positive="malignant").as_dict()


def binary(scores, truth, patients=None, threshold: float = 0.5, folds=None, **extra) -> dict:
    who = patients if patients is not None else range(len(scores))
    rows = []
    for i, (score, sick, patient) in enumerate(zip(scores, truth, who, strict=True)):
        row = {
            "case_id": f"c{i:03d}", "patient_id": f"p{patient}", "truth": "malignant" if sick else "benign",
            "answer": {"benign": 1 - score, "malignant": score},
            "called": ["malignant" if score >= threshold else "benign"], "scores": {}, "reasons": {},
        }  # fmt: skip
        rows.append(row if folds is None else {**row, "fold": int(folds[i])})
    return {"question": BINARY, "partition": "answers", "is_phantom": False, "notes": [], "cases": rows, **extra}


def two(seed: int = 0, n: int = 80, gain: float = 1.0, patients=None):
    random = np.random.default_rng(seed)
    truth = np.arange(n) % 2 == 0
    shared = random.normal(size=n)
    made = [1 / (1 + np.exp(-(shared + random.normal(size=n) + truth * g))) for g in (1.0, 1.0 + gain)]
    return [binary(s, truth, patients) for s in made]


def lined(old: dict, new: dict):
    return line_up([Contender("old", (old,)), Contender("new", (new,))])


@pytest.mark.parametrize(
    "name",
    [
        "auc",
        "average_precision",
        "sensitivity",
        "specificity",
        "ppv",
        "npv",
        "f1",
        "brier",
        "accuracy",
        "balanced_accuracy",
        "mcc",
    ],
)
def test_every_score_of_a_class_has_a_test_that_agrees_with_its_interval(name: str) -> None:
    pair = lined(*two())
    found = difference(pair, Endpoint.of(pair.question, name), 1)
    assert found.interval.estimate == pytest.approx(found.values[1] - found.values[0])
    assert found.interval.low < found.interval.estimate < found.interval.high
    assert (found.p < 0.05) == (found.interval.low > 0 or found.interval.high < 0)
    assert (found.interval.n_patients, found.interval.method != "") == (
        {"sensitivity": 40, "specificity": 40}.get(name, 80),
        True,
    )


def test_clustered_areas_hold_their_level_where_plain_delong_does_not() -> None:
    wrong = plain = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        truth = np.repeat(np.arange(40) % 2 == 0, 4)
        scores = np.stack([clustered(random, 40, 4, 0.7).ravel() + 1.2 * truth for _ in range(2)])
        for by_patient in (True, False):
            found = areas(truth, scores, Patients.of(np.repeat(np.arange(40), 4) if by_patient else np.arange(160)))
            spread = np.sqrt(found.covariance[0, 0] + found.covariance[1, 1] - 2 * found.covariance[0, 1])
            rejected = abs(found.values[1] - found.values[0]) > 1.96 * spread
            wrong, plain = wrong + (by_patient and rejected), plain + (not by_patient and rejected)
    assert 0.015 <= wrong / 300 <= 0.09
    assert plain / 300 > 0.2


def test_methods_are_named_and_clustered_where_patients_have_several_cases() -> None:
    plain, by_patient = lined(*two()), lined(*two(patients=np.arange(80) // 2))
    auc = Endpoint.of(plain.question, "auc")
    assert difference(plain, auc, 1).interval.method == "DeLong's test for two correlated areas"
    assert "Obuchowski's test for areas by patient" in difference(by_patient, auc, 1).interval.method
    hits = Endpoint.of(plain.question, "accuracy")
    assert "signs tossed by patient" in difference(by_patient, hits, 1).interval.method
    brier = Endpoint.of(plain.question, "brier")
    with pytest.raises(OverreadError, match="80 cases belong to 40 patients"):
        difference(by_patient, brier, 1, ranks=True)
    assert "Wilcoxon" in difference(plain, brier, 1, ranks=True).interval.method
    with pytest.raises(OverreadError, match="ranks the scores of cases, and Area under the ROC curve is no mean"):
        difference(plain, auc, 1, ranks=True)


def test_cases_that_differ_are_counted_and_named() -> None:
    old, new = two()
    fewer = {**new, "cases": new["cases"][3:]}
    with pytest.raises(OverreadError, match=r"3 cases of old are not in new \(c000, c001, c002\)"):
        lined(old, fewer)
    with pytest.raises(OverreadError, match=r"3 cases of old are not in new .*; 3 cases of new are not in old"):
        lined({**old, "cases": old["cases"][:-3]}, fewer)
    other = {**new, "cases": [{**row, "truth": "benign"} for row in new["cases"]]}
    with pytest.raises(OverreadError, match="40 of 80 cases have another truth in new than in old"):
        lined(old, other)
    with pytest.raises(OverreadError, match="80 of 80 cases have another patient"):
        lined(old, {**new, "cases": [{**row, "patient_id": "x"} for row in new["cases"]]})
    with pytest.raises(OverreadError, match="different questions: positive is malignant and benign"):
        lined(old, {**new, "question": {**BINARY, "positive": "benign"}})
    shuffled = {**new, "cases": new["cases"][::-1]}
    endpoint = Endpoint.of(lined(old, new).question, "auc")
    assert difference(lined(old, shuffled), endpoint, 1).interval == difference(lined(old, new), endpoint, 1).interval


def test_what_has_no_paired_test_is_refused() -> None:
    question = lined(*two()).question
    with pytest.raises(OverreadError, match="Expected calibration error has no paired test"):
        Endpoint.of(question, "ece")


def test_two_that_answer_alike_get_no_p_value() -> None:
    old, _ = two()
    pair = lined(old, old)
    found = [difference(pair, Endpoint.of(pair.question, name), 1) for name in ("auc", "brier")]
    assert [f.p for f in found] == [None, None]
    said = claims(found)
    assert "cannot tell how sure that is" in said[0].sentence
    hits = difference(pair, Endpoint.of(pair.question, "accuracy"), 1)
    assert hits.interval.low < 0 < hits.interval.high


def test_a_difference_that_never_varies_gets_no_interval_and_the_right_reason() -> None:
    truth = np.arange(30) < 12
    right, wrong = (binary(np.where(truth == side, 0.9, 0.1), truth) for side in (True, False))
    pair = lined(right, wrong)
    found = {name: difference(pair, Endpoint.of(pair.question, name), 1) for name in ("auc", "brier")}
    assert (found["auc"].interval.estimate, found["brier"].interval.estimate) == pytest.approx((-1.0, 0.8))
    assert [f.interval.low for f in found.values()] == [None, None]
    assert "neither area varies from patient to patient" in found["auc"].test.reason
    assert "every patient differs by the same amount" in found["brier"].test.reason


def test_a_score_that_only_one_has_is_left_out_and_said() -> None:
    question = Question("segmentation", ("liver",), (1,)).as_dict()

    def masks(values):
        rows = [
            {"case_id": f"c{i}", "patient_id": f"p{i}", "truth": {"liver": 5.0 * (i > 1)}, "answer": {"liver": 5.0},
             "scores": {"dice/liver": v, "voxel_sensitivity/liver": None if i < 2 else v, "voxel_ppv/liver": v}, "reasons": {}}
            for i, v in enumerate(values)
        ]  # fmt: skip
        return {"question": question, "partition": "answers", "is_phantom": False, "notes": [], "cases": rows}

    old, new = masks([None, None, 0.7, 0.8, 0.75, 0.6, 0.9, 0.72]), masks([0.0, None, 0.8, 0.82, 0.8, 0.7, 0.91, 0.8])
    pair = lined(old, new)
    dice = difference(pair, Endpoint.of(pair.question, "dice"), 1)
    assert dice.interval.n_cases == 6
    assert dice.p == pytest.approx(2 / 2**6)
    assert "0 where only the reference has, 1 where only the other has" in dice.remark
    empty = Endpoint.of(pair.question, "presence_specificity")
    assert "too few for a paired test" in difference(pair, empty, 1).interval.reason


def test_several_runs_enter_with_their_mean_and_show_their_spread() -> None:
    truth = np.arange(60) % 2 == 0
    random = np.random.default_rng(9)
    runs = [tuple(binary(1 / (1 + np.exp(-(random.normal(size=60) + g * truth))), truth) for _ in range(3)) for g in (1, 2)]
    pair = line_up([Contender("small", runs[0]), Contender("big", runs[1])])
    for name in ("auc", "brier", "accuracy", "f1"):
        endpoint = Endpoint.of(pair.question, name)
        found = difference(pair, endpoint, 1)
        assert found.values == pytest.approx([np.mean(run_values(pair, endpoint, k)) for k in (0, 1)])
    assert fold_values(pair, endpoint, 0) == []


def test_folds_are_ranked_each_by_itself() -> None:
    truth, folds = np.arange(80) % 2 == 0, np.arange(80) // 2 % 4
    random = np.random.default_rng(10)
    made = [1 / (1 + np.exp(-(random.normal(size=80) + truth + folds))) for _ in range(2)]
    pair = lined(*(binary(s, truth, folds=folds) for s in made))
    endpoint = Endpoint.of(pair.question, "auc")
    found = difference(pair, endpoint, 1)
    assert "mean of 4 folds" in found.interval.method
    assert found.values == pytest.approx([np.mean(fold_values(pair, endpoint, k)) for k in (0, 1)])
    with pytest.raises(OverreadError, match="different folds"):
        lined(binary(made[0], truth, folds=folds), binary(made[1], truth, folds=folds[::-1]))
    mixed = lined(binary(made[0], truth, folds=folds), binary(made[1], truth))
    assert difference(mixed, endpoint, 1).values == pytest.approx(found.values)


FORBIDDEN = ("equal", "comparable", "no difference", "as good", "similar", "equivalent", "not inferior")


@pytest.mark.parametrize("seed", range(6))
def test_without_a_margin_nothing_is_ever_called_alike(seed: int) -> None:
    pair = lined(*two(seed, gain=0.0))
    for claim in claims([difference(pair, Endpoint.of(pair.question, name), 1) for name in ("auc", "accuracy", "f1")]):
        assert not [word for word in FORBIDDEN if word in claim.sentence]
        assert claim.p_holm >= claim.p


def test_margins_say_what_was_shown() -> None:
    auc = Endpoint.of(lined(*two()).question, "auc")
    test = StudentTest(-0.01, 0.015, "made up")

    found = Difference(auc, "old", "new", (0.9, 0.89), test, difference_interval(test, 100, 100, 0.95))

    def said(size: float, aim: str):
        claim = claims([found], margin=Margin(size, aim))[0]
        return claim.shown, claim.sentence, claim.p

    low, high = found.interval.low, found.interval.high
    for size in (0.02, 0.0394, 0.0395, 0.1):  # the low end is -0.0394
        assert said(size, "non-inferior")[0] == (low > -size)
        assert said(size, "equivalent")[0] == (low > -size and high < size)
    assert "new is not inferior to old: worse by less than it" in said(0.05, "non-inferior")[1]
    assert "no proof that it is inferior" in said(0.02, "non-inferior")[1]
    assert "equivalent within the margin of 0.05, declared as set before" in said(0.05, "equivalent")[1]
    assert "one-sided p = 0.004, with 0.025 as the limit" in said(0.05, "non-inferior")[1]
    assert "is not shown" in said(0.0, "superior")[1]
    assert said(0.05, "non-inferior")[2] == pytest.approx(stats.norm.sf(0.04 / 0.015))
    for size, fault in (
        (0.0, "is not above 0"), (-0.05, "is not above 0"), (np.nan, "nan is no size"), (np.inf, "inf is no size"),
        (5.0, "as wide as Area under the ROC curve itself"),
    ):  # fmt: skip
        with pytest.raises(OverreadError, match=fault):
            said(size, "non-inferior")
    with pytest.raises(OverreadError, match="The aim 'equivalent' needs a margin"):
        margin_of(None, "equivalent")
    assert margin_of(None, "non-inferior") is None
    other = difference(lined(*two()), Endpoint.of(auc.question, "brier"), 1)
    with pytest.raises(OverreadError, match="One margin cannot serve auc and brier"):
        claims([found, other], margin=Margin(0.05))
    lower = claims([other], margin=Margin(0.5))[0]  # lower is better: not inferior where the rise stays below the margin
    assert lower.shown
    assert lower.p == pytest.approx(other.test.p_below(0.5))
