"""The parts of `benchmarks/restore_phantom.py` that need no training: balls at known places, denoisers, differences."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.image import Image
from overread.evaluation.intervals.patients import Patients
from overread.imaging.degrade.simulated import parse_degradation
from overread.metrics.detectability import wins

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
GRID = Grid.from_spacing((5, 80, 80), (3.0, 1.5, 1.5))
OWN = (
    "classical_denoisers",
    "common",
    "phantom_metastases",
    "hu_threshold",
    "planted_signals",
    "restore_phantom",
    "runs",
    "watch",
)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import restore_phantom

    yield restore_phantom
    for name in OWN:
        sys.modules.pop(name, None)


def liver() -> np.ndarray:
    _, y, x = np.indices(GRID.shape)
    return ((y - 40) / 32) ** 2 + ((x - 40) / 36) ** 2 < 1


def scan(noise: float = 8.0) -> np.ndarray:
    random = np.random.default_rng(4)
    return np.where(liver(), 100 + random.normal(0, noise, GRID.shape), -1000).astype(np.int16)


def test_places_lie_deep_in_the_liver_and_apart(benchmark: ModuleType) -> None:
    deep = np.zeros(GRID.shape, bool)
    deep[:] = liver()
    at = benchmark.places(np.repeat(deep, 3, 0), Grid.from_spacing((15, 80, 80), (3.0, 1.5, 1.5)), 6)
    assert len(at) == 6
    for k, one in enumerate(at):
        assert all(np.linalg.norm((one - other) * [3.0, 1.5, 1.5]) >= 24 for other in at[:k])
    assert len(benchmark.places(np.zeros((5, 8, 8), bool), GRID, 6)) == 0


def test_a_ball_is_as_faint_and_as_large_as_it_says(benchmark: ModuleType) -> None:
    signal = benchmark.Signal(9.0, -20.0)
    at = np.array([[2, 40, 40], [2, 40, 2]])
    before = scan()
    change = benchmark.planted(before, GRID, at, signal).astype(int) - before
    assert change[2, 40, 40] == -20
    assert change.min() == -20
    volume_mm = -change[:, 20:60, 20:60].sum() / 20 * 3.0 * 1.5**2
    assert volume_mm == pytest.approx(4 / 3 * np.pi * 4.5**3, rel=0.2)
    assert change[2, 40, 60] == 0
    cut = benchmark.patches(before + change, at, benchmark.edge_of(GRID.spacing, signal))
    assert cut.shape == (2, 25, 25)
    assert cut[0, 12, 12] == (before + change)[2, 40, 40]
    assert benchmark.middle_of(cut, 21)[1, 10, 10] == (before + change)[2, 40, 2]


def test_both_scenes_have_noise_of_their_own(benchmark: ModuleType) -> None:
    image = Image(scan()[None], GRID, "HU", ("image",), {"modality": "CT"})
    at = np.array([[2, 40, 40]])
    (first, with_ball), (second, without) = benchmark.both(
        image, at, benchmark.Signal(8.0, -20.0), parse_degradation("low_dose:0.25"), "C-1"
    )
    assert (first, second) == (True, False)
    far = (slice(None), slice(None), slice(50, 60), slice(20, 60))
    assert np.abs(np.corrcoef(*(w.array[far].ravel() - image.array[far].ravel() for w in (with_ball, without)))[0, 1]) < 0.2


def test_denoisers_have_their_parameters_fitted_and_take_noise_away(benchmark: ModuleType) -> None:
    truth = np.where(liver(), 100.0, -1000.0)
    read = scan(20.0)
    for which in benchmark.CLASSICAL:
        chosen, rows = benchmark.fit(which, [(read[:2], truth[:2])])
        assert len(rows) == len(which.choices)
        best = min(row["rmse_in_body_hu"] for row in rows)
        assert best < 12
        done = which(read, chosen)
        assert (done.shape, done.dtype) == (read.shape, np.float32)
        inner = liver()
        assert np.abs(done[inner] - 100).mean() < 0.6 * np.abs(read[inner] - 100.0).mean()
    with pytest.raises(OverreadError, match="too little soft tissue"):
        benchmark.CLASSICAL[0](np.full(GRID.shape, -1000, np.int16), {"range": 2.0, "space": 1.0})


def test_the_difference_of_two_areas_is_by_patient(benchmark: ModuleType) -> None:
    random = np.random.default_rng(0)
    patients = Patients.of(np.repeat([f"p{k}" for k in range(12)], 20))
    present = np.arange(240) % 2 == 0
    good = random.normal(present * 2.0, 1)
    poor = random.normal(present * 0.5, 1)
    kinds = [np.bincount(patients.number[which], minlength=12) for which in (present, ~present)]
    won = [wins(found, present, patients.number, 12) for found in (good, poor)]
    found = benchmark.gained(won[0] - won[1], kinds[0], kinds[1], patients)
    areas = [w.sum() / (kinds[0].sum() * kinds[1].sum()) for w in won]
    assert found.estimate == pytest.approx(areas[0] - areas[1])
    assert found.low is not None
    assert 0 < found.low < found.estimate < found.high
    seen = benchmark.Seen({"ours": random.normal(0, 1, (240, 21, 21)), "other": random.normal(0, 1, (240, 21, 21))}, present,
                          np.repeat([f"p{k}" for k in range(12)], 20))  # fmt: skip
    figures = benchmark.detected(seen, "ours")
    assert set(figures["ours"]) == {"auc", "d_prime"}
    assert figures["other"]["ours_more"]["low"] < 0 < figures["other"]["ours_more"]["high"]
