"""Power laws are found again, forecasts cover, and points that carry nothing are not made to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.core.question import Question
from overread.evaluation.comparing.compared import Contender, line_up
from overread.evaluation.comparing.endpoints import Endpoint
from overread.evaluation.learning.curve import Curve
from overread.evaluation.learning.power_law import fit_power_laws
from overread.evaluation.learning.run_statistic import run_statistic
from overread.evaluation.learning.verdict import judge
from overread.evaluation.rules import Rules

LIVER = Question("segmentation", ("liver",), (1,))
AGE = Question("regression", ("age",), units=("years",))
ILL = Question("classification", ("healthy", "ill"), positive="ill")
PATIENTS = (20, 50, 100, 200)


def law(n: float, a: float = 0.9, b: float = 1.0, c: float = 0.6) -> float:
    return a - b * n**-c


def evaluation(question: Question, rows: list[dict]) -> dict:
    return {"question": question.as_dict(), "cases": rows, "partition": "tuning", "is_phantom": False, "notes": []}


def dice_rows(values: np.ndarray, per_patient: int = 1) -> list[dict]:
    return [
        {"case_id": f"C{k}", "patient_id": f"P{k // per_patient}", "truth": None, "scores": {"dice/liver": float(v)}}
        for k, v in enumerate(values)
    ]


def dice_curve(
    expected: list[float],
    random: np.random.Generator,
    *,
    patients: tuple[int, ...] = PATIENTS,
    tuning: int = 60,
    repeats: int = 3,
    of_patient: float = 0.06,
    of_training: float = 0.008,
    of_case: float = 0.03,
    resamples: int = 400,
) -> Curve:
    """Trainings that reach what is expected, but for what patients, trainings and chance add; smaller shares vary more."""
    who = random.normal(0, of_patient, tuning)
    shares = []
    for number, (level, n) in enumerate(zip(expected, patients, strict=True)):
        runs = []
        for _ in range(repeats):
            training = random.normal(0, of_training * np.sqrt(patients[-1] / n))
            runs.append(evaluation(LIVER, dice_rows(level + training + who + random.normal(0, of_case, tuning))))
        shares.append(Contender(str(number), tuple(runs)))
    return Curve(Endpoint.of(LIVER, "dice"), np.array(patients), line_up(shares), Rules(resamples=resamples))


# ---------------------------------------------------------------- the fit


@settings(max_examples=30)
@given(st.floats(0.02, 0.4), st.floats(0.05, 0.5), st.floats(0.1, 2.0))
def test_a_known_curve_is_found_again(floor: float, drop: float, rate: float) -> None:
    n = np.array(PATIENTS, float)
    errors = floor + drop * (n / n[0]) ** -rate
    found = fit_power_laws(n, errors[None])
    np.testing.assert_allclose([found.at(k)[0] for k in n], errors, atol=0.004)
    assert found.at(400)[0] == pytest.approx(floor + drop * 20.0**-rate, abs=0.006)


def test_a_fitted_curve_never_gets_worse_with_more_patients_and_never_passes_no_error() -> None:
    n = np.array(PATIENTS, float)
    random = np.random.default_rng(0)
    found = fit_power_laws(n, random.uniform(0, 0.5, (200, 4)))
    at = np.stack([found.at(k) for k in (10, *n, 400, 1e6)])
    assert (np.diff(at, axis=0) <= 1e-12).all()
    assert (at >= 0).all()


def test_no_other_curve_on_the_grid_lies_nearer() -> None:
    """Against a plain search over floors and drops."""
    n = np.array(PATIENTS, float)
    errors = np.array([0.31, 0.2, 0.18, 0.15])
    found = fit_power_laws(n, errors[None])
    weight = n / n.sum()
    mine = float(weight @ (np.array([found.at(k)[0] for k in n]) - errors) ** 2)
    for floor in np.linspace(0, 0.15, 31):
        for drop in np.linspace(0, 0.2, 41):
            for rate in (0.1, 0.3, 0.5, 0.8, 1.2, 2.0):
                assert mine <= float(weight @ (floor + drop * (n / 200) ** -rate - errors) ** 2) + 1e-6


def test_a_row_that_is_not_defined_gives_no_curve() -> None:
    found = fit_power_laws(np.array([10.0, 20.0, 40.0]), np.array([[0.3, np.nan, 0.1], [0.3, 0.2, 0.15]]))
    assert np.isnan(found.at(80)[0])
    assert np.isfinite(found.at(80)[1])


# ---------------------------------------------------------------- the statistic


def test_the_score_of_a_run_counts_patients_as_often_as_they_are_drawn() -> None:
    rows = dice_rows(np.array([0.2, 0.4, 0.9, 0.5]), per_patient=2)
    lined = line_up([Contender("a", (evaluation(LIVER, rows),))])
    score = run_statistic(Endpoint.of(LIVER, "dice"), lined.rows[0][0], lined.fold, lined.patients)
    found = score(np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [0.5, (0.6 * 2 + 1.4) / 6, 0.7, np.nan])


def area_curve(random: np.random.Generator) -> Curve:
    truth = random.random(80) < 0.4
    shares = []
    for number, apart in enumerate((0.5, 1.0, 1.4, 1.8)):
        runs = []
        for _ in range(2):
            score = 1 / (1 + np.exp(-(random.normal(size=80) + apart * (2 * truth - 1))))
            rows = [
                {"case_id": f"C{k}", "patient_id": f"P{k}", "truth": "ill" if t else "healthy", "scores": {}, "called": []}
                | {"answer": {"healthy": float(1 - s), "ill": float(s)}}
                for k, (t, s) in enumerate(zip(truth, score, strict=True))
            ]
            runs.append(evaluation(ILL, rows))
        shares.append(Contender(str(number), tuple(runs)))
    return Curve(Endpoint.of(ILL, "auc"), np.array(PATIENTS), line_up(shares), Rules(resamples=300))


def test_areas_have_a_curve_too() -> None:
    curve = area_curve(np.random.default_rng(3))
    assert curve.scores.shape == (4, 2)
    point = curve.point(3)
    assert point.low < point.estimate < point.high
    assert "by patient" in point.method
    assert judge(curve).code in ("still rising", "open", "none")


# ---------------------------------------------------------------- words


def test_a_curve_that_rises_is_said_to_rise() -> None:
    curve = dice_curve([law(n, 0.95, 2.0, 0.5) for n in PATIENTS], np.random.default_rng(1), of_training=0.003)
    verdict = judge(curve)
    assert verdict.code == "still rising"
    assert verdict.words.startswith("Still rising: with 400 training patients")
    assert verdict.forecast.low < law(400, 0.95, 2.0, 0.5) < verdict.forecast.high
    assert (verdict.patients, verdict.forecast.n_patients) == (400, 60)
    assert "same draw at every share, and the spread of 3 trainings" in verdict.forecast.method


def test_a_curve_that_is_over_is_said_to_level_off() -> None:
    curve = dice_curve([law(n, 0.9, 60.0, 2.0) for n in PATIENTS], np.random.default_rng(2), of_training=0.001, of_case=0.01)
    verdict = judge(curve)
    assert verdict.code == "levels off"
    assert "more patients of this kind promise at most +0.00" in verdict.words
    assert verdict.gain.high <= 0.01


def test_a_curve_that_was_flat_from_the_first_share_levels_off() -> None:
    verdict = judge(dice_curve([0.9] * 4, np.random.default_rng(4), of_training=0.0005, of_case=0.005))
    assert verdict.code == "levels off"


def test_lower_is_better_is_said_with_a_minus() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(60, 10, 50)
    shares = []
    for number, level in enumerate((12.0, 8.0, 6.0, 4.6)):
        runs = []
        for _ in range(3):
            error = (level + random.normal(0, 0.1)) * (0.9 + 0.2 * random.random(50))
            rows = [
                {"case_id": f"C{k}", "patient_id": f"P{k}", "truth": float(t), "answer": float(t + e), "scores": {}}
                for k, (t, e) in enumerate(zip(truth, error, strict=True))
            ]
            runs.append(evaluation(AGE, rows))
        shares.append(Contender(str(number), tuple(runs)))
    curve = Curve(Endpoint.of(AGE, "mae"), np.array(PATIENTS), line_up(shares), Rules(resamples=300))
    verdict = judge(curve)
    assert verdict.code == "still rising"
    assert verdict.forecast.estimate < 4.6
    assert verdict.gain.estimate > 0
    assert "Beside now that is -" in verdict.words
    assert "years" in verdict.words


# ---------------------------------------------------------------- what carries no forecast


def test_two_shares_carry_no_forecast() -> None:
    curve = dice_curve([0.7, 0.8], np.random.default_rng(0), patients=(50, 100))
    verdict = judge(curve)
    assert (verdict.code, verdict.forecast) == ("none", None)
    assert verdict.words == "The points do not carry a forecast: there are 2 shares, and a curve takes 3."


def test_a_curve_that_falls_carries_no_forecast() -> None:
    verdict = judge(dice_curve([0.6, 0.8, 0.65, 0.82], np.random.default_rng(0), of_training=0.003))
    assert verdict.code == "none"
    assert "gets worse from 50 to 100 patients by more than chance explains" in verdict.words


def test_noise_carries_no_forecast() -> None:
    verdict = judge(dice_curve([0.8, 0.8, 0.8, 0.8], np.random.default_rng(0), of_training=0.03, of_case=0.1, tuning=20))
    assert verdict.code == "none"
    assert "does not get better beyond noise" in verdict.words


def test_points_on_no_power_law_carry_no_forecast() -> None:
    """Hardly anything for long, then much: such a curve is not over, and nobody knows where it ends."""
    verdict = judge(dice_curve([0.60, 0.61, 0.62, 0.80], np.random.default_rng(0), of_training=0.002, of_case=0.005))
    assert verdict.code == "none"
    assert "no power law passes through the points" in verdict.words


def test_one_training_of_each_share_carries_no_forecast() -> None:
    """An interval of the patients alone would hold the truth in 40 to 70 of 100 such curves."""
    curve = dice_curve([law(n) for n in PATIENTS], np.random.default_rng(1), repeats=1)
    verdict = judge(curve)
    assert (verdict.code, verdict.forecast) == ("none", None)
    assert "each share was trained once" in verdict.words
    assert curve.both(curve.expected(400)).low is None
    assert curve.point(0).low is not None


def test_few_patients_carry_no_forecast() -> None:
    verdict = judge(dice_curve([law(n) for n in PATIENTS], np.random.default_rng(1), tuning=4))
    assert verdict.code == "none"
    assert "too few to resample" in verdict.words


# ---------------------------------------------------------------- coverage


def test_the_interval_of_a_forecast_covers() -> None:
    """Nominal 95 %, with two trainings of each share, the fewest. An interval of the patients alone would cover far less."""
    random = np.random.default_rng(60)
    truth = law(400, 0.9, 1.0, 0.6)
    inside = alone = 0
    trials = 80
    for _ in range(trials):
        curve = dice_curve([law(n) for n in PATIENTS], random, repeats=2, of_patient=0.03, of_training=0.01, resamples=200)
        both = curve.both(curve.expected(400))
        inside += both.low <= truth <= both.high
        one = curve._by_patient(curve.expected(400))
        alone += one.low <= truth <= one.high
    assert inside >= 0.88 * trials, "three standard errors below 95 % of 80 curves"
    assert alone <= 0.85 * trials
