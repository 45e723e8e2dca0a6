"""Thresholds, temperature and units of analysis: fitted on tuning cases, by a stated rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.kinds import Findings, Measurements
from overread.core.question import Decisions, Question
from overread.evaluation.answered import answered
from overread.evaluation.operating import fit_decisions, operating_point, parse_rule
from overread.evaluation.temperature import fit_temperature
from overread.evaluation.units import combine, units_of
from overread.metrics.calibration import tempered

TWO = Question("classification", ("normal", "disease"), positive="disease")
THREE = Question("classification", ("a", "b", "c"))
FINDINGS = Question("classification", ("effusion", "nodule"), exclusive=False)


def binary(seed: int, n: int = 300, heat: float = 1.0):
    """Truths, and probabilities whose logits are `heat` times too large."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, 1.5, n)
    truth = random.random(n) < 1 / (1 + np.exp(-logit))
    return truth, 1 / (1 + np.exp(-heat * logit))


def kinds(truth, probability):
    return (
        [Findings({"normal": 1.0 - t, "disease": float(t)}) for t in truth],
        [Findings({"normal": 1 - p, "disease": float(p)}) for p in probability],
    )


def test_rules_are_read_and_wrong_ones_named() -> None:
    assert parse_rule("Youden").kind == "youden"
    assert (parse_rule("sensitivity>=0.95").value, parse_rule("0.5").kind) == (0.95, "fixed")
    assert parse_rule("specificity >= .9").text == "specificity >= .9"
    for wrong in ("best f1", "sensitivity > 0.9", "2", "sensitivity >= 95"):
        with pytest.raises(OverreadError, match="threshold rule"):
            parse_rule(wrong)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["sensitivity", "specificity"]), st.floats(0.05, 1.0))
def test_the_aim_is_reached_and_no_threshold_gives_more_of_the_other(seed, kind, aim) -> None:
    random = np.random.default_rng(seed)
    truth = np.r_[True, False, random.random(28) < 0.4]
    score = np.round(random.random(30) * 0.6 + 0.3 * truth, 1)
    point = operating_point("disease", truth, score, parse_rule(f"{kind} >= {aim:.2f}"))
    called = score >= point.threshold
    assert (point.sensitivity, point.specificity) == (called[truth].mean(), (~called)[~truth].mean())
    aim = float(f"{aim:.2f}")
    assert getattr(point, kind) >= aim - 1e-9
    other = {"sensitivity": "specificity", "specificity": "sensitivity"}[kind]
    for cut in np.r_[0, np.unique(score), 1.1]:
        reached = {"sensitivity": (score >= cut)[truth].mean(), "specificity": (score < cut)[~truth].mean()}
        assert reached[kind] < aim - 1e-9 or reached[other] <= getattr(point, other) + 1e-9


def test_youden_is_the_largest_sum() -> None:
    truth, score = binary(1)
    point = operating_point("disease", truth, score, parse_rule("youden"))
    best = max((score >= c)[truth].mean() + (score < c)[~truth].mean() for c in score)
    assert point.sensitivity + point.specificity == pytest.approx(best)
    assert point.threshold not in score, "the threshold lies between two cases"


def test_a_rule_that_cannot_be_fitted_says_so() -> None:
    point = operating_point("nodule", np.zeros(5, bool), np.linspace(0, 1, 5), parse_rule("youden"))
    assert point.threshold == 0.5
    assert point.rule == "0.5 (no positive tuning case, so 'youden' cannot be fitted)"
    assert point.sensitivity is None


def test_temperature_undoes_overconfidence() -> None:
    truth, probability = binary(2, 4000, heat=2.5)
    pair = np.stack([1 - probability, probability], 1)
    onehot = np.stack([~truth, truth], 1).astype(float)
    found = fit_temperature(onehot, pair, exclusive=True)
    assert found == pytest.approx(2.5, rel=0.08)
    assert fit_temperature(truth[:, None].astype(float), probability[:, None], exclusive=False) == pytest.approx(found, rel=0.01)
    after = tempered(pair, found, exclusive=True)
    assert after.sum(1) == pytest.approx(np.ones(4000))
    assert after[:, 1] == pytest.approx(tempered(probability[:, None], found, exclusive=False)[:, 0], abs=1e-5)


def test_temperature_of_a_perfect_separation_stays_modest_and_of_nothing_is_one() -> None:
    truth = np.array([0, 0, 1, 1.0])[:, None]
    probability = np.array([0.3, 0.4, 0.6, 0.7])[:, None]
    assert tempered(probability, fit_temperature(truth, probability, exclusive=False), exclusive=False).max() < 0.95
    assert fit_temperature(np.ones((3, 1)), np.full((3, 1), 0.7), exclusive=False) == 1.0
    assert fit_temperature(np.full((3, 1), np.nan), np.full((3, 1), 0.7), exclusive=False) == 1.0


def test_decisions_are_fitted_after_the_temperature_and_applied_before_the_threshold() -> None:
    truth, probability = binary(3, 500, heat=2.0)
    truths, answers = kinds(truth, probability)
    decisions = fit_decisions(TWO, truths, answers, "sensitivity >= 0.9")
    (point,) = decisions.operating_points
    assert (point.class_name, point.rule, point.fitted_on) == ("disease", "sensitivity >= 0.9", "tuning")
    names = [f"c{k}" for k in range(500)]
    table = answered(TWO, names, names, truths, answers, decisions)
    called = table.called[:, 1] > 0.5
    assert called[truth].mean() == pytest.approx(point.sensitivity)
    assert point.sensitivity >= 0.9
    assert (table.called.sum(1) == 1).all()
    assert Decisions.from_dict(decisions.as_dict()) == decisions


def test_more_exclusive_classes_are_decided_by_the_highest() -> None:
    random = np.random.default_rng(4)
    raw = random.dirichlet(np.ones(3), 50)
    truth = np.array([random.multinomial(1, p) for p in raw])
    truths = [Findings(dict(zip("abc", map(float, t), strict=True))) for t in truth]
    answers = [Findings(dict(zip("abc", map(float, p), strict=True))) for p in raw]
    decisions = fit_decisions(THREE, truths, answers)
    assert decisions.operating_points == ()
    names = [str(k) for k in range(50)]
    assert (answered(THREE, names, names, truths, answers, decisions).called.argmax(1) == raw.argmax(1)).all()


def test_findings_with_unknown_truths_and_numbers_without_thresholds() -> None:
    truths = [Findings({"effusion": float(k % 2), "nodule": None}) for k in range(8)]
    answers = [Findings({"effusion": 0.2 + 0.6 * (k % 2), "nodule": 0.5}) for k in range(8)]
    points = fit_decisions(FINDINGS, truths, answers, calibrate=False).operating_points
    assert 0.2 < points[0].threshold < 0.8
    assert "no positive tuning case" in points[1].rule
    age = Question("regression", ("age",))
    assert fit_decisions(age, [Measurements({"age": 3.0})], [Measurements({"age": 4.0})]) == Decisions()


def test_cases_become_patients() -> None:
    truth = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    answer = np.array([[0.7, 0.3], [0.1, 0.9], [0.6, 0.4]])
    joined, replies, first = combine(TWO, truth, answer, ["q", "q", "p"], "any")
    assert joined.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert replies == pytest.approx(np.array([[0.1, 0.9], [0.6, 0.4]]))
    assert first.tolist() == [0, 2]
    with pytest.raises(OverreadError, match="have different truths"):
        combine(TWO, truth, answer, ["q", "q", "p"], "mean")
    with pytest.raises(OverreadError, match="no meaning for 3 exclusive classes"):
        combine(THREE, np.eye(3), np.eye(3), ["q", "q", "p"], "max")
    _, mean, _ = combine(FINDINGS, np.array([[1, np.nan], [1, np.nan]]), np.array([[0.2, 0.4], [0.4, 0.8]]), ["p", "p"], "mean")
    assert mean == pytest.approx(np.array([[0.3, 0.6]]))


def test_answers_that_are_no_probabilities_are_named() -> None:
    truths = [Findings({"normal": 1.0, "disease": 0.0})]
    for answer, message in (
        ({"normal": 90.0, "disease": 10.0}, "between 0 and 1"),
        ({"normal": 0.9, "disease": 0.9}, "add up to 1"),
    ):
        with pytest.raises(OverreadError, match=message):
            answered(TWO, ["c1"], ["p1"], truths, [Findings(answer)], Decisions())
    both = [Findings({"normal": 1.0, "disease": 1.0})]
    with pytest.raises(OverreadError, match="exactly one class"):
        answered(TWO, ["c1"], ["p1"], both, [Findings({"normal": 0.5, "disease": 0.5})], Decisions())


def test_the_unit_of_a_case_follows_the_question() -> None:
    cases = [Case("c1", "p", "e1", ()), Case("c2", "p", "e1", ()), Case("c3", "p", "e2", ())]
    wanted = {"patient": ["p", "p", "p"], "exam": ["e1", "e1", "e2"], "side": ["c1", "c2", "c3"], "lesion": ["c1", "c2", "c3"]}
    for unit, names in wanted.items():
        assert units_of(Question("classification", ("a", "b"), positive="b", unit=unit), cases) == names
