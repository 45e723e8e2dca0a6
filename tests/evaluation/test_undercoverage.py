"""Intervals known to be too narrow are called so; the table in the package covers what evaluations print."""

from dataclasses import replace

import pytest

from overread.core.score import Interval
from overread.evaluation.intervals import undercoverage
from overread.evaluation.intervals.undercoverage import doubted, flag, simulated
from overread.metrics import agreement, calibration, decided, overlap, ranking, surface
from overread.metrics.objects.rows import ROWS
from overread.metrics.table import METRICS

CELLS = [
    {"score": "dice", "patients": patients, "cases": cases, "coverage": coverage}
    for patients, cases, coverage in [(20, 1, 0.95), (20, 4, 0.91), (50, 4, 0.92), (50, 4, 0.94), (100, 4, 0.945)]
]


@pytest.fixture
def simulations(monkeypatch) -> None:
    monkeypatch.setattr(undercoverage, "_cells", lambda: CELLS)


@pytest.mark.usefixtures("simulations")
@pytest.mark.parametrize(
    ("patients", "is_clustered", "said"),
    [
        (20, False, ""),
        (500, False, ""),
        (20, True, "20 patients with several cases each, 95 % intervals of such a score held the true value in 91 of 100"),
        (49, True, "in 91 of 100"),
        (7, True, "in 91 of 100"),
        (60, True, "in 92 of 100"),  # the worst of the simulations of this size
        (100, True, ""),
    ],
)
def test_the_simulation_nearest_below_speaks(patients, is_clustered, said) -> None:
    found = flag(overlap.DICE, patients, is_clustered)
    assert (said in found) if said else found == ""
    assert flag(surface.HD95, patients, is_clustered) == ""  # of which this table has no simulation


@pytest.mark.usefixtures("simulations")
def test_the_doubt_stands_beside_the_interval() -> None:
    interval = Interval(0.9, 0.8, 0.95, "bootstrap", 80, 20, reason="few")
    assert doubted(overlap.DICE, interval).reason.startswith("few; expect this interval to be too narrow")
    assert doubted(overlap.DICE, Interval(0.9, 0.8, 0.95, "bootstrap", 20, 20)).reason == ""
    told = Interval(0.9, 0.8, 0.95, "bootstrap", 80, 20, reason="fewer than 20 patients: expect this interval to be too narrow")
    assert doubted(overlap.DICE, told) == told
    exact = Interval(0.9, 0.8, 0.95, "Clopper-Pearson (exact)", 80, 20)
    assert doubted(overlap.DICE, exact) == exact
    none = Interval(0.9, None, None, "none", 80, 20, reason="too few")
    assert doubted(overlap.DICE, none) == none


def test_each_metric_is_stood_for_by_a_score_like_it() -> None:
    stands = {
        ranking.AUC: "auc",
        ranking.AVERAGE_PRECISION: "average_precision",
        decided.SENSITIVITY: "sensitivity",
        decided.F1: "f1",
        calibration.BRIER: "dice",
        overlap.DICE: "dice",
        surface.HD95: "distance",
        calibration.SLOPE: "",
        calibration.ECE: "",
        agreement.R2: "dice",
    }
    assert {metric: simulated(metric) for metric in stands} == stands


def test_the_table_in_the_package_is_complete() -> None:
    cells = undercoverage._cells()
    assert {simulated(metric) for metric in METRICS.values()} - {""} <= {cell["score"] for cell in cells}
    for score in ("auc", "sensitivity", "dice"):
        for patients in (20, 50, 100):
            own = [c for c in cells if (c["score"], c["patients"]) == (score, patients)]
            assert {c["cases"] > 1 for c in own} == {False, True}
            assert all(c["naive"] < 0.93 for c in own if c["cases"] > 1)
            assert all(c["trials"] >= 200 for c in own)


def test_scores_of_objects_have_simulations_of_their_own() -> None:
    for metric in ROWS.values():
        assert any(c["score"] == simulated(metric) for c in undercoverage._cells()), metric.key
    assert simulated(ROWS["ap"]) == "ap50"
    assert simulated(replace(ROWS["ap50"], key="box_ap50")) == "ap50"
    assert simulated(ROWS["patient_auc"]) == "patient_auc"
