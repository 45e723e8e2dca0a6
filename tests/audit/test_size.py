"""Expected intervals and power against published numbers, against simulation, and against what evaluation then finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from overread.audit.audited import Audited, AuditedCase
from overread.audit.size.expected import (
    area_limits,
    cases_needed,
    design_effect,
    detectable_difference,
    half,
    hanley_mcneil_variance,
    mean_half_width,
    paired_error,
    power_of_difference,
    power_of_non_inferiority,
    share_limits,
)
from overread.audit.size.look import look_for_size, size_table
from overread.core.question import Question
from overread.evaluation.intervals.delong import area as measured_area
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.intervals.wilson import effective_cases

BINARY = Question("classification", ("normal", "disease"), positive="disease")


def no_image(case_id: str):
    raise AssertionError("sizes need no image")


def cohort(
    counts: dict[str, tuple[int, int]], *, each: int = 1, question: Question = BINARY, sealed: tuple[str, ...] = ("internal",)
) -> Audited:
    """partition -> (diseased, normal) cases, `each` cases per patient."""
    cases, told = [], {}
    for partition, (ill, well) in counts.items():
        told[partition] = {"disease": ill, "normal": well}
        for k in range(ill + well):
            hidden = partition in sealed
            truth = None if hidden else {"disease": float(k < ill), "normal": float(k >= ill)}
            cases.append(AuditedCase(f"{partition}-{k}", f"{partition}-p{k // each}", partition, truth, hidden))
    return Audited(tuple(cases), no_image, question, truth_counts={p: c for p, c in told.items() if p})


def test_the_published_example_of_hanley_and_mcneil() -> None:
    # Radiology 1982;143:29: an area of 0.893 on 51 abnormal and 58 normal images has a standard error of 0.032 to 0.033
    assert np.sqrt(hanley_mcneil_variance(0.893, 51, 58)) == pytest.approx(0.0325, abs=5e-4)


def test_the_expected_variance_of_an_area_is_that_of_a_simulation() -> None:
    random = np.random.default_rng(0)
    # exponential scores, for which the formula is exact: area = rate / (1 + rate)
    rate = 0.85 / 0.15
    values = []
    truth = np.arange(100) < 30
    patients = Patients.of([str(k) for k in range(100)])
    for _ in range(2000):
        score = random.exponential(np.where(truth, rate, 1.0))
        values.append(measured_area(truth, score, patients).value)
    assert np.mean(values) == pytest.approx(0.85, abs=0.005)
    assert np.std(values) == pytest.approx(np.sqrt(hanley_mcneil_variance(0.85, 30, 70)), rel=0.05)


def test_the_power_of_a_paired_comparison_is_near_a_simulation_and_on_its_safe_side() -> None:
    random = np.random.default_rng(1)
    ill, well, reads = 80, 120, 1500
    step = np.sqrt(2) * stats.norm.ppf([0.85, 0.92])
    truth = np.arange(ill + well) < ill
    shared = random.normal(size=(reads, ill + well))
    areas = np.empty((reads, 2))
    for k in range(2):
        score = np.sqrt(0.5) * shared + np.sqrt(0.5) * random.normal(size=shared.shape) + step[k] * truth
        ranks = score.argsort(1).argsort(1) + 1.0
        areas[:, k] = (ranks[:, :ill].sum(1) - ill * (ill + 1) / 2) / (ill * well)
    correlation = float(np.corrcoef(areas.T)[0, 1])
    error = float(np.std(areas[:, 1] - areas[:, 0]))
    # these scores are normal; the formula is for exponential ones, whose areas vary a little more
    assert error <= paired_error(0.85, 0.92, ill, well, correlation) <= 1.2 * error
    found = float(np.mean((areas[:, 1] - areas[:, 0]) / error > 1.96))
    assert found - 0.15 <= power_of_difference(0.85, 0.07, ill, well, correlation) <= found


def test_the_smallest_gain_that_is_found_is_found_with_that_power() -> None:
    gain = detectable_difference(0.85, 100, 100, 0.5)
    assert gain is not None
    assert power_of_difference(0.85, gain, 100, 100, 0.5) == pytest.approx(0.8, abs=0.01)
    assert detectable_difference(0.85, 3, 3, 0.0) is None
    assert power_of_non_inferiority(0.85, 0.05, 1000, 1000, 0.5) > 0.95 > power_of_non_inferiority(0.85, 0.05, 50, 50, 0.5)


@pytest.mark.parametrize("correlation", [0.2, 0.6])
def test_the_design_effect_is_what_clustered_cases_then_show(correlation: float) -> None:
    random = np.random.default_rng(2)
    sizes = random.integers(1, 7, 20_000)
    patients = Patients(np.repeat(np.arange(len(sizes)), sizes), len(sizes))
    # beta-binomial: each patient has a share of hits of its own, so that cases correlate as asked
    spread = 1 / correlation - 1
    own = random.beta(0.9 * spread, 0.1 * spread, len(sizes))
    hit = (random.random(sizes.sum()) < np.repeat(own, sizes)).astype(float)
    assert sizes.sum() / effective_cases(hit, patients) == pytest.approx(design_effect(sizes, correlation), rel=0.08)


def test_one_case_per_patient_has_no_design_effect() -> None:
    assert design_effect([1] * 10, 0.5) == 1.0
    assert design_effect([4] * 10, 0.5) == 2.5


def test_the_cases_needed_are_enough_and_one_less_is_not() -> None:
    needed = cases_needed(lambda n: half(share_limits(0.9, n)), 0.05)
    assert needed is not None
    assert half(share_limits(0.9, needed)) <= 0.05 < half(share_limits(0.9, needed - 1))
    # n = 1.96^2 p (1 - p) / 0.05^2 of the plain formula is 139; Wilson's interval is a little wider on one side
    assert needed == pytest.approx(139, abs=8)
    assert cases_needed(lambda n: 1.0, 0.05) is None


def test_a_mean_needs_students_quantile() -> None:
    values = np.random.default_rng(3).normal(0.85, 0.08, (4000, 8))
    inside = np.abs(values.mean(1) - 0.85) <= mean_half_width(0.08, 8)
    assert inside.mean() > 0.97  # the spread is taken as known here, so Student's interval is wider than needed
    low, high = area_limits(0.85, 40, 60)
    assert 0 < low < 0.85 < high < 1
    assert 0.85 - low > high - 0.85


def test_a_sealed_test_is_sized_from_its_counts_alone() -> None:
    table = size_table(cohort({"training": (60, 60), "internal": (20, 40)}))
    rows = {row["metric"]: row for row in table["intervals"]}
    assert {row["part"] for row in rows.values()} == {"internal"}
    assert rows["sensitivity"]["interval"]["n_cases"] == 20
    assert rows["specificity"]["interval"]["n_cases"] == 40
    assert (rows["sensitivity"]["interval"]["low"], rows["sensitivity"]["interval"]["high"]) == share_limits(0.9, 20)
    assert rows["auc"]["interval"]["low"] == pytest.approx(area_limits(0.85, 20, 40)[0])
    # 139 to 147 positives for +-0.05, at a third of the patients
    assert rows["sensitivity"]["patients_needed"] == pytest.approx(3 * 142, abs=20)
    assert "expected" in rows["auc"]["interval"]["method"]


def test_several_cases_of_a_patient_widen_what_is_expected() -> None:
    alone = size_table(cohort({"internal": (40, 80)}))["intervals"]
    clustered = size_table(cohort({"internal": (40, 80)}, each=4))["intervals"]
    for one, other in zip(alone, clustered, strict=True):
        assert other["half_width"] > one["half_width"]
        assert other["design_effect"] == 2.5
        assert "design effect 2.50" in other["interval"]["method"]
        assert other["interval"]["n_patients"] == 30


def test_a_tiny_test_is_a_warning_and_a_large_one_a_note() -> None:
    (wide, power) = look_for_size(cohort({"training": (50, 50), "internal": (8, 12)}))
    assert (wide.key, wide.severity, wide.partitions) == ("interval-too-wide", "warning", ("internal",))
    assert "A good and a poor model would look alike." in wide.meaning
    assert "patients like these give +-0.05" in wide.advice
    assert power.key == "comparison-without-power"
    (fine,) = look_for_size(cohort({"internal": (900, 900)}))
    assert (fine.key, fine.severity) == ("expected-interval", "note")


def test_a_class_that_is_absent_where_it_is_scored_is_told() -> None:
    keys = {c.key: c for c in look_for_size(cohort({"training": (20, 20), "internal": (0, 30)}))}
    assert "no case of disease among 30 cases of 30 patients" in keys["class-absent-where-scored"].statement


def test_scores_that_rest_on_one_case_are_told_and_not_passed_over() -> None:
    found = {c.key: c for c in look_for_size(cohort({"training": (20, 20), "internal": (1, 29)}))}
    one = found["score-without-interval"]
    assert one.severity == "warning"
    assert one.statement == "internal test: 1 of 3 scores rest on fewer than two independent cases: sensitivity (disease)."
    absent = {c.key for c in look_for_size(cohort({"training": (20, 20), "internal": (0, 30)}))}
    assert "class-absent-where-scored" in absent
    assert "score-without-interval" not in absent  # told once


def test_sealed_truths_without_counts_are_taken_like_the_open_ones() -> None:
    audited = cohort({"training": (20, 60), "internal": (15, 45)})
    unknown = Audited(audited.cases, no_image, BINARY)
    rows = {row["metric"]: row for row in size_table(unknown)["intervals"]}
    assert rows["sensitivity"]["interval"]["n_cases"] == 15
    assert "class-absent-where-scored" not in {c.key for c in look_for_size(unknown)}


def test_folds_are_sized_together_and_an_undivided_cohort_by_a_fifth() -> None:
    folds = size_table(cohort({f"fold-{k}": (10, 20) for k in range(3)}, sealed=("fold-0", "fold-1", "fold-2")))
    assert {(r["part"], r["interval"]["n_patients"]) for r in folds["intervals"]} == {("all folds together", 90)}
    plain = size_table(cohort({"": (50, 50)}))
    assert {(r["part"], r["interval"]["n_patients"]) for r in plain["intervals"]} == {("a fifth of the patients", 20)}


@pytest.mark.parametrize(
    ("question", "metric"),
    [
        (Question("segmentation", ("liver",), (1,)), "dice"),
        (Question("regression", ("age",), units=("years",)), "mae"),
    ],
)
def test_other_tasks_have_their_own_endpoint(question: Question, metric: str) -> None:
    cases = tuple(AuditedCase(f"c{k}", f"p{k}", "internal", None, True) for k in range(25))
    audited = Audited(cases, no_image, question, truth_counts={"internal": {"liver": 25}})
    (row,) = size_table(audited)["intervals"]
    assert row["metric"] == metric
    spread = 0.08 if metric == "dice" else np.sqrt(np.pi / 2 - 1)
    assert row["half_width"] == pytest.approx(stats.t.ppf(0.975, 24) * spread / 5)
    assert size_table(audited)["comparisons"] == []
