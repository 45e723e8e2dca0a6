"""A small simulation of what `benchmarks/object_interval_coverage.py` does at length: do intervals hold the true value?"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from overread.evaluation.intervals.patients import Patients
from overread.evaluation.objects.evaluate import class_score
from overread.evaluation.rules import Rules

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
TRIALS, PATIENTS = 60, 20
LEAST = 51  # of 60; were the coverage 95 %, fewer would be seen once in a thousand times


@pytest.fixture
def simulated(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import simulated_objects

    yield simulated_objects
    sys.modules.pop("simulated_objects", None)


def test_intervals_of_objects_hold_the_true_value(simulated) -> None:
    true = json.loads((BENCHMARKS / "results" / "object_interval_coverage.json").read_text())["figures"]["true_values"]["1"]
    held = dict.fromkeys(true, 0)
    for trial in range(TRIALS):
        cases = simulated.drawn_cases(np.random.default_rng([3, trial]), PATIENTS, 1)
        patients = Patients.of([case.patient_id for case in cases])
        for metric in simulated.SCORES:
            found = class_score(metric, simulated.NAME, cases, patients, Rules(resamples=500)).interval
            held[metric.key] += found.low is None or found.low <= true[metric.key] <= found.high
    assert min(held.values()) >= LEAST, held


def test_the_drawn_cases_have_what_was_asked(simulated) -> None:
    cases = simulated.drawn_cases(np.random.default_rng(0), 400, 2)
    lesions = np.array([len(case.truth.classes) for case in cases])
    assert abs((lesions > 0).mean() - simulated.ILL * simulated.WITH_LESIONS) < 0.05
    assert abs(lesions[lesions > 0].mean() - 1 - simulated.MORE_LESIONS) < 0.15
    false = np.array([(case.matched.partner < 0).sum() for case in cases])
    assert abs(false.mean() - simulated.FALSE) < 0.25
