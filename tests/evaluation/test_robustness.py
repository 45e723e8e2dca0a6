"""Holds, drops, too few to say: from rows whose drop is known."""

from __future__ import annotations

import numpy as np
import pytest

from overread.core.question import Question
from overread.evaluation.comparing.compared import Contender, Lined, line_up
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.robustness.verdicts import drops, rule_words, tolerance_of

OUTLINES = Question("segmentation", ("liver",), (1,))
AGE = Question("regression", ("age",), units=("years",))


def lined(question: Question, *readings: list[float], cases_each: int = 1) -> Lined:
    """One contender per list of scores (Dice), or of answers to a true age of 50."""
    contenders = []
    for k, values in enumerate(readings):
        rows = []
        for i, value in enumerate(values):
            row = {"case_id": f"c{i}", "patient_id": f"p{i // cases_each}"}
            own = (
                {"truth": {"liver": 1.0}, "scores": {"dice/liver": value}}
                if question is OUTLINES
                else {"truth": {"age": 50.0}, "answer": {"age": value}}
            )
            rows.append({**row, **own})
        contenders.append(Contender(f"r{k}", ({"question": question.as_dict(), "cases": rows},)))
    return line_up(contenders)


def dice(count: int, *falls: float, seed: int = 0, scatter: float = 0.02) -> list[list[float]]:
    random = np.random.default_rng(seed)
    clean = random.uniform(0.8, 0.95, count)
    return [clean.tolist(), *((clean - fall + random.normal(0, scatter, count)).tolist() for fall in falls)]


def test_the_three_verdicts() -> None:
    endpoint = Endpoint.of(OUTLINES, "dice")
    tolerance, found = drops(lined(OUTLINES, *dice(70, 0.0, 0.15, 0.05)), endpoint)
    assert tolerance == 0.05
    assert [f.verdict for f in found][:2] == ["holds", "drops"]
    for drop, fall in zip(found, (0.0, 0.15, 0.05), strict=True):
        assert drop.drop.estimate == pytest.approx(drop.clean - drop.degraded)
        assert drop.drop.low < fall + 0.01
        assert drop.drop.high > fall - 0.01
        assert drop.p_holm >= drop.p
        assert (drop.drop.n_cases, drop.drop.n_patients) == (70, 70)
    assert found[2].verdict == "drops"  # shown, and 0.05 is not ruled out


def test_a_shown_drop_that_is_too_small_to_matter_holds() -> None:
    _, (small,) = drops(lined(OUTLINES, *dice(60, 0.02, scatter=0.01)), Endpoint.of(OUTLINES, "dice"))
    assert small.drop.low > 0
    assert small.verdict == "holds"
    _, (fewer,) = drops(lined(OUTLINES, *dice(59, 0.02, scatter=0.01)), Endpoint.of(OUTLINES, "dice"))
    assert fewer.verdict == "too few to say"  # a failure in 1 of 20 patients may have been missed


def test_few_patients_or_wide_scatter_say_nothing() -> None:
    endpoint = Endpoint.of(OUTLINES, "dice")
    _, (few,) = drops(lined(OUTLINES, *dice(9, 0.3, scatter=0.01)), endpoint)
    assert few.verdict == "too few to say"
    _, (clustered,) = drops(lined(OUTLINES, *dice(27, 0.3, scatter=0.01), cases_each=3), endpoint)
    assert clustered.drop.n_patients == 9
    assert clustered.verdict == "too few to say"
    _, (wide,) = drops(lined(OUTLINES, *dice(15, 0.04, scatter=0.15)), endpoint)
    assert wide.verdict == "too few to say"
    clean = dice(20)[0]
    _, (same,) = drops(lined(OUTLINES, clean, clean), endpoint)
    assert same.verdict == "too few to say"
    assert same.drop.low is None
    assert "every patient scores the same" in same.drop.reason
    _, (two,) = drops(lined(OUTLINES, *dice(3, 0.1)), endpoint)
    assert two.drop.low is None  # an open end is no number
    assert "too few" in two.drop.reason


def test_errors_drop_upwards_and_are_measured_against_their_own_size() -> None:
    random = np.random.default_rng(1)
    off = random.normal(0, 4, 70)
    endpoint = Endpoint.of(AGE, "mae")
    tolerance, (worse, better) = drops(
        lined(AGE, (50 + off).tolist(), (50 + 2 * off).tolist(), (50 + off / 2).tolist()), endpoint
    )
    assert tolerance == pytest.approx(0.1 * np.abs(off).mean())
    assert worse.drop.estimate == pytest.approx(np.abs(off).mean())
    assert worse.drop.low > 0
    assert worse.verdict == "drops"
    assert better.drop.high < 0
    assert better.verdict == "holds"
    assert "years" in rule_words(endpoint, tolerance)
    assert "10% of the value" in rule_words(endpoint, tolerance)
    assert tolerance_of(Endpoint.of(OUTLINES, "hd95"), 8.0) == pytest.approx(0.8)


def test_more_conditions_need_more_proof() -> None:
    """A drop that alone is shown is not, among forty readings in which nothing else happens."""
    endpoint = Endpoint.of(OUTLINES, "dice")
    clean, fallen = dice(12, 0.06, seed=3, scatter=0.07)
    _, (alone,) = drops(lined(OUTLINES, clean, fallen), endpoint)
    assert alone.p < 0.05
    assert alone.verdict == "drops"
    random = np.random.default_rng(9)
    others = [(np.array(clean) + random.normal(0, 0.1, 12)).tolist() for _ in range(40)]
    _, among = drops(lined(OUTLINES, clean, fallen, *others), endpoint)
    assert among[0].p == pytest.approx(alone.p)
    assert among[0].p_holm > 0.05
    assert among[0].verdict == "too few to say"
