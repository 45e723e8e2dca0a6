"""Survival: a published example, statsmodels, every pair counted out, and several rows of one patient."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from overread.core.errors import OverreadError
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.survival import concordance, concordance_interval, kaplan_meier, log_rank, risk_groups

# Remission of leukaemia, weeks, 6-mercaptopurine: Freireich et al., Blood 1963;21:699; a plus is a censored time.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
RULES = Rules(resamples=400)


def one_each(n: int) -> Patients:
    return Patients.of(np.arange(n))


def drawn(seed: int, n: int, digits: int = 0):
    random = np.random.default_rng(seed)
    risk = random.normal(size=n)
    time = np.round(random.exponential(10 * np.exp(-risk)), digits)
    event = random.random(n) < 0.7
    return np.round(risk, 1), time, event


def counted_out(risk, time, event) -> float:
    won = known = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                known += 1
                won += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    return won / known


def test_the_published_remission_times() -> None:
    curve = kaplan_meier(np.array(WEEKS), np.array(RELAPSED), one_each(21))
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.survival.round(3).tolist() == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.events.tolist() == [3, 1, 1, 1, 1, 1, 1]
    assert curve.number_at_risk([0, 10, 20, 30, 40]) == [21, 15, 8, 4, 0]
    assert curve.median[:2] == (23, 13)
    assert curve.median[2] is None  # the upper limit never falls to a half
    assert curve.at(5) == (1.0, None, None)
    share, low, high = curve.at(12)
    assert (round(share, 3), round(low, 3), round(high, 3)) == (0.753, 0.503, 0.889)


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_that_of_statsmodels(seed) -> None:
    _, time, event = drawn(seed, 60)
    curve = kaplan_meier(time, event, one_each(60))
    other = SurvfuncRight(time, event)
    kept = other.n_events > 0
    assert curve.survival == pytest.approx(other.surv_prob[kept])
    assert curve.at_risk.tolist() == other.n_risk[kept].tolist()
    error = other.surv_prob_se[kept]
    inside = (curve.survival > 0) & (curve.survival < 1)
    half = 1.959963984540054 * error[inside] / (curve.survival[inside] * np.abs(np.log(curve.survival[inside])))
    assert curve.low[inside] == pytest.approx(curve.survival[inside] ** np.exp(half))
    assert curve.high[inside] == pytest.approx(curve.survival[inside] ** np.exp(-half))
    assert curve.median[0] == pytest.approx(other.quantile(0.5))
    low, high = other.quantile_ci(0.5, alpha=0.05, method="cloglog")
    assert curve.median[1] == pytest.approx(low)
    assert curve.median[2] == (None if not np.isfinite(high) else pytest.approx(high))


def test_the_curve_that_ends_with_an_event_has_no_interval_there() -> None:
    curve = kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, True, True]), one_each(3))
    assert curve.at(3) == (0.0, None, None)
    assert curve.at(2.5)[1] is not None


def test_groups_are_told_apart_as_by_statsmodels() -> None:
    time, event = np.array(WEEKS + PLACEBO), np.array(RELAPSED + [1] * 21)
    group = np.repeat(["drug", "placebo"], 21)
    p = log_rank(time, event, group, one_each(42))
    assert p == pytest.approx(survdiff(time, event, group)[1])
    assert p == pytest.approx(4.17e-5, rel=0.01)  # Cox and Oakes 1984: chi squared 16.79
    risk, time, event = drawn(1, 90)
    thirds = risk_groups(risk, np.quantile(risk, [1 / 3, 2 / 3]))
    assert set(thirds) == {0, 1, 2}
    assert log_rank(time, event, thirds, one_each(90)) == pytest.approx(survdiff(time, event, thirds)[1])
    assert log_rank(time, event, np.zeros(90), one_each(90)) is None
    assert log_rank(time, np.zeros(90, bool), thirds, one_each(90)) is None


@given(st.integers(0, 10_000))
def test_concordance_is_the_count_over_all_pairs(seed) -> None:
    risk, time, event = drawn(seed, 25)
    assert concordance(risk, time, event) == pytest.approx(counted_out(risk, time, event))


def test_without_censoring_concordance_of_two_times_is_the_area_under_the_curve() -> None:
    risk, _, _ = drawn(3, 50)
    early = np.arange(50) % 3 == 0
    won = (risk[early][:, None] > risk[~early]) + 0.5 * (risk[early][:, None] == risk[~early])
    assert concordance(risk, np.where(early, 1.0, 2.0), early) == pytest.approx(won.mean())


def test_concordance_has_an_interval_by_patient() -> None:
    risk, time, event = drawn(5, 120)
    found = concordance_interval(risk, time, event, one_each(120), RULES)
    assert found.estimate == pytest.approx(counted_out(risk, time, event))
    assert found.low < found.estimate < found.high
    assert found.n_patients == 120
    twice = [np.repeat(values, 2) for values in (risk, time, event)]
    again = concordance_interval(*twice, Patients.of(np.repeat(np.arange(120), 2)), RULES)
    assert "cluster bootstrap" in again.method
    assert again.high - again.low == pytest.approx(found.high - found.low, rel=0.05)


def test_concordance_that_is_not_defined_says_why() -> None:
    assert concordance(np.zeros(4), np.arange(4.0), np.zeros(4, bool)) is None
    found = concordance_interval(np.zeros(9), np.arange(9.0), np.zeros(9, bool), one_each(9), RULES)
    assert found.estimate is None
    assert "of no pair" in found.reason


def test_several_rows_of_one_patient_are_refused() -> None:
    with pytest.raises(OverreadError, match="4 rows of 2 patients"):
        kaplan_meier(np.arange(4.0), np.ones(4), Patients.of([0, 0, 1, 1]))
    with pytest.raises(OverreadError, match="A time is -1"):
        kaplan_meier(np.array([-1.0, 2.0]), np.ones(2), one_each(2))
