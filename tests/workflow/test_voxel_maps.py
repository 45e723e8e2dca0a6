"""Probability maps from a training to the report: written without truths, one temperature everywhere, masks untouched."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from overread.batches.prepare import Prepared
from overread.core.grid import Grid
from overread.core.question import Question
from overread.evaluation.unseal import ENTRY
from overread.evaluation.voxels.maps import FOLDER, MapFiles, map_name
from overread.imaging.nifti import write_nifti
from overread.metrics.probability_code import DECODED, encode
from overread.metrics.voxel_table import tempered_planes
from overread.reading.model import load_model, write_model
from overread.workflow.evaluate import evaluate, evaluate_answers
from overread.workflow.external import external
from overread.workflow.learning.maps import MapWriter
from overread.workflow.project import Project
from overread.workflow.read import read
from overread.workflow.readings.external import read_external
from overread.workflow.report import report
from overread.workflow.train import train
from workflow.balls import volume_project, volumes

SMALL = {"training.patch": "16,16,16", "training.batch": "2", "training.precision": "float32"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Project:
    project = volume_project(tmp_path_factory.mktemp("maps"))
    train(project, epochs=3, overrides=SMALL)
    return project


def structure(project: Project) -> str:
    return project.question.classes[0]


def card(project: Project) -> dict:
    return json.loads((project.run("first").model / "model.json").read_text())


def test_maps_lie_beside_masks_and_need_no_truth(trained) -> None:
    run = trained.run("first")
    assert not [e for e in trained.ledger.entries() if e["entry"] == ENTRY]
    for partition in ("tuning", "internal"):
        cases = trained.cohort().of(partition)
        folder = run.predictions / partition / FOLDER
        assert {p.name for p in folder.glob("*.nii.gz")} == {map_name(c.case_id, structure(trained)) for c in cases}
        assert json.loads((folder / "probabilities.json").read_text())["model"] == card(trained)["sha256"]
        for case in cases:
            mask = nibabel.load(run.predictions / partition / f"{case.case_id}.nii.gz")
            found = nibabel.load(folder / map_name(case.case_id, structure(trained)))
            assert found.shape == mask.shape
            assert found.get_data_dtype() == np.uint8
            np.testing.assert_allclose(found.affine, mask.affine)
            probability = DECODED[np.asarray(found.dataobj)]
            assert (probability[np.asarray(mask.dataobj) > 0] >= 0.5).all()
    assert not list(run.path.glob(".probabilities*"))


def test_the_evaluation_and_the_report_show_it(trained) -> None:
    result = evaluate(trained, "first", on="tuning")
    rows = {s["metric"]: s for s in result["scores"] if s["subject"] == structure(trained)}
    for key in (
        "voxel_ece",
        "voxel_brier",
        "voxel_brier_reliability",
        "voxel_slope",
        "voxel_intercept",
        "voxel_observed_expected",
    ):
        assert rows[key]["role"] == "tuning"
        assert rows[key]["interval"]["n_cases"] == result["n_cases"]
    temperature = card(trained)["decisions"]["temperature"]
    assert ("voxel_ece_raw" in rows) == (temperature != 1.0)
    assert result["curves"]["voxel_calibration"][structure(trained)]["temperatures"] == [temperature]
    page = report(trained, "first").read_text()
    assert "Probabilities of voxels" in page
    assert "Calibration of voxels" in page
    name = f"voxel-calibration-tuning-{structure(trained).replace(' ', '-')}"
    figures = trained.run("first").path / "figures"
    assert (figures / f"{name}.svg").exists()
    assert (figures / f"{name}.csv").read_text().startswith("state,low,high,mean_probability")


def test_reading_a_study_takes_the_same_temperature_and_the_same_mask(trained, tmp_path) -> None:
    run, cohort = trained.run("first"), trained.cohort()
    loaded = load_model(run.model)
    warm = replace(loaded.card, decisions=replace(loaded.card.decisions, temperature=1.8))
    write_model(tmp_path / "warm", loaded.predictor.network, warm)
    case = cohort.of("tuning")[0]
    source = cohort.images_folder / case.images[0].files[0]
    name = source.name.removesuffix(".nii.gz")
    read(tmp_path / "warm", [source], tmp_path / "out", probabilities=True)
    mask = np.asarray(nibabel.load(tmp_path / "out" / f"{name}.nii.gz").dataobj)
    before = np.asarray(nibabel.load(run.predictions / "tuning" / f"{case.case_id}.nii.gz").dataobj)
    np.testing.assert_array_equal(mask, before)
    given = np.asarray(nibabel.load(tmp_path / "out" / f"{name}_{structure(trained)}_probability.nii.gz").dataobj)
    path = run.predictions / "tuning" / FOLDER / map_name(case.case_id, structure(trained))
    files = MapFiles(case.case_id, ((structure(trained), path),), None, 1.8, True, True)
    maps = files.open(cohort.grids[case.case_id])
    planes = {structure(trained): np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)}
    softened = tempered_planes(planes, None, maps, 1.8)[structure(trained)]
    kept = softened > 0
    assert kept.any()
    assert np.abs(DECODED[softened] - given.transpose(2, 1, 0))[kept].max() < 0.02


def test_a_run_without_maps_says_so(trained, tmp_path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(trained.path, copy)
    shutil.copytree(trained.images_folder.parent, tmp_path / "cohort", dirs_exist_ok=True)
    project = Project.open(copy)
    shutil.rmtree(project.run("first").predictions / "tuning" / FOLDER)
    result = evaluate(project, "first", on="tuning", panels=False)
    assert result["rules"]["calibration"] == "not calibrated: no probability maps"
    assert not [s for s in result["scores"] if s["metric"] in ("voxel_ece", "voxel_brier", "voxel_slope")]
    assert "Not calibrated: no probability maps." in report(project, "first").read_text()


def test_calibration_none_leaves_probabilities_as_they_are(tmp_path) -> None:
    project = volume_project(tmp_path)
    path = project.path / "project.toml"
    path.write_text(path.read_text().replace("[evaluation]\n", '[evaluation]\ncalibration = "none"\n'))
    project = Project.open(project.path)
    train(project, epochs=1, overrides=SMALL)
    assert card(project)["decisions"]["temperature"] == 1.0


def test_maps_of_another_program(tmp_path) -> None:
    """Two folders of masks, and plain probabilities in `probabilities/` of the answers."""
    grid = Grid.from_spacing((6, 16, 16), (3.0, 1.0, 1.0))
    random = np.random.default_rng(0)
    for k in range(8):
        probability = 1 / (1 + np.exp(np.linspace(-6, 6, 16)[None, :, None] + random.normal(0, 0.5, grid.shape)))
        truth = random.random(grid.shape) < probability
        write_nifti(tmp_path / "truth" / f"s{k}.nii.gz", truth.astype(np.uint8), grid)
        write_nifti(tmp_path / "answers" / f"s{k}.nii.gz", (probability > 0.5).astype(np.uint8), grid)
        write_nifti(tmp_path / "answers" / FOLDER / f"s{k}_liver.nii.gz", probability.astype(np.float32), grid)
    result = evaluate_answers(tmp_path / "truth", tmp_path / "answers", "segmentation", classes={"liver": 1}, resamples=200)
    assert result["voxel_slope"]["liver"].estimate == pytest.approx(1, abs=0.08)
    assert result["voxel_observed_expected"]["liver"].estimate == pytest.approx(1, abs=0.03)
    assert not [note for note in result["notes"] if "have no truth" in note]
    assert "no temperature was applied" in result["rules"]["calibration"]


@pytest.mark.parametrize("exclusive", [True, False])
def test_writing_holds_one_volume_at_a_time(tmp_path, exclusive) -> None:
    """Eight structures on a source grid: less than five volumes of floats, whatever the number of structures."""
    question = Question("segmentation", tuple(f"s{k}" for k in range(8)), tuple(range(1, 9)), exclusive=exclusive)
    grid = Grid.from_spacing((40, 96, 96), (1.0, 1.0, 1.0))
    raw = np.zeros((9 if exclusive else 8, *grid.shape), np.float32)
    raw[0] = 1
    raw[2, 10:20, 30:60, 30:60], raw[0, 10:20, 30:60, 30:60] = 0.8, 0.2
    prepared = Prepared(np.zeros((1, *grid.shape), np.float32), grid, grid, ((0, 1, 2), (False,) * 3))
    writer = MapWriter(tmp_path / "maps", question, is_phantom=True)
    writer.write("warm-up", raw, prepared)
    tracemalloc.start()
    writer.write("C-1", raw, prepared)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * raw[0].nbytes
    assert {p.name for p in (tmp_path / "maps").glob("C-1*")} == {
        map_name("C-1", name) for name in (*question.classes, *(("background",) if exclusive else ()))
    }
    kept = writer.files("C-1").open(grid).structures["s1" if exclusive else "s2"]
    assert (kept.values[:, :, :] > 0).all()
    assert np.abs(DECODED[kept.values].max() - 0.8) < 0.01
    assert encode(np.array([0.8]))[0] in kept.values


def test_an_external_cohort_gets_maps_too(trained, tmp_path) -> None:
    made = volumes(tmp_path / "there", count=6)
    external(trained, "there", made / "images", made / "masks", leak_override="the same balls, for a test")
    found = read_external(trained, "there", "first")
    assert len(list((found.folder / FOLDER).glob("*.nii.gz"))) == found.read == 6
    assert json.loads((found.folder / FOLDER / "probabilities.json").read_text())["model"] == card(trained)["sha256"]
