"""Voxel calibration of an evaluation: patients are resampled, a planted temperature is found, what is missing is said."""

from dataclasses import replace

import numpy as np
import pytest

from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.core.question import Question
from overread.evaluation.answered import ScoredCase
from overread.evaluation.decisions.voxel_temperature import fit_voxel_temperature
from overread.evaluation.intervals.patients import Patients
from overread.evaluation.rules import Rules
from overread.evaluation.scored import by_sums
from overread.evaluation.voxels.calibration import NOWHERE, voxel_curves, voxel_rule, voxel_scores
from overread.evaluation.voxels.maps import ABOUT, FOLDER, find_maps, map_name
from overread.imaging.nifti import write_nifti
from overread.metrics import voxel_calibration as voxels
from overread.metrics.probability_code import CODES, DECODED, encode
from overread.metrics.voxel_table import Crop, VoxelMaps, VoxelTable, voxel_tables
from overread.record.files import write_json

GRID = Grid.from_spacing((8, 30, 30), (2.0, 1.0, 1.0))
RULES = Rules(resamples=300)
ORGANS = Question("segmentation", ("liver", "lesion"), (1, 2))


def drawn(seed: int, planted: float, classes: int = 2, *, exclusive: bool = True) -> tuple[LabelMap, VoxelMaps]:
    """A truth drawn from probabilities, and raw probabilities that are too sure of themselves by the planted temperature."""
    random = np.random.default_rng(seed)
    smooth = np.linspace(-6, 6, GRID.shape[2])
    logits = np.stack([random.normal(0, 1, GRID.shape) + (k * smooth) for k in range(classes)])
    own = np.exp(logits) / np.exp(logits).sum(0) if exclusive else 1 / (1 + np.exp(-logits + 3))
    raw = own**planted / (own**planted).sum(0) if exclusive else 1 / (1 + (1 / own - 1) ** planted)
    if exclusive:
        layers = (own.cumsum(0) < random.random(GRID.shape)).sum(0)[None].astype(np.uint8)
    else:
        layers = (random.random(own.shape) < own).astype(np.uint8)
    first = 1 if exclusive else 0
    names = [f"s{k}" for k in range(first, classes)]
    listed = tuple(Structure(n, k + 1 if exclusive else 1, 0 if exclusive else k) for k, n in enumerate(names))
    crops = {name: Crop.of(encode(raw[k + first])) for k, name in enumerate(names)}
    background = Crop.of(encode(raw[0])) if exclusive and classes > 2 else None
    return LabelMap(layers, listed, GRID), VoxelMaps(crops, background, GRID, exclusive)


def scored(case_id: str, patient: str, tables) -> ScoredCase:
    return ScoredCase(case_id, patient, {}, voxels=tables)


def some_cases(patients: int, each: int = 2, temperature: float = 1.0) -> list[ScoredCase]:
    return [
        scored(f"c{p}-{k}", f"p{p}", voxel_tables(*drawn(10 * p + k, 1.5), temperature))
        for p in range(patients)
        for k in range(each)
    ]


@pytest.mark.parametrize(("classes", "exclusive"), [(2, True), (3, True), (2, False)])
@pytest.mark.parametrize("planted", [0.6, 1.8])
def test_a_planted_temperature_is_found(classes, exclusive, planted) -> None:
    cases = [lambda k=k: drawn(k, planted, classes, exclusive=exclusive) for k in range(6)]
    assert fit_voxel_temperature(cases) == pytest.approx(planted, rel=0.04)


def test_where_there_is_nothing_to_fit_there_is_no_temperature() -> None:
    nothing = LabelMap(np.zeros((1, *GRID.shape), np.uint8), (Structure("s1", 1),), GRID)
    silent = VoxelMaps({"s1": Crop.of(np.zeros(GRID.shape, np.uint8))}, None, GRID)
    assert fit_voxel_temperature([lambda: (nothing, silent)]) == 1.0
    assert fit_voxel_temperature([]) == 1.0
    sure = np.zeros(GRID.shape, np.uint8)
    sure[2:5, 10:20, 10:20] = 1
    right = VoxelMaps({"s1": Crop.of(encode(0.1 + 0.8 * sure))}, None, GRID)
    assert fit_voxel_temperature([lambda: (replace(nothing, layers=sure[None]), right)]) == 1.0  # never wrong: no optimum


def test_the_temperature_mends_what_was_planted() -> None:
    cases = [drawn(k, 1.8) for k in range(8)]
    temperature = fit_voxel_temperature([lambda c=c: c for c in cases])
    rows = [scored(f"c{k}", f"p{k}", voxel_tables(*case, temperature)) for k, case in enumerate(cases)]
    found = {s.metric.key: s.interval for s in voxel_scores(["s1"], rows, RULES)}
    assert found["voxel_slope"].estimate == pytest.approx(1, abs=0.03)
    assert found["voxel_slope_raw"].estimate == pytest.approx(1 / 1.8, abs=0.03)
    assert found["voxel_ece"].estimate < 0.4 * found["voxel_ece_raw"].estimate
    assert all(i.low < i.estimate < i.high for i in found.values() if i.low is not None)
    assert found["voxel_slope"].n_cases == found["voxel_slope"].n_patients == 8
    curve = voxel_curves(["s1"], rows, RULES)["s1"]
    assert curve["unit"] == "ml"
    assert curve["temperatures"] == [temperature]
    assert sum(b["volume"] for b in curve["after"]) == pytest.approx(sum(b["volume"] for b in curve["before"]))
    assert f"temperature {temperature:.3g}" in voxel_rule(rows)


def test_patients_and_not_voxels_are_resampled() -> None:
    """Patients that differ: the interval by patient is many times as wide as voxels taken alone would make it."""
    random = np.random.default_rng(0)
    rows, rates = [], np.clip(0.5 + random.normal(0, 0.12, 30), 0.05, 0.95)
    code = int(encode(np.array([0.5]))[0])
    for k, rate in enumerate(rates):
        table = np.zeros((2, 2, CODES), np.int64)
        table[1, 1, code], table[1, 0, code] = round(10_000 * rate), 10_000 - round(10_000 * rate)
        rows.append(scored(f"c{k}", f"p{k // 2}", {"s1": VoxelTable(table, table, 1.0, 0.001)}))
    found = {s.metric.key: s.interval for s in voxel_scores(["s1"], rows, RULES)}["voxel_observed_expected"]
    assert (found.n_cases, found.n_patients) == (30, 15)
    voxel = np.sqrt(0.25 / 300_000) * 1.96 / DECODED[code]
    assert (found.high - found.low) / 2 > 10 * voxel
    by_case = by_sums(
        voxels.OBSERVED_EXPECTED, "s1", np.array([r.voxels["s1"].after[1].reshape(-1) for r in rows], float),
        Patients.of([r.case_id for r in rows]), RULES,
    )  # fmt: skip
    assert by_case.interval.n_patients == 30


def test_few_patients_and_empty_truths_have_reasons_and_no_interval_without_width() -> None:
    for count in (1, 3):
        for one in voxel_scores(["s1"], some_cases(count), RULES):
            assert one.interval.low is None
            assert "too few to resample" in one.interval.reason
    empty = VoxelTable(np.zeros((2, 2, CODES), np.int64), np.zeros((2, 2, CODES), np.int64), 1.0, None)
    scores = voxel_scores(["s1"], [scored("c", "p", {"s1": empty})], RULES)
    assert {s.interval.reason for s in scores} == {NOWHERE}
    assert voxel_curves(["s1"], [scored("c", "p", {"s1": empty})], RULES)["s1"]["after"] == []
    same = some_cases(1)[0]
    alike = [scored(f"c{k}", f"p{k}", same.voxels) for k in range(8)]
    assert all(s.interval.low is None for s in voxel_scores(["s1"], alike, RULES))


def test_without_maps_it_is_said() -> None:
    rows = [ScoredCase("c", "p", {}), ScoredCase("d", "q", {}, voxels="")]
    assert voxel_scores(["s1"], rows, RULES) == []
    assert voxel_curves(["s1"], rows, RULES) == {}
    assert voxel_rule(rows) == "not calibrated: no probability maps"
    assert "1 cases without an answer are left out" in voxel_rule([*some_cases(1, 1), rows[1]])


def test_maps_of_all_cases_or_none(tmp_path) -> None:
    assert find_maps(tmp_path, ORGANS, ["a"]).missing == "no probability maps"
    for name in ORGANS.classes:
        write_nifti(tmp_path / FOLDER / map_name("a", name), np.full(GRID.shape, 0.25, np.float32), GRID)
    assert find_maps(tmp_path, ORGANS, ["a", "b"]).missing == "1 of 2 cases have no probability map"
    assert find_maps(tmp_path, ORGANS, ["a"], temperature=1.5).by_case == {}  # a temperature asks for the background too
    found = find_maps(tmp_path, ORGANS, ["a"]).by_case["a"].open(GRID)
    assert found.background is None
    assert DECODED[found.structures["lesion"].values].mean() == pytest.approx(0.25, abs=0.009)


def test_maps_that_cannot_be_right_are_refused(tmp_path) -> None:
    for name in ORGANS.classes:
        write_nifti(tmp_path / FOLDER / map_name("a", name), np.full(GRID.shape, 40, np.float32), GRID)
    with pytest.raises(OverreadError, match="values from 0 to 40; probabilities lie between 0 and 1"):
        find_maps(tmp_path, ORGANS, ["a"]).by_case["a"].open(GRID)
    write_json(tmp_path / FOLDER / ABOUT, {"format": 1, "coding": "log-logit/1", "model": "sha256:other"})
    with pytest.raises(OverreadError, match="come from the model sha256:other"):
        find_maps(tmp_path, ORGANS, ["a"], model="sha256:mine")
    write_json(tmp_path / FOLDER / ABOUT, {"format": 1, "coding": "later/9"})
    with pytest.raises(OverreadError, match="written as 'later/9'"):
        find_maps(tmp_path, ORGANS, ["a"])
