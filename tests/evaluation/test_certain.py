"""Calibration by line or steps, sets and intervals that hold the truth, and leaving unsure cases out."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from overread.core.kinds import Findings, Measurements
from overread.core.question import ConformalLimit, Decisions, OperatingPoint, Question
from overread.core.score import Score
from overread.evaluation.answered import ScoredCase, answered, join
from overread.evaluation.classification import evaluate_classification
from overread.evaluation.decisions.conformal import COVERAGE, fit_limits
from overread.evaluation.decisions.operating import fit_calibration, fit_decisions
from overread.evaluation.decisions.recalibration import fit_recalibration
from overread.evaluation.regression import evaluate_regression
from overread.evaluation.rules import Rules
from overread.evaluation.segmentation import evaluate_segmentation
from overread.metrics.calibration import bent, calibrated, logit
from overread.metrics.label_maps import StructureScores
from overread.metrics.table import PER_CASE

TWO = Question("classification", ("normal", "disease"), positive="disease")
THREE = Question("classification", ("a", "b", "c"))
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)
AGE = Question("regression", ("age",), units=("years",))
RULES = Rules(resamples=200, sampling="consecutive")


def overconfident(seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    score = random.normal(0, 1.5, n)
    return random.random(n) < 1 / (1 + np.exp(-score)), 1 / (1 + np.exp(-(2 * score + 1)))


def kinds(question: Question, truth: np.ndarray, answer: np.ndarray):
    return tuple(
        [Findings(dict(zip(question.classes, map(float, row), strict=True))) for row in rows] for rows in (truth, answer)
    )


def pair(ill: np.ndarray) -> np.ndarray:
    return np.stack([1 - ill, ill], 1).astype(float)


def test_platt_equals_a_logistic_regression_on_softened_truths() -> None:
    truth, probability = overconfident(1)
    found = fit_recalibration("disease", truth.astype(float), probability, "platt")
    fit = LogisticRegression(C=np.inf, tol=1e-8).fit(logit(probability)[:, None], truth)
    assert (found.method, found.slope) == ("Platt", pytest.approx(fit.coef_[0, 0], rel=0.02))
    assert found.intercept == pytest.approx(fit.intercept_[0], abs=0.02)
    assert (np.diff(bent(found, np.linspace(0, 1, 50))) >= 0).all()


def test_isotonic_equals_scikit_learn_on_softened_truths() -> None:
    truth, probability = overconfident(2, 200)
    probability = np.round(probability, 2)
    found = fit_recalibration("disease", truth.astype(float), probability, "isotonic")
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    expected = IsotonicRegression(out_of_bounds="clip").fit(probability, target)
    places = np.r_[0, np.unique(probability), 1]
    assert bent(found, places) == pytest.approx(expected.predict(places), abs=1e-9)
    assert 0 < bent(found, places).min() < bent(found, places).max() < 1, "few cases never end in certainty"


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_separated_or_one_sided_tuning_cases(method) -> None:
    truth = np.array([0, 0, 1, 1, np.nan])
    found = fit_recalibration("disease", truth, np.array([0.3, 0.4, 0.6, 0.7, 0.1]), method)
    assert bent(found, np.array([0.7]))[0] < 0.95
    assert fit_recalibration("disease", np.ones(4), np.linspace(0, 1, 4), method) is None
    turned = fit_recalibration("disease", truth[[2, 3, 0, 1]], np.array([0.3, 0.4, 0.6, 0.7]), method)
    assert (np.diff(bent(turned, np.linspace(0, 1, 20))) >= -1e-12).all(), "calibration never turns the order"


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic", "none"])
def test_calibration_by_setting_is_frozen_and_applied(method) -> None:
    truth, probability = overconfident(3)
    truths, answers = kinds(TWO, pair(truth), pair(probability))
    decisions = fit_decisions(TWO, truths, answers, calibration=method)
    assert Decisions.from_dict(decisions.as_dict()) == decisions
    assert bool(decisions.recalibration) == (method in ("platt", "isotonic"))
    names = [f"c{k}" for k in range(len(truth))]
    table = answered(TWO, names, names, truths, answers, decisions)
    assert table.answer.sum(1) == pytest.approx(np.ones(len(truth)))
    gap = abs(table.answer[:, 1].mean() - truth.mean())
    assert (gap < 0.01) == (method in ("platt", "isotonic")), "a temperature cannot shift"
    (point,) = decisions.operating_points
    assert (table.called[:, 1] > 0.5)[truth].mean() == pytest.approx(point.sensitivity)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_an_enriched_sample_is_calibrated_for_the_stated_prevalence(method) -> None:
    truth, probability = overconfident(11, 2000)
    share, both = 0.05, kinds(TWO, pair(truth), pair(probability))
    decisions = fit_decisions(TWO, *both, calibration=method, sampling="enriched", prevalence=share)
    assert decisions.recalibration[0].prevalence == share
    assert Decisions.from_dict(decisions.as_dict()) == decisions
    names = [f"c{k}" for k in range(2000)]
    table = answered(TWO, names, names, *both, decisions)
    weight = np.where(truth, share / truth.mean(), (1 - share) / (1 - truth.mean()))
    assert np.average(table.answer[:, 1], weights=weight) == pytest.approx(share, abs=0.003)
    as_sampled = fit_decisions(TWO, *both, calibration=method, sampling="consecutive", prevalence=share)
    assert as_sampled.recalibration[0].prevalence is None


def test_more_classes_are_bent_one_by_one_and_add_up_again() -> None:
    random = np.random.default_rng(4)
    raw = random.dirichlet(np.ones(3), 300)
    label = np.eye(3)[[random.choice(3, p=r**0.5 / (r**0.5).sum()) for r in raw]]
    decisions = fit_calibration(THREE, label, raw, "platt")
    after = calibrated(raw, THREE, decisions)
    assert [r.class_name for r in decisions.recalibration] == ["a", "b", "c"]
    assert after.sum(1) == pytest.approx(np.ones(300))
    assert ((after - label) ** 2).sum() < ((raw - label) ** 2).sum()
    signs = calibrated(np.array([[0.2, np.nan]]), FINDINGS, fit_calibration(FINDINGS, label[:, :2], raw[:, :2], "platt"))
    assert np.isfinite(signs[0, 0])
    assert np.isnan(signs[0, 1])


def test_the_limit_is_the_order_statistic_of_split_conformal_prediction() -> None:
    random = np.random.default_rng(5)
    truth, answer = random.normal(size=(40, 1)), random.normal(size=(40, 1))
    (limit,) = fit_limits(AGE, truth, answer, np.arange(40).astype(str))
    gap = np.sort(np.abs(truth - answer)[:, 0])
    assert limit == ConformalLimit("age", COVERAGE, pytest.approx(gap[int(np.ceil(0.9 * 41)) - 1]), 40)
    (few,) = fit_limits(AGE, truth[:8], answer[:8], np.arange(8).astype(str))
    assert few.limit is None, "eight patients cannot promise nine of ten"
    (repeated,) = fit_limits(AGE, np.tile(truth, (3, 1)), np.tile(answer, (3, 1)), np.tile(np.arange(40), 3).astype(str))
    assert (repeated.limit, repeated.n_patients) == (limit.limit, 40), "a patient counts once, whatever the cases"


def test_patients_with_several_cases_are_held_as_often_as_promised() -> None:
    """Patients with many cases are the hard ones; counting cases would promise too little of a new patient's case."""
    held = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        sizes = np.where(np.arange(41) % 2 == 0, 1, 6)
        spread = np.where(sizes == 1, 3.0, 1.0)  # here the many are easy: pooling by case would hold too few of the rest
        order = random.permutation(41)
        number = np.repeat(np.arange(40), sizes[order[:40]])
        gap = (random.normal(size=len(number)) * spread[order[number]])[:, None]
        (limit,) = fit_limits(AGE, gap, np.zeros_like(gap), number.astype(str))
        pooled = np.quantile(np.abs(gap), 0.9)
        new = abs(random.normal() * spread[order[40]])
        held.append((new <= limit.limit, new <= pooled))
    by_patient, by_case = np.mean(held, axis=0)
    assert 0.86 <= by_patient <= 0.96
    assert by_case < 0.85


def test_sets_of_classes_are_scored_on_other_cases() -> None:
    tuning, probability = overconfident(6)
    decisions = fit_decisions(TWO, *kinds(TWO, pair(tuning), pair(probability)))
    assert [c.name for c in decisions.conformal] == ["normal", "disease"]
    truth, probability = overconfident(7, 500)
    names = [f"c{k}" for k in range(500)]
    table = answered(TWO, names, names, *kinds(TWO, pair(truth), pair(probability)), decisions)
    evaluated = evaluate_classification(TWO, table, RULES)
    scores = {(s.metric.key, s.subject): s for s in evaluated.scores}
    for name, own in (("disease", truth), ("normal", ~truth)):
        interval = scores["conformal_coverage", name].interval
        column = TWO.classes.index(name)
        assert interval.estimate == pytest.approx((table.region[own, column, 1] > 0.5).mean())
        assert 0.85 <= interval.estimate <= 0.95
        assert interval.n_cases == own.sum()
        assert "stated share 90 %" in scores["conformal_coverage", name].metric.name
    sizes = table.region[:, :, 1].sum(1)
    assert scores["conformal_size", "all"].interval.estimate == pytest.approx(sizes.mean())
    assert scores["conformal_single", "all"].interval.estimate == pytest.approx((sizes == 1).mean())
    assert evaluated.cases[0]["set"] == [c for c, v in zip(TWO.classes, table.region[0, :, 1], strict=True) if v]
    area, curve = scores["aurc", "all"].interval, evaluated.curves["risk_coverage"]["all"]
    wrong = (table.called[:, 1] > 0.5) != truth
    sure = np.where(table.called[:, 1] > 0.5, table.answer[:, 1], table.answer[:, 0])
    by_hand = np.mean(np.cumsum(wrong[np.argsort(-sure, kind="stable")]) / np.arange(1, 501))
    assert area.estimate == pytest.approx(by_hand, rel=1e-3)
    assert area.low < area.estimate < area.high
    assert (curve["coverage"][-1], curve["risk"][-1]) == (1, pytest.approx(wrong.mean()))
    assert len(curve["risk"]) <= 200


def test_findings_that_may_occur_together_have_limits_for_both_answers() -> None:
    random = np.random.default_rng(8)
    raw = random.random((200, 2))
    label = (random.random((200, 2)) < raw).astype(float)
    kinds_ = kinds(FINDINGS, label, raw)
    decisions = fit_decisions(FINDINGS, *kinds_)
    assert [(c.name, c.is_present) for c in decisions.conformal] == [
        ("effusion", True), ("effusion", False), ("nodule", True), ("nodule", False)
    ]  # fmt: skip
    names = [f"c{k}" for k in range(200)]
    table = answered(FINDINGS, names, names, *kinds_, decisions)
    evaluated = evaluate_classification(FINDINGS, table, RULES)
    scores = {(s.metric.key, s.subject): s.interval for s in evaluated.scores}
    assert scores["conformal_coverage", "nodule"].estimate >= 0.9
    assert set(evaluated.cases[0]["set"]) == {"effusion", "nodule"}


def test_numbers_come_with_an_interval() -> None:
    random = np.random.default_rng(9)

    def measured(values):
        return [Measurements({"age": float(v)}) for v in values]

    truth = random.normal(60, 10, 100)
    decisions = fit_decisions(AGE, measured(truth), measured(truth + random.normal(0, 4, 100)))
    (limit,) = decisions.conformal
    assert limit.limit == pytest.approx(1.645 * 4, rel=0.2)
    fresh = random.normal(60, 10, 80)
    answer = fresh + random.normal(0, 4, 80)
    names = [f"c{k}" for k in range(80)]
    table = answered(AGE, names, [f"p{k // 2}" for k in range(80)], measured(fresh), measured(answer), decisions)
    evaluated = evaluate_regression(AGE, table, RULES)
    scores = {s.metric.key: s for s in evaluated.scores}
    assert scores["conformal_coverage"].interval.estimate == pytest.approx((np.abs(fresh - answer) <= limit.limit).mean())
    assert scores["conformal_width"].interval.estimate == pytest.approx(2 * limit.limit)
    assert scores["conformal_width"].metric.unit == "years"
    assert evaluated.cases[0]["interval"]["age"] == pytest.approx([answer[0] - limit.limit, answer[0] + limit.limit])
    assert scores["limit_low"].metric.definition == "limit_low/2", "two cases per patient: repeated measures"
    assert scores["limit_low"].interval.estimate == pytest.approx(evaluated.curves["agreement"]["age"]["low"])
    assert scores["icc"].interval.low < scores["icc"].interval.estimate
    few = answered(
        AGE, names, names, measured(fresh), measured(answer), Decisions(conformal=(ConformalLimit("age", 0.9, None, 3),))
    )
    shown = {s.metric.key: s.interval for s in evaluate_regression(AGE, few, RULES).scores}
    assert shown["conformal_width"].estimate is None
    assert "too few tuning patients" in shown["conformal_width"].reason


def test_folds_keep_their_own_regions() -> None:
    truth, probability = overconfident(10, 40)
    both = kinds(TWO, pair(truth), pair(probability))
    decisions = fit_decisions(TWO, *both)
    names = [[f"{f}-{k}" for k in range(40)] for f in range(2)]
    parts = [answered(TWO, names[f], names[f], *both, decisions, fold=f) for f in range(2)]
    whole = join(parts)
    assert whole.region.shape == (80, 2, 2)
    assert whole.select(whole.fold == 1).region == pytest.approx(parts[1].region, nan_ok=True)
    plain = answered(TWO, ["c"], ["p"], *kinds(TWO, pair(truth[:1]), pair(probability[:1])), Decisions())
    assert plain.region is None
    assert join([parts[0], plain]).region is None


def test_perfect_numbers_and_masks_are_never_certain() -> None:
    truth = [Measurements({"age": float(v)}) for v in range(20)]
    names = [f"c{k}" for k in range(20)]
    limits = Decisions(conformal=(ConformalLimit("age", 0.9, 1.0, 30),))
    table = answered(AGE, names, names, truth, truth, limits)
    whole = StructureScores({m.key: Score(1.0) for m in PER_CASE}, 2.0, 2.0, True, True)
    masks = [ScoredCase(name, name, {"liver": whole}) for name in names]
    liver = Question("segmentation", ("liver",), (1,))
    for found in (evaluate_regression(AGE, table, RULES), evaluate_segmentation(liver, masks, RULES)):
        for scored in found.scores:
            assert scored.interval.low is None or scored.interval.high - scored.interval.low > 1e-6, scored.metric.key
            assert scored.interval.low is not None or scored.interval.reason, scored.metric.key


def test_a_perfect_answer_is_never_certain() -> None:
    truth = np.arange(20) % 2 == 0
    probability = np.where(truth, 0.9, 0.1)
    names = [f"c{k}" for k in range(20)]
    decisions = Decisions((OperatingPoint("disease", 0.5, "0.5"),))
    table = answered(TWO, names, names, *kinds(TWO, pair(truth), pair(probability)), decisions)
    for rules in (RULES, Rules(resamples=200, sampling="enriched", prevalence=0.1)):
        for scored in evaluate_classification(TWO, table, rules).scores:
            interval = scored.interval
            assert (interval.low is None) == (interval.high is None), scored.metric.key
            assert interval.low is None or interval.high - interval.low > 1e-6, scored.metric.key
            assert interval.low is not None or interval.reason, scored.metric.key
