"""Sensitivity and specificity under an assumed error of the reference standard."""

from __future__ import annotations

import numpy as np
import pytest

from overread.evaluation.afterwards.label_error import cross_terms, of_evaluation, solved, under_label_error
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules


def _expected_table(sensitivity: float, specificity: float, prevalence: float, missed: float, false: float) -> np.ndarray:
    """Shares of the cross table of model and reference, errors independent given disease: the model of Rogan and Gladen."""
    table = np.zeros(4)
    for share, model, reference in ((prevalence, sensitivity, 1 - missed), (1 - prevalence, 1 - specificity, false)):
        table += share * np.array(
            [model * reference, model * (1 - reference), (1 - model) * reference, (1 - model) * (1 - reference)]
        )
    return table


@pytest.mark.parametrize(("missed", "false"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.07), (0.12, 0.05)])
@pytest.mark.parametrize("prevalence", [0.1, 0.5])
def test_the_truth_is_found_again(missed: float, false: float, prevalence: float) -> None:
    table = 1000 * _expected_table(0.85, 0.9, prevalence, missed, false)
    assert solved(table, missed=missed, false=false, want="sensitivity") == pytest.approx(0.85)
    assert solved(table, missed=missed, false=false, want="specificity") == pytest.approx(0.9)


def test_what_cannot_be_is_not_a_number() -> None:
    nearly_all_agree = np.array([5.0, 0.0, 0.0, 95.0])
    assert np.isnan(solved(nearly_all_agree, missed=0.0, false=0.1, want="sensitivity")), "10 % of the healthy were not called"


def test_simulated_labels_are_seen_through() -> None:
    random = np.random.default_rng(4)
    disease = random.random(20000) < 0.3
    called = np.where(disease, random.random(20000) < 0.9, random.random(20000) < 0.2)
    label = np.where(disease, random.random(20000) >= 0.05, random.random(20000) < 0.05)
    rows = under_label_error(label, called, Patients.of(np.arange(20000)), Rules(resamples=200), [(0.0, 0.0), (0.05, 0.05)])
    plain, corrected = rows
    assert plain["sensitivity"]["estimate"] == pytest.approx(called[label].mean())
    assert plain["sensitivity"]["high"] < 0.9
    assert corrected["sensitivity"]["low"] < 0.9 < corrected["sensitivity"]["high"]
    assert corrected["specificity"]["low"] < 0.8 < corrected["specificity"]["high"]
    assert corrected["sensitivity"]["n_patients"] == 20000


def test_terms_count_the_four_cells() -> None:
    truth, called = np.array([1, 0, 1, 0], bool), np.array([1, 1, 0, 0], bool)
    assert cross_terms(truth, called).tolist() == np.eye(4).tolist()


def test_an_evaluation_of_one_finding_has_rows() -> None:
    question = {"classes": ["no", "yes"], "positive": "yes"}
    cases = [
        {"patient_id": f"P-{k // 2}", "truth": "yes" if k % 3 else "no", "called": ["yes" if k % 4 else "no"]} for k in range(60)
    ]
    rows = of_evaluation({"task": "classification", "question": question, "cases": cases}, Rules(resamples=100))
    assert len(rows) == 5
    assert rows[0]["sensitivity"]["n_patients"] == 30
    assert rows[0]["sensitivity"]["estimate"] == pytest.approx(30 / 40)
    refused = [{**case, "called": [], "refused": "tilt"} for case in cases]
    wrong = of_evaluation({"task": "classification", "question": question, "cases": refused}, Rules(resamples=100))
    assert wrong[0]["sensitivity"]["estimate"] == 0
    assert of_evaluation({"task": "segmentation", "question": question, "cases": cases}, Rules()) == []
    assert of_evaluation({"task": "classification", "question": {**question, "positive": None}, "cases": cases}, Rules()) == []
