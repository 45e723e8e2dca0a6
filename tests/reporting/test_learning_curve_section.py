"""The sections of a learning curve and of a selection: numbers with intervals, and nothing where nothing was done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from overread.reporting.charts.files import figures
from overread.reporting.report import render
from overread.reporting.sections.learning_curve import COLUMNS, curve_chart, curve_rows, curve_section
from overread.reporting.sections.selection import selection_table
from reporting import fakes


def interval(estimate: float, reach: float = 0.03, **more: Any) -> dict[str, Any]:
    rest = {"n_cases": 40, "n_patients": 35, "level": 0.95, "method": "bootstrap by patient (BCa, 2000 resamples)", "reason": ""}
    return {"estimate": estimate, "low": estimate - reach, "high": estimate + reach, **rest, **more}


def curve(*, better: str = "higher", forecast: bool = True, unit: str = "") -> dict[str, Any]:
    """What `overread learning-curve` writes; a = 0.93, b = 1.2, c = 0.6."""
    sign = -1 if better == "higher" else 1
    a = 0.93 if better == "higher" else 2.0
    scores = [a + sign * 1.2 * n**-0.6 for n in (20, 50, 100, 200)]
    points = [
        {
            "share": share,
            "patients": float(n),
            "interval": interval(score),
            "runs": [{"run": f"curve/{100 * share:g}-{k}", "patients": n, "cases": n, "score": score + d} for k, d in tries],
        }
        for share, n, score in zip((0.1, 0.25, 0.5, 1.0), (20, 50, 100, 200), scores, strict=True)
        for tries in [[(1, -0.01), (2, 0.01)]]
    ]
    verdict = {"code": "still rising", "words": "Still rising: with 400 training patients 0.897 is expected.", "a": a, "b": 1.2}
    verdict |= {"c": 0.6, "patients": 400, "forecast": interval(a + sign * 1.2 * 400**-0.6), "gain": interval(0.017, 0.01)}
    if not forecast:
        verdict = dict.fromkeys(verdict) | {"code": "none", "words": "The points do not carry a forecast: there are 2 shares."}
    return {
        "format": 1,
        "cohort": "sha256:0",
        "endpoint": {"metric": "dice", "name": "Dice", "subject": "liver", "unit": unit, "better": better},
        "budget": {"minutes": 15.0, "epochs": None},
        "n_cases": 40,
        "n_patients": 35,
        "points": points,
        "verdict": verdict,
        "notes": ["All trainings tuned on the same cases."],
    }


def selection() -> dict[str, Any]:
    rows = [
        {
            "number": k + 1,
            "settings": {"training.learning_rate": rate},
            "scores": [mean - 0.01, mean, mean + 0.01],
            "interval": interval(mean),
            "is_chosen": k == 0,
            "is_tied": k < 2,
            "is_best": k == 1,
        }
        for k, (rate, mean) in enumerate((("1e-3", 0.81), ("1e-4", 0.82), ("1e-6", 0.55)))
    ]
    return {
        "fold": None,
        "endpoint": {"metric": "auc", "name": "Area under the ROC curve", "subject": "ill", "unit": "", "better": "higher"},
        "inner": 3,
        "n_trainings": 9,
        "budget": {"minutes": None, "epochs": 20},
        "n_cases": 90,
        "n_patients": 70,
        "stratified_by": "class",
        "candidates": rows,
        "words": "Of 3 candidates number 1 was chosen. Candidates 1, 2 are tied. Of these the first listed was taken.",
    }


def test_the_section_has_every_number_with_its_interval() -> None:
    made = curve_section(curve())
    assert made["told"].startswith("8 trainings of 15 minutes each, on 10, 25, 50, 100 % of the training patients")
    assert "40 cases" in made["told"]
    assert "35 patients" in made["told"]
    assert [row["patients"] for row in made["rows"]] == ["20", "50", "100", "200"]
    assert all("95 % CI" in row["score"] for row in made["rows"])
    assert made["law"] == "0.93 - 1.2 n^-0.6"
    assert "95 % CI" in made["forecast"]


@pytest.mark.parametrize(("better", "law"), [("higher", "0.93 - 1.2 n^-0.6"), ("lower", "2 + 1.2 n^-0.6")])
def test_the_chart_draws_both_directions(better: str, law: str) -> None:
    given = curve(better=better, unit="" if better == "higher" else "mm")
    chart = curve_chart(given)
    assert chart.count("<polyline") == 2
    assert chart.count("<circle") == 4 + 8 + 1
    assert "forecast to 400 patients" in chart
    assert curve_section(given)["law"] == law


def test_without_a_forecast_nothing_is_drawn_beyond_the_points() -> None:
    given = curve(forecast=False)
    chart = curve_chart(given)
    assert "<polyline" not in chart
    assert "forecast" not in chart.partition("</desc>")[2]
    assert curve_section(given)["forecast"] is None
    assert not [row for row in curve_rows(given) if row[0] == "forecast"]


def test_the_rows_behind_the_figure_are_whole() -> None:
    rows = curve_rows(curve())
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert [row[0] for row in rows].count("training") == 8


def test_the_report_shows_curve_and_selection_where_they_are() -> None:
    study = fakes.segmentation()
    plain = render(study)
    assert "Would more patients help?" not in plain
    assert "candidates were compared" not in plain
    page = render(replace(study, curve=curve(), selections=(selection(),)))
    assert "Would more patients help?" in page
    assert "Still rising: with 400 training patients" in page
    assert "3 candidates were compared by" in page
    assert "9 trainings of 20 epochs" in page
    assert "its truths stayed under seal and its images were not read" in page
    names = {figure.name for figure in figures(replace(study, curve=curve()))}
    assert "learning-curve" in names
    assert "learning-curve" not in {figure.name for figure in figures(study)}


def test_the_report_of_one_training_among_many_says_so() -> None:
    note = "This run is one training of a learning curve (repeat 1). It was made to be compared."
    assert note in render(replace(fakes.segmentation(), part=note))


def test_a_selection_in_words() -> None:
    made = selection_table(selection())
    assert "(90 cases" in made["told"]
    assert [row["is_chosen"] for row in made["rows"]] == [True, False, False]
    assert made["rows"][0]["parts"] == "0.800, 0.810, 0.820"
