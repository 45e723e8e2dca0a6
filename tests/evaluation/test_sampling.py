"""An enriched sample shows what depends on the prevalence at a stated one only; likelihood ratios and what follows from them."""

import numpy as np
import pytest
from sklearn import metrics as sk

from overread.core.errors import OverreadError
from overread.core.kinds import Findings
from overread.core.question import Decisions, OperatingPoint, Question
from overread.evaluation.answered import answered
from overread.evaluation.classification import evaluate_classification
from overread.evaluation.decisions.decision_curve import decision_curve
from overread.evaluation.finding import Finding
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.ratios import likelihood_ratio, mover_ratio, predictive_value
from overread.evaluation.intervals.wilson import proportion_interval
from overread.evaluation.rules import Rules, prevalences

TWO = Question("classification", ("normal", "disease"), positive="disease")
THREE = Question("classification", ("a", "b", "c"))
GRADES = Question("classification", ("a", "b", "c"), ordered=True)
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)
BY_PREVALENCE = (
    "ppv", "npv", "f1", "false_alarms_per_100", "average_precision", "brier", "ece", "observed_expected", "calibration_intercept",
    "brier_reliability", "brier_resolution", "brier_uncertainty", "accuracy", "mcc", "aurc",
)  # fmt: skip


def two(n: int = 90, cases_per_patient: int = 1, threshold: float = 0.45):
    random = np.random.default_rng(n)
    truth = np.arange(n) % 3 == 0
    p = 1 / (1 + np.exp(-(random.normal(size=n) + 1.5 * truth - 0.7)))
    table = answered(
        TWO,
        [f"c{k}" for k in range(n)],
        [f"p{k // cases_per_patient}" for k in range(n)],
        [Findings({"normal": 1.0 - t, "disease": float(t)}) for t in truth],
        [Findings({"normal": 1 - v, "disease": float(v)}) for v in p],
        Decisions((OperatingPoint("disease", threshold, "youden"),)),
    )
    return table, truth, p


def rules(sampling: str = "unknown", prevalence=None) -> Rules:
    return Rules(resamples=200, sampling=sampling, prevalence=prevalence)


def found(evaluated):
    return {(s.metric.key, s.subject): s.interval for s in evaluated.scores}


def test_an_enriched_sample_without_a_prevalence_hides_what_depends_on_it() -> None:
    table, truth, p = two()
    evaluated = evaluate_classification(TWO, table, rules("enriched"))
    scores = found(evaluated)
    for key in BY_PREVALENCE:
        subject = "all" if key in ("accuracy", "mcc", "aurc") else "disease"
        assert scores[key, subject].estimate is None, key
        assert scores[key, subject].reason.startswith("not shown: the sample is enriched"), key
    assert scores["auc", "disease"].estimate == pytest.approx(sk.roc_auc_score(truth, p))
    assert scores["lr_positive", "disease"].low is not None
    assert scores["calibration_slope", "disease"].estimate is not None
    assert scores["balanced_accuracy", "all"].estimate is not None
    assert not any(key.endswith("_at_prevalence") for key, _ in scores)
    assert (evaluated.curves["pr"], evaluated.curves["calibration"], evaluated.curves["decision"]) == ({}, {}, {})
    assert list(evaluated.curves["roc"]) == ["disease"]
    assert any("no prevalence is stated" in note for note in evaluated.notes)
    assert set(BY_PREVALENCE) <= set(evaluated.more["sampling"]["not_shown"])


def test_at_a_stated_prevalence_they_are_those_of_weighted_cases() -> None:
    share = 0.02
    table, truth, p = two()
    evaluated = evaluate_classification(TWO, table, rules("enriched", share))
    scores, call = found(evaluated), p >= 0.45
    weight = np.where(truth, share / truth.mean(), (1 - share) / (1 - truth.mean()))
    expected = {
        "ppv": sk.precision_score(truth, call, sample_weight=weight),
        "npv": sk.precision_score(~truth, ~call, sample_weight=weight),
        "f1": sk.f1_score(truth, call, sample_weight=weight),
        "average_precision": sk.average_precision_score(truth, p, sample_weight=weight),
        "brier": sk.brier_score_loss(truth, p, sample_weight=weight),
        "observed_expected": share / np.average(p, weights=weight),
        "false_alarms_per_100": 100 * (1 - share) * call[~truth].mean(),
    }
    for key, value in expected.items():
        interval = scores[f"{key}_at_prevalence", "disease"]
        assert interval.estimate == pytest.approx(value), key
        assert interval.low < value < interval.high, key
        assert scores[key, "disease"].estimate is None
    accuracy = scores["accuracy_at_prevalence", "all"].estimate
    assert accuracy == pytest.approx(sk.accuracy_score(truth, call, sample_weight=weight))
    assert evaluated.curves["pr"]["disease"]["prevalence"] == share
    assert evaluated.curves["decision"]["disease"]["prevalence"] == share
    for row in evaluated.curves["calibration"]["disease"]:
        inside = (p >= row["low"]) & (p < row["high"])
        assert row["rate"] == pytest.approx(np.average(truth[inside], weights=weight[inside]))
        assert row["rate_low"] < row["rate_high"]
    named = next(s.metric.name for s in evaluated.scores if s.metric.key == "ppv_at_prevalence")
    assert named == "Positive predictive value at a prevalence of 2 %"


def test_a_consecutive_sample_shows_both_and_an_unknown_one_says_so() -> None:
    table, truth, p = two()
    scores = found(evaluate_classification(TWO, table, rules("consecutive", {"disease": 0.05})))
    assert scores["ppv", "disease"].estimate == pytest.approx(sk.precision_score(truth, p >= 0.45))
    assert scores["ppv_at_prevalence", "disease"].estimate < scores["ppv", "disease"].estimate
    unknown = evaluate_classification(TWO, table, rules())
    assert unknown.notes[0].startswith("How these cases were sampled is not stated.")
    assert found(unknown)["ppv", "disease"].estimate is not None
    assert not any("sampled" in note for note in evaluate_classification(TWO, table, rules("consecutive")).notes)


def test_intervals_on_few_patients_of_a_kind_say_so() -> None:
    few, many = (found(evaluate_classification(TWO, two(n)[0], rules("enriched", 0.05))) for n in (45, 150))
    assert few["partial_auc", "disease"].reason == "15 positive patients, fewer than 20: expect this interval to be too narrow"
    assert few["f1_at_prevalence", "disease"].reason.startswith("15 positive patients")
    assert few["average_precision_at_prevalence", "disease"].reason.startswith("15 positive patients")
    assert many["partial_auc", "disease"].reason == many["f1_at_prevalence", "disease"].reason == ""


def test_a_prevalence_that_cannot_be_is_refused() -> None:
    assert prevalences(TWO, 0.02) == {"disease": 0.02, "normal": 0.98}
    assert prevalences(TWO, {"normal": 0.9}) == {"normal": 0.9, "disease": pytest.approx(0.1)}
    assert prevalences(FINDINGS, {"nodule": 0.1}) == {"nodule": 0.1}
    for question, stated, message in (
        (TWO, 2.0, "2 for disease is no share"),
        (TWO, {"ill": 0.1}, "'ill' is no class"),
        (FINDINGS, 0.1, "One prevalence is stated for 2 classes"),
        (THREE, {"a": 0.5, "b": 0.5, "c": 0.5}, "add up to 1.5"),
    ):
        with pytest.raises(OverreadError, match=message):
            prevalences(question, stated)


def of_share(hits: int, cases: int):
    return proportion_interval((np.arange(cases) < hits).astype(float), np.ones(cases), Patients.of(np.arange(cases)), 0.95, "")


def test_limits_of_a_ratio_hold_it_and_turn_with_it() -> None:
    low, high = mover_ratio(of_share(45, 50), of_share(10, 60))
    assert low < (45 / 50) / (10 / 60) < high
    assert mover_ratio(of_share(0, 50), of_share(10, 60))[0] == 0
    low, high = mover_ratio(of_share(45, 50), of_share(0, 60))
    assert np.isinf(high)
    assert low == pytest.approx(mover_ratio(of_share(45, 50), of_share(0, 60))[0])
    assert 5 < low < 45 / 50 / 0.01


@pytest.mark.parametrize("hits", [(30, 0), (30, 40), (0, 3), (0, 0), (29, 1)])
def test_no_likelihood_ratio_or_predictive_value_is_certain(hits) -> None:
    truth = np.r_[np.ones(30, bool), np.zeros(40, bool)]
    call = np.r_[np.arange(30) < hits[0], np.arange(40) < hits[1]]
    patients = Patients.of(np.arange(70))
    for of_calls in (True, False):
        ratio = likelihood_ratio(truth, call, patients, rules(), "u", of_calls=of_calls)
        assert ratio.low is None or ratio.low < ratio.high
        assert ratio.estimate is not None or ratio.reason
        value = predictive_value(truth, call, patients, rules(), "u", 0.1, of_calls=of_calls)
        assert value.estimate is None or 0 <= value.low <= value.estimate <= value.high <= 1
        assert value.low is None or value.low < value.high


def test_patients_with_both_kinds_are_resampled() -> None:
    truth, call = np.tile([True, False, False], 30), np.random.default_rng(0).random(90) < 0.5
    whole = Patients.of(np.arange(90) // 3)
    assert "cluster bootstrap" in likelihood_ratio(truth, call, whole, rules(), "u", of_calls=True).method
    assert "cluster bootstrap" in predictive_value(truth, call, whole, rules(), "u", 0.1, of_calls=True).method
    apart = Patients.of(np.where(truth, np.arange(90), 1000 + np.arange(90) // 6))
    assert likelihood_ratio(truth, call, apart, rules(), "u", of_calls=True).method == "MOVER-R from Wilson's limits by patient"


def test_ratios_and_predictive_values_hold_the_truth_as_often_as_they_say() -> None:
    truth = np.r_[np.ones(50, bool), np.zeros(80, bool)]
    patients = Patients.of(np.arange(130))
    held = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        call = random.random(130) < np.where(truth, 0.85, 0.1)
        ratio = likelihood_ratio(truth, call, patients, rules(), "u", of_calls=True)
        value = predictive_value(truth, call, patients, rules(), "u", 0.05, of_calls=True)
        true = 8.5 * 0.05 / (8.5 * 0.05 + 0.95)
        high = np.inf if ratio.high is None else ratio.high
        held.append(((ratio.low or 0) <= 8.5 <= high, value.low <= true <= value.high))
    assert ((np.mean(held, axis=0) >= 0.92) & (np.mean(held, axis=0) <= 0.985)).all()


@pytest.mark.parametrize("share", [None, 0.05])
def test_net_benefit_by_hand(share) -> None:
    table, truth, p = two()
    curve = decision_curve(Finding(table, 1), rules(), share)
    prevalence = truth.mean() if share is None else share
    for threshold, benefit, low, high, every in zip(
        *(curve[k] for k in ("threshold", "net_benefit", "low", "high", "treat_all")), strict=True
    ):
        call, odds = p >= threshold, threshold / (1 - threshold)
        by_hand = prevalence * call[truth].mean() - (1 - prevalence) * call[~truth].mean() * odds
        assert benefit == pytest.approx(by_hand, rel=1e-5, abs=1e-9)
        assert every == pytest.approx(prevalence - (1 - prevalence) * odds, rel=1e-5, abs=1e-9)
        assert low is None or low < benefit < high
    assert curve["low"][-1] is None or curve["low"][-1] < 0, "where nothing is called there is nothing to see, not certainty"


def test_clusters_widen_the_net_benefit() -> None:
    table, _, _ = two(90)
    once, again = Finding(table, 1), Finding(two(90)[0], 1)
    again.patients = Patients.of(np.r_[np.arange(45), np.arange(45)])
    alone, together = decision_curve(once, rules()), decision_curve(again, rules())
    assert alone["net_benefit"] == together["net_benefit"]
    assert together["n_patients"] == 45


def several(question: Question, n: int = 60):
    random = np.random.default_rng(3)
    names = [f"c{k}" for k in range(n)]
    if question.exclusive:
        raw = random.dirichlet(np.ones(3), n)
        label = np.eye(3)[[random.choice(3, p=r) for r in raw]]
    else:
        raw = random.random((n, 2))
        label = (random.random((n, 2)) < raw).astype(float)
    truths = [Findings(dict(zip(question.classes, map(float, t), strict=True))) for t in label]
    answers = [Findings(dict(zip(question.classes, map(float, r), strict=True))) for r in raw]
    return answered(question, names, names, truths, answers, Decisions()), label, raw


def test_micro_averages_stand_beside_macro_ones() -> None:
    table, label, raw = several(FINDINGS)
    scores = found(evaluate_classification(FINDINGS, table, rules()))
    assert scores["auc", "micro"].estimate == pytest.approx(sk.roc_auc_score(label, raw, average="micro"))
    expected = sk.average_precision_score(label, raw, average="micro")
    assert scores["average_precision", "micro"].estimate == pytest.approx(expected)
    assert scores["f1", "micro"].estimate == pytest.approx(sk.f1_score(label, raw >= 0.5, average="micro"))
    assert scores["ppv", "micro"].estimate == pytest.approx(sk.precision_score(label, raw >= 0.5, average="micro"))
    assert "effective number" in scores["sensitivity", "micro"].method, "several pairs of one patient"
    assert scores["auc", "micro"].n_cases == 60
    assert scores["auc", "mean"].estimate != scores["auc", "micro"].estimate


def test_grades_have_kappas_with_named_weights() -> None:
    table, label, raw = several(GRADES)
    evaluated = evaluate_classification(GRADES, table, rules())
    scores = found(evaluated)
    expected = sk.cohen_kappa_score(label.argmax(1), raw.argmax(1), weights="quadratic")
    assert scores["kappa_quadratic", "all"].estimate == pytest.approx(expected)
    assert scores["kappa_linear", "all"].low is not None
    assert scores["auc", "micro"].estimate == pytest.approx(sk.roc_auc_score(label, raw, average="micro"))
    assert ("f1", "micro") not in scores
    assert any("equal to the accuracy" in note for note in evaluated.notes)
    assert ("kappa_linear", "all") not in found(evaluate_classification(THREE, table, rules()))
    at = found(evaluate_classification(GRADES, table, rules("enriched", {"a": 0.8, "b": 0.15, "c": 0.05})))
    weight = np.array([0.8, 0.15, 0.05])[label.argmax(1)] / label.mean(0)[label.argmax(1)]
    expected = sk.accuracy_score(label.argmax(1), raw.argmax(1), sample_weight=weight)
    assert at["accuracy_at_prevalence", "all"].estimate == pytest.approx(expected)
    assert at["kappa_quadratic", "all"].estimate is None


@pytest.mark.parametrize(("sampling", "prevalence"), [("unknown", None), ("consecutive", 0.05), ("enriched", 0.05)])
def test_cases_of_one_patient_never_pass_for_independent_ones(sampling, prevalence) -> None:
    table, _, _ = two(90, 3)
    independent = {"DeLong, logit scale", "Wilson", "Clopper-Pearson (exact)", "MOVER-R from Wilson's limits"}
    shown = 0
    for scored in evaluate_classification(TWO, table, rules(sampling, prevalence)).scores:
        interval = scored.interval
        if interval.low is not None and interval.n_cases > interval.n_patients:
            assert interval.method not in independent, scored.metric.key
            assert "patient" in interval.method, scored.metric.key
            shown += 1
    assert shown > 10
