"""The spread of trainings in an interval and its p value: both say the same, and more spread is never more sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from overread.core.question import Question
from overread.evaluation.comparing.compared import Contender
from overread.evaluation.comparing.difference import NoTest, StudentTest
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.comparing.flips import FlipTest
from overread.evaluation.learning.ablation import ALONE, HARMS, HELPS, UNSHOWN, gains
from overread.evaluation.learning.trainings import OverTrainings, by_squares, reach

AGE = Question("regression", ("age",), units=("years",))
MAE = Endpoint.of(AGE, "mae")
CASES = np.random.default_rng(3).uniform(1, 3, 60)  # errors of the base, in years


def contender(name: str, errors: list[np.ndarray]) -> Contender:
    """errors  for each training, of each case; a case is a patient"""
    people = [f"P{k}" for k in range(len(errors[0]))]
    rows = [
        [
            {"case_id": p, "patient_id": p, "truth": {"age": 50.0}, "answer": {"age": 50.0 + e}}
            for p, e in zip(people, own, strict=True)
        ]
        for own in errors
    ]
    return Contender(name, tuple({"question": AGE.as_dict(), "cases": cases} for cases in rows))


def without(*more: float) -> Contender:
    """A variant whose error is larger by so much, in each of its trainings; patients vary a little."""
    noise = 0.02 * np.random.default_rng(4).standard_normal(60)
    return contender("without", [CASES + value + noise for value in more])


def base(trainings: int) -> Contender:
    return contender("base", [CASES] * trainings)


def test_two_normal_sources_join_as_their_variances_do() -> None:
    test = OverTrainings(StudentTest(1.0, 0.3, "by patient"), 0.4, 10**6)
    assert test.interval(0.95) == pytest.approx((1 - 1.96 * 0.5, 1 + 1.96 * 0.5), abs=1e-3)
    assert test.p() == pytest.approx(2 * stats.norm.sf(2.0), rel=1e-3)
    assert test.p_above(0.0) == pytest.approx(stats.norm.sf(2.0), rel=1e-3)
    assert test.p_below(0.0) == pytest.approx(1 - stats.norm.sf(2.0), rel=1e-3)
    assert by_squares(1.0, (0.7, 1.3), 0.4) == pytest.approx((0.5, 1.5))
    assert reach(0.4, 2, 0.95) == pytest.approx(4.303 * 0.4, rel=1e-3)


@pytest.mark.parametrize("shift", [0.02, 0.1, 0.3])
def test_p_is_below_where_and_only_where_the_interval_leaves_0_out(shift: float) -> None:
    random = np.random.default_rng(0)
    sums = (shift + random.normal(0, 0.2, 40)) / 40
    test = OverTrainings.of(FlipTest(sums, np.full(40, 1 / 40)), [shift - 0.05, shift, shift + 0.04])
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        low, high = test.interval(level)
        assert (test.p() < 1 - level) == (not low <= 0 <= high)
    assert test.p() >= test.test.p() - 1e-3, "what seeds add never makes more sure"


def test_no_test_by_patient_stays_none() -> None:
    assert OverTrainings.of(NoTest(0.1, "none", "too few"), [0.1, 0.1]).reason == "too few"


def test_what_all_trainings_show_is_shown() -> None:
    (found,) = gains(base(3), [without(0.50, 0.52, 0.48)], MAE)
    assert found.verdict == HELPS
    assert found.gain.low is not None
    assert 0 < found.gain.low < 0.5
    assert "the spread of 3 pairs of trainings" in found.gain.method
    (found,) = gains(base(3), [without(-0.50, -0.52, -0.48)], MAE)
    assert found.verdict == HARMS


def test_where_seeds_disagree_nothing_is_shown_however_sure_each_is_of_its_patients() -> None:
    (of_these,) = gains(base(3), [without(0.5, 0.4, -0.2)], MAE, one_model=True)
    assert of_these.verdict == HELPS, "patients alone would say so"
    (found,) = gains(base(3), [without(0.5, 0.4, -0.2)], MAE)
    assert found.verdict == UNSHOWN
    assert found.p is not None
    assert found.p > 0.05
    assert found.gain.low is not None
    assert found.gain.high is not None
    assert found.gain.low < 0 < found.gain.high


def test_one_seed_shows_nothing_and_one_model_needs_none() -> None:
    (found,) = gains(base(1), [without(0.5)], MAE)
    assert (found.verdict, found.p, found.p_holm, found.spread) == (UNSHOWN, None, None, None)
    assert found.gain.reason == ALONE
    assert found.gain.low is not None, "the interval stands, for these trainings"
    (read,) = gains(base(1), [without(0.5)], MAE, one_model=True)
    assert read.verdict == HELPS
