"""External minus internal: differences of independent samples, case mix, and truths corrected where the model was wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from overread.core.score import Interval
from overread.evaluation.afterwards.corrections import correction_check, correction_words
from overread.evaluation.afterwards.shift import drop_table, shift_table
from overread.evaluation.intervals.independent import difference, mean, share, standardised
from overread.evaluation.intervals.wilson import wilson


def proportion(hits: int, cases: int) -> Interval:
    return Interval(hits / cases, *wilson(hits, cases), "Wilson", cases, cases)


def test_the_difference_of_proportions_is_newcombes() -> None:
    """Newcombe 1998, table II, method 10: 56/70 minus 48/80 is 0.2000 (0.0524 to 0.3339)."""
    found = difference(proportion(56, 70), proportion(48, 80))
    assert found.estimate == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert (found.n_cases, found.n_patients) == (150, 150)


def test_the_difference_covers_the_truth_at_its_level() -> None:
    random = np.random.default_rng(0)
    hits = random.binomial([60, 90], [0.8, 0.7], (1000, 2))
    found = [difference(proportion(int(a), 60), proportion(int(b), 90)) for a, b in hits]
    inside = np.mean([i.low <= 0.1 <= i.high for i in found if i.low is not None and i.high is not None])
    assert 0.93 <= inside <= 0.975


def test_without_an_interval_there_is_none_of_the_difference() -> None:
    alone = Interval(0.1, None, None, "none", 5, 5, reason="biased upwards")
    found = difference(alone, proportion(3, 10))
    assert (found.estimate, found.low, found.reason) == (pytest.approx(-0.2), None, "biased upwards")
    nothing = Interval(None, None, None, "none", 0, 0, reason="no case")
    assert difference(nothing, alone).estimate is None


def score(estimate: float, low: float, high: float, **more) -> dict:
    values = {"metric": "auc", "subject": "ill", "name": "AUC", "unit": "", "better": "higher", "role": "primary"}
    return {**values, **more, "interval": Interval(estimate, low, high, "DeLong", 100, 100).as_dict()}


def test_the_table_says_what_moved_and_what_was_not_shown_to_move() -> None:
    home = {"scores": [score(0.9, 0.86, 0.94), score(0.1, 0.05, 0.15, metric="brier", better="lower")]}
    away = {
        "scores": [
            score(0.7, 0.62, 0.78),
            score(0.11, 0.06, 0.16, metric="brier", better="lower"),
            score(1, 0.9, 1, metric="new"),
        ]
    }
    area, brier = drop_table(away, home)
    assert area["moved"] == "worse"
    assert area["difference"]["estimate"] == pytest.approx(-0.2)
    assert area["difference"]["low"] == pytest.approx(-0.2 - np.hypot(0.08, 0.04))
    assert brier["moved"] == "not shown"


def test_the_patients_are_compared_by_share_and_mean() -> None:
    home = {
        "cases": 200,
        "patients": 100,
        "classes": {"ill": 60, "well": 140},
        "numbers": {"age": {"mean": 50.0, "sd": 10.0, "low": 20, "high": 80, "missing": 0}, "bmi": None},
        "levels": {"sex": {"F": 100, "M": 100}},
    }
    away = {
        "cases": 80,
        "patients": 80,
        "classes": {"ill": 48, "well": 32},
        "numbers": {"age": {"mean": 62.0, "sd": 10.0, "low": 20, "high": 80, "missing": 10}},
        "levels": {"sex": {"F": 41, "M": 39}},
    }
    rows = {(r["what"], r["of"]): r for r in shift_table(away, home, home)}
    ill = rows["class", "ill"]
    assert (ill["external"]["estimate"], ill["reference"]["estimate"], ill["unlike"]) == (0.6, 0.3, True)
    assert ill["reference"]["n_cases"] == 200
    assert (ill["reference"]["low"], ill["reference"]["high"]) == wilson(30, 100), "cases beyond patients add nothing"
    age = rows["age", ""]
    assert age["standardised"]["estimate"] == pytest.approx(1.2)
    assert age["external"]["n_cases"] == 70
    assert age["unlike"]
    assert not rows["sex", "F"]["unlike"]
    assert ("bmi", "") not in rows


def test_groups_without_spread() -> None:
    one, other = share(10, 10, 10), share(0, 10, 10)
    assert standardised(1.0, (0.0, 0.0), one, other).reason == "no spread in either group"
    assert mean(3.0, 0.0, 1, 1).low is None


def rows(wrong: int, right: int) -> list[dict]:
    made = []
    for k in range(wrong + right):
        called = ["well"] if k < wrong else ["ill"]
        made.append({"case_id": f"c{k}", "patient_id": f"p{k}", "truth": "ill", "called": called, "error": 0.5})
    return made


def test_corrections_of_discordant_cases_alone_are_seen() -> None:
    check = correction_check("classification", rows(8, 32), {f"c{k}" for k in range(5)})
    assert (check["wrong"], check["right"]) == ({"patients": 8, "corrected": 5}, {"patients": 32, "corrected": 0})
    assert check["p_value"] == pytest.approx(stats.hypergeom.sf(4, 40, 5, 8))
    assert check["is_one_sided"]
    words = correction_words(check)
    assert words.startswith("WARNING: The truths of 5 of 40 test cases were corrected")
    assert "of 5 of the 8 patients whom the model had got wrong, and of 0 of the 32" in words


def test_corrections_on_both_sides_are_told_without_a_warning() -> None:
    check = correction_check("classification", rows(8, 32), {"c0", "c10", "c20", "c30", "c35"})
    assert not check["is_one_sided"]
    assert not correction_words(check).startswith("WARNING")


def test_patients_are_counted_and_not_cases() -> None:
    made = [{**row, "patient_id": f"p{int(row['case_id'][1:]) // 4}"} for row in rows(8, 32)]
    check = correction_check("classification", made, {f"c{k}" for k in range(8)})
    assert (check["n_patients"], check["wrong"]) == (10, {"patients": 2, "corrected": 2})


def test_masks_are_wrong_above_the_median_error() -> None:
    made = [{"case_id": f"c{k}", "patient_id": f"p{k}", "error": k / 10} for k in range(10)]
    check = correction_check("segmentation", made, {"c9", "c8"})
    assert check["wrong"] == {"patients": 5, "corrected": 2}
    assert check["is_one_sided"]
