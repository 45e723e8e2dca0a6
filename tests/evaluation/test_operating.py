"""Thresholds, temperature and units of analysis: fitted on tuning cases, by a stated rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.case import Case
from overread.core.errors import OverreadError
from overread.core.kinds import Findings, Measurements
from overread.core.question import ConformalLimit, Decisions, OperatingPoint, Question
from overread.evaluation.answered import answered
from overread.evaluation.decisions.operating import fit_decisions
from overread.evaluation.decisions.temperature import fit_temperature
from overread.evaluation.decisions.threshold import Population, operating_point
from overread.evaluation.decisions.threshold_rules import parse_rule
from overread.evaluation.intervals.patients import Patients
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


@pytest.mark.parametrize(
    ("sentence", "kind", "value", "text"),
    [
        ("Miss at most 2 of 100", "sensitivity", 0.98, "miss at most 2 of 100 (sensitivity >= 0.98)"),
        ("miss no more than 1 in 20", "sensitivity", 0.95, "miss at most 1 of 20 (sensitivity >= 0.95)"),
        ("at most 10 false alarms of 100", "specificity", 0.9, "at most 10 false alarms of 100 (specificity >= 0.9)"),
        ("a miss costs 10 false alarms", "cost", 10.0, "a miss costs 10 false alarms"),
    ],
)
def test_rules_are_said_in_the_words_of_the_clinic(sentence, kind, value, text) -> None:
    rule = parse_rule(sentence)
    assert (rule.kind, rule.value, rule.text) == (kind, value, text)
    assert parse_rule(rule.text) == rule, "what a model file says can be declared"


@pytest.mark.parametrize("wrong", ["miss at most 100 of 100", "miss at most 2 of 0", "a miss costs 0 false alarms"])
def test_sentences_that_mean_nothing_are_refused(wrong) -> None:
    with pytest.raises(OverreadError, match="threshold rule"):
        parse_rule(wrong)


@pytest.mark.parametrize(("aim", "needed"), [(0.98, 149), (0.95, 59), (0.9, 29)])
def test_an_aim_needs_as_many_positives_as_its_bound(aim, needed) -> None:
    assert parse_rule(f"sensitivity >= {aim}").cases_needed == needed
    assert 0.05 ** (1 / needed) >= aim > 0.05 ** (1 / (needed - 1))
    assert parse_rule("sensitivity >= 1").cases_needed is None


def test_two_of_a_hundred_are_not_shown_by_forty_positives() -> None:
    random = np.random.default_rng(7)
    truth = np.r_[np.ones(40, bool), np.zeros(160, bool)]
    score = np.clip(random.normal(0.4 + 0.3 * truth, 0.15), 0.01, 0.99)
    point = operating_point("disease", truth, score, parse_rule("miss at most 2 of 100"))
    assert point.rule == (
        "every positive tuning case called ('miss at most 2 of 100 (sensitivity >= 0.98)' is not supported by 40 positives; "
        "149 are needed)"
    )
    assert (point.is_supported, point.needed, point.sensitivity) == (False, 149, 1.0)
    assert point.lower_bound == pytest.approx(0.05 ** (1 / 40))
    assert (score >= point.threshold)[truth].all()
    whole = operating_point("disease", np.tile(truth, 4), np.tile(score, 4), parse_rule("miss at most 2 of 100"))
    assert whole.is_supported
    assert whole.sensitivity >= 0.98
    same = Patients.of(np.tile(np.arange(200), 4))
    again = operating_point("disease", np.tile(truth, 4), np.tile(score, 4), parse_rule("miss at most 2 of 100"), "tuning", same)
    assert not again.is_supported, "four images of one patient are not four patients"
    assert "160 positives of 40 patients" in again.rule


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 50), st.floats(0.01, 0.99))
def test_the_cost_ratio_gives_the_cheapest_threshold(seed, cost, share) -> None:
    random = np.random.default_rng(seed)
    truth = np.r_[True, False, random.random(28) < 0.4]
    score = np.round(random.random(30) * 0.6 + 0.3 * truth, 1)
    rule = parse_rule(f"a miss costs {cost:.2f} false alarms")
    population = Population(True, {"disease": share})
    point = operating_point("disease", truth, score, rule, population=population)

    def price(cut: float) -> float:
        return rule.value * (score < cut)[truth].mean() * share + (score >= cut)[~truth].mean() * (1 - share)

    assert price(point.threshold) == pytest.approx(min(price(cut) for cut in np.r_[0, np.unique(score), 1.1]), abs=1e-9)


def test_a_cost_ratio_needs_the_prevalence_of_an_enriched_sample() -> None:
    truth, score = binary(1)
    point = operating_point("disease", truth, score, parse_rule("a miss costs 10 false alarms"), population=Population(True))
    assert not point.is_supported
    assert point.rule.startswith("youden ('a miss costs 10 false alarms' needs the prevalence")


def test_a_model_file_of_the_earlier_form_still_loads() -> None:
    point = {
        "class_name": "disease", "threshold": 0.4, "rule": "youden", "fitted_on": "tuning", "sensitivity": 0.9, "specificity": 0.8
    }  # fmt: skip
    old = {"operating_points": [point], "temperature": 1.3, "keep_largest": [], "minimum_ml": {}}
    decisions = Decisions.from_dict(old)
    assert decisions == Decisions((OperatingPoint(**point),), 1.3)
    assert set(decisions.as_dict()) == set(old), "what is not there is not written"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["sensitivity", "specificity"]), st.floats(0.05, 0.9))
def test_the_aim_is_reached_and_no_threshold_gives_more_of_the_other(seed, kind, aim) -> None:
    random = np.random.default_rng(seed)
    truth = np.r_[True, False, random.random(58) < 0.4]
    score = np.round(random.random(60) * 0.6 + 0.3 * truth, 1)
    point = operating_point("disease", truth, score, parse_rule(f"{kind} >= {aim:.2f}"))
    called = score >= point.threshold
    assert (point.sensitivity, point.specificity) == (called[truth].mean(), (~called)[~truth].mean())
    aim = float(f"{aim:.2f}")
    if not point.is_supported:
        assert getattr(point, kind) == 1.0, "the strictest point takes the place of an aim that cannot be shown"
        assert "is not supported by" in point.rule
        return
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
    points = fit_decisions(FINDINGS, truths, answers, calibration="none").operating_points
    assert 0.2 < points[0].threshold < 0.8
    assert "no positive tuning case" in points[1].rule
    age = Question("regression", ("age",))
    single = fit_decisions(age, [Measurements({"age": 3.0})], [Measurements({"age": 4.0})])
    assert single == Decisions(conformal=(ConformalLimit("age", 0.9, None, 1),)), "one patient gives no interval"


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
