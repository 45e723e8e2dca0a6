"""Two ways to train, in pairs: what is better is found, what is alike is not, and few trainings make intervals wide."""

from __future__ import annotations

import numpy as np
import pytest

from overread.core.question import Question
from overread.evaluation.comparing.compared import Lined
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.against import ONE_TRAINING, Against, judge_against
from overread.evaluation.learning.alike import are_alike
from overread.evaluation.learning.curve import ALONE
from overread.evaluation.rules import Rules

ASKED = Question("regression", ("age",), units=("years",))
ENDPOINT = Endpoint.of(ASKED, "mae")
PATIENTS = np.array([10.0, 40.0])


def row(person: str, error: float) -> dict:
    return {"case_id": person, "patient_id": person, "truth": {"age": 0.0}, "answer": {"age": float(error)}}


def lined(errors: np.ndarray) -> Lined:
    """errors (S, R, N): of a training at each share, in each repeat, for each case."""
    people = tuple(f"P{k}" for k in range(errors.shape[2]))
    rows = tuple(tuple(tuple(row(p, e) for p, e in zip(people, run, strict=True)) for run in share) for share in errors)
    return Lined(ASKED, ("a", "b"), rows, people, np.full(len(people), -1))


def errors(mean: float, *, repeats: int = 3, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Trainings whose error is `mean`, apart by `noise`, on 40 cases that vary by themselves."""
    random = np.random.default_rng(seed)
    cases = np.random.default_rng(99).uniform(1, 3, 40)
    return cases + mean + noise * random.standard_normal((2, repeats, 1)) + 0 * cases


def against(gain: float, *, repeats: int = 3, noise: float = 0.0) -> Against:
    first, second = errors(2.0, repeats=repeats, noise=noise), errors(2.0 - gain, repeats=repeats, noise=noise, seed=1)
    second = second + 0.05 * np.random.default_rng(5).standard_normal(second.shape)
    return Against(ENDPOINT, PATIENTS, lined(first), lined(second), Rules(resamples=200))


def test_a_lower_error_is_better_and_is_found() -> None:
    found = judge_against(against(0.5), "weights = run:pretrained")
    assert found.code == "helps"
    assert found.words.startswith("weights = run:pretrained is better at all shares: with 10 (")
    for gain in found.gains:
        assert gain.low is not None
        assert gain.estimate == pytest.approx(0.5, abs=0.05)
        assert gain.low > 0.3
    assert judge_against(against(-0.5), "x").code == "harms"


def test_what_is_alike_is_not_called_better_and_what_is_not_ruled_out_is_said() -> None:
    found = judge_against(against(0.0, noise=0.3), "x")
    assert found.code == "open"
    assert "x neither helps nor harms beyond chance at any share" in found.words
    assert "are not ruled out" in found.words


def test_trainings_that_lie_apart_make_the_interval_wide() -> None:
    still, apart = against(0.5).gain(1), against(0.5, noise=0.4).gain(1)
    assert still.high is not None
    assert still.low is not None
    assert apart.high is not None
    assert apart.low is not None
    assert apart.high - apart.low > 3 * (still.high - still.low)
    assert "pairs of trainings" in apart.method


def test_one_pair_says_nothing_of_other_trainings() -> None:
    single = against(0.5, repeats=1)
    assert single.spread is None
    assert single.gain(0).reason == ALONE
    assert "Each share was trained once each way" in judge_against(single, "x").words


def with_one_training(gain: float, last_digits: float = 0.0, *, repeats: int = 3) -> Against:
    """As `against`, but at the full share both ways are one training, done twice on a machine that rounds otherwise."""
    first, second = errors(2.0, repeats=repeats, noise=0.05), errors(2.0 - gain, repeats=repeats, noise=0.05, seed=1)
    second = second + 0.05 * np.random.default_rng(5).standard_normal(second.shape)
    second[1] = first[1] + last_digits * np.random.default_rng(7).standard_normal(first[1].shape)
    return Against(ENDPOINT, PATIENTS, lined(first), lined(second), Rules(resamples=200))


@pytest.mark.parametrize("last_digits", [0.0, 1e-4])
def test_a_training_that_is_done_twice_tells_nothing_of_how_trainings_turn_out(last_digits: float) -> None:
    found = with_one_training(1.0, last_digits)
    assert found.asked == (0,)
    assert found.freedom == 2
    alone = found.pairs[0] - found.pairs[0].mean()
    assert found.spread == pytest.approx(np.sqrt((alone**2).sum() / 2 * PATIENTS[0] / PATIENTS[1]))
    judged = judge_against(found, "unlabelled = rest")
    assert (judged.gains[1].low, judged.gains[1].reason) == (None, ONE_TRAINING)
    assert judged.gains[1].estimate == pytest.approx(0, abs=1e-3)
    assert judged.words.startswith("unlabelled = rest is better at all other shares: with 10 (")
    assert "With 40 training patients both ways are one and the same training" in judged.words
    strict = found.gain(0)
    assert (judged.gains[0].low, judged.gains[0].high) == (strict.low, strict.high), "one share is judged: no allowance"


def test_where_every_share_is_one_training_nothing_is_judged() -> None:
    made = with_one_training(1.0)
    judged = judge_against(Against(ENDPOINT, PATIENTS, made.first, made.first, made.rules), "x")
    assert judged.code == "open"
    assert judged.words.startswith("Whether x helps cannot be told. With 10, 40 training patients both ways are one")
    assert "once each way" not in judged.words


def test_evaluations_are_alike_where_all_they_say_is() -> None:
    rows = [{**row(f"P{k}", k), "called": ["a"], "scores": {"x": None}} for k in range(5)]
    assert are_alike(rows, [dict(r) for r in rows])
    assert are_alike(rows, [{**r, "answer": {"age": r["answer"]["age"] + 0.03}} for r in rows])
    for other in ({"answer": {"age": 0.1}}, {"called": []}, {"called": ["b"]}, {"scores": {"x": 0.0}}, {"scores": {}}):
        assert not are_alike(rows, [{**rows[0], **other}, *rows[1:]])
