"""Two ways to train, in pairs: what is better is found, what is alike is not, and few trainings make intervals wide."""

from __future__ import annotations

import numpy as np
import pytest

from overread.core.question import Question
from overread.evaluation.comparing.compared import Lined
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.against import Against, judge_against
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
