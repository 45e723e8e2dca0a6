"""Areas, their variances and their paired difference against R's pROC; the values are made by make_proc_fixture.R."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from overread.core.question import OperatingPoint
from overread.evaluation.comparing.placements import areas
from overread.evaluation.decisions.operating import operating_point, parse_rule
from overread.evaluation.intervals.delong import area
from overread.evaluation.intervals.patients import Patients
from overread.metrics.ranking import Ranking

SETS = json.loads((Path(__file__).parent / "fixtures" / "proc.json").read_text())["sets"]
BY_NAME = pytest.mark.parametrize("stored", SETS, ids=[s["name"] for s in SETS])


def cases(stored) -> tuple[np.ndarray, np.ndarray, Patients]:
    truth = np.array(stored["truth"]) == 1
    return truth, np.array([stored["first"], stored["second"]]), Patients.of(np.arange(len(truth)))


@BY_NAME
@pytest.mark.parametrize(("row", "which"), [(0, "of_first"), (1, "of_second")])
def test_area_variance_and_interval(stored, row, which) -> None:
    truth, scores, patients = cases(stored)
    found, expected = area(truth, scores[row], patients), stored[which]
    assert found.value == pytest.approx(expected["auc"], abs=1e-12)
    assert found.variance == pytest.approx(expected["variance"], rel=1e-9)
    half = stats.norm.ppf(0.975) * np.sqrt(found.variance)  # pROC's interval lies on the natural scale and is cut at 0 and 1
    assert max(0.0, found.value - half) == pytest.approx(expected["low"], abs=1e-9)
    assert min(1.0, found.value + half) == pytest.approx(expected["high"], abs=1e-9)


@BY_NAME
@pytest.mark.parametrize(("row", "which"), [(0, "of_first"), (1, "of_second")])
def test_partial_area_at_specificities_above_90_percent(stored, row, which) -> None:
    truth, scores, _ = cases(stored)
    value = float(Ranking.of(truth, scores[row]).partial_auc()[0])
    assert value == pytest.approx(stored[which]["partial_standardised"], abs=1e-9)


@BY_NAME
@pytest.mark.parametrize(("row", "which"), [(0, "of_first"), (1, "of_second")])
def test_the_operating_point_of_youden(stored, row, which) -> None:
    truth, scores, _ = cases(stored)
    found: OperatingPoint = operating_point("disease", truth, scores[row], parse_rule("youden"))
    assert found.sensitivity + found.specificity - 1 == pytest.approx(stored[which]["youden"], abs=1e-12)


@BY_NAME
def test_the_paired_difference(stored) -> None:
    truth, scores, patients = cases(stored)
    found = areas(truth, scores, patients)
    assert found.covariance[0, 1] == pytest.approx(stored["covariance"], rel=1e-9)
    difference = found.values[0] - found.values[1]
    error = np.sqrt(np.array([1, -1]) @ found.covariance @ np.array([1, -1]))
    assert difference / error == pytest.approx(stored["z"], rel=1e-9)
    assert 2 * stats.norm.sf(abs(difference / error)) == pytest.approx(stored["p"], rel=1e-9)
    assert difference - stats.norm.ppf(0.975) * error == pytest.approx(stored["difference_low"], abs=1e-9)
    assert difference + stats.norm.ppf(0.975) * error == pytest.approx(stored["difference_high"], abs=1e-9)
