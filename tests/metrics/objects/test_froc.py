"""FROC against a plain loop over thresholds, and under weights against resampled cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objects_at_random import boxes, flat, random_boxes_of_cases
from overread.metrics.objects.froc import RATES, froc_curve, froc_score, sensitivity_at, threshold_at
from overread.metrics.objects.marks import Marks, pool
from overread.metrics.objects.matching import Criterion, match

IOU = Criterion("iou", 0.5)


def matched(truths, answers):
    return [match(t, a, IOU, flat()) for t, a in zip(truths, answers, strict=True)]


def random_marks(seed: int, cases: int = 12) -> Marks:
    return pool(matched(*random_boxes_of_cases(np.random.default_rng(seed), cases)), "nodule")


def slow_point(marks: Marks, threshold: float, weights: np.ndarray) -> tuple[float, float]:
    """False positives per case and sensitivity at one threshold, mark by mark."""
    false = sum(
        weights[c] for c, s, p in zip(marks.answer_case, marks.score, marks.partner, strict=True) if p < 0 and s >= threshold
    )
    found = {p for s, p in zip(marks.score, marks.partner, strict=True) if p >= 0 and s >= threshold}
    truths = sum(weights[c] for c in marks.truth_case)
    return false / weights.sum(), sum(weights[marks.truth_case[p]] for p in found) / truths


def slow_sensitivity(marks: Marks, rate: float, weights: np.ndarray) -> float:
    best = 0.0
    for threshold in set(marks.score.tolist()):
        false, sensitivity = slow_point(marks, threshold, weights)
        if false <= rate + 1e-12:
            best = max(best, sensitivity)
    return best


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_curve_and_sensitivities_as_a_plain_loop(seed) -> None:
    marks = random_marks(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (3, marks.cases)) * [[1], [1], [0.3]]
    for line in weights:
        if not line @ marks.truths:
            assert np.isnan(sensitivity_at(marks, weights=line)).all()
            continue
        curve = froc_curve(marks, line)
        slow = [slow_point(marks, t, line) for t in curve.threshold]
        assert np.allclose(np.reshape(slow, (-1, 2)).T, [curve.fp_per_case, curve.sensitivity])
        assert sensitivity_at(marks, weights=line)[0] == pytest.approx([slow_sensitivity(marks, r, line) for r in RATES])
    every = sensitivity_at(marks, weights=weights)
    for column, rate in enumerate(RATES):  # one low rate alone looks at the highest false positives only
        assert np.allclose(sensitivity_at(marks, (rate,), weights)[:, 0], every[:, column], equal_nan=True)
    uneven = np.ones((2, marks.cases))
    uneven[1, 1:] = 0.001  # and at all of them, where those weigh next to nothing
    assert np.allclose(sensitivity_at(marks, (0.125,), uneven)[:, 0], sensitivity_at(marks, weights=uneven)[:, 0], equal_nan=True)
    assert np.allclose(froc_score(marks, weights), every.mean(1), equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_curve_only_rises_and_stays_in_bounds(seed) -> None:
    marks = random_marks(seed)
    curve = froc_curve(marks)
    assert (np.diff(curve.threshold) < 0).all()
    assert (np.diff(curve.fp_per_case) >= 0).all()
    if marks.truths.sum():
        values = sensitivity_at(marks)[0]
        assert (np.diff(values) >= 0).all()
        assert ((values >= 0) & (values <= 1)).all()


def test_straight_lines_between_the_points_as_luna16_draws_them_are_never_lower() -> None:
    for seed in range(10):
        marks = random_marks(seed)
        if not marks.truths.sum():
            continue
        curve = froc_curve(marks)
        drawn = np.interp(RATES, np.r_[0, curve.fp_per_case], np.r_[0, curve.sensitivity])
        assert (sensitivity_at(marks)[0] <= drawn + 1e-12).all()


def test_weights_are_cases_taken_so_often() -> None:
    rng = np.random.default_rng(6)
    found = matched(*random_boxes_of_cases(rng, 12))
    weights = rng.multinomial(12, np.ones(12) / 12, 20)
    ours = sensitivity_at(pool(found), weights=weights)
    for row, line in enumerate(weights):
        drawn = pool([found[n] for n in np.repeat(np.arange(12), line)])
        assert sensitivity_at(drawn)[0] == pytest.approx(ours[row])


def test_a_rate_that_is_never_reached_carries_the_last_sensitivity_on() -> None:
    truths = [boxes([(0, 0, 5, 5), (20, 20, 25, 25)]), boxes([])]
    answers = [boxes([(0, 0, 5, 5)], scores=[0.9]), boxes([(30, 30, 35, 35)], scores=[0.9])]
    marks = pool(matched(truths, answers))
    assert sensitivity_at(marks, (0.25, 0.5, 8)).tolist() == [[0, 0.5, 0.5]]  # equal scores are called together
    assert sensitivity_at(pool(matched(truths, [boxes([])] * 2))).tolist() == [[0] * 7]


def test_without_a_truth_there_is_no_sensitivity() -> None:
    marks = pool(matched([boxes([])], [boxes([(0, 0, 5, 5)])]))
    assert np.isnan(sensitivity_at(marks)).all()
    assert np.isnan(froc_curve(marks).sensitivity).all()
    assert froc_curve(marks).fp_per_case.tolist() == [1]


def test_the_threshold_for_a_rate() -> None:
    truths = [boxes([(0, 0, 5, 5)]), boxes([])]
    answers = [boxes([(0, 0, 5, 5), (9, 9, 12, 12)], scores=[0.4, 0.8]), boxes([(9, 9, 12, 12)], scores=[0.6])]
    marks = pool(matched(truths, answers))
    assert threshold_at(marks, 1.0) == 0.4
    assert threshold_at(marks, 0.5) == 0.8
    assert threshold_at(marks, 0.25) > 0.8
    assert threshold_at(pool(matched([boxes([])], [boxes([])])), 1.0) is None


def test_classes_are_pooled_apart() -> None:
    truth = boxes([(0, 0, 5, 5), (20, 20, 25, 25)], ["cyst", "nodule"])
    answer = boxes([(20, 20, 25, 25), (0, 0, 5, 5)], ["nodule", "nodule"], [0.9, 0.8])
    found = matched([truth], [answer])
    assert pool(found, "nodule").partner.tolist() == [0, -1]
    assert pool(found, "cyst").found_at.tolist() == [-np.inf]
    assert pool(found).truths.tolist() == [2]
    assert pool(found).worst_false.tolist() == [0.8]
