"""Anomalies with every kind of model and input: a variational code, volumes (NIfTI), DICOM, and noise from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import PIL.Image
import pytest

import overread
from imaging.make_dicom import make_series
from overread.cli.main import main
from overread.core.grid import Grid
from overread.imaging.nifti import open_nifti, write_nifti
from overread.workflow.anomaly import anomaly, anomaly_of_studies
from overread.workflow.project import Project

GRID = Grid.from_spacing((8, 16, 16), (3.0, 1.5, 1.5))
SPOT = (slice(3, 6), slice(8, 12), slice(4, 8))
SMALL = {"training.network.features": "[8,16]", "training.network.latent": "16"}


@pytest.fixture(autouse=True)
def _few_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overread.workflow.anomaly.SHOWN", 2)


def volume(seed: int, *, is_ill: bool) -> np.ndarray:
    """(8, 16, 16) HU: a cylinder of tissue in air; the ill have a darker hole on one side, which no normal volume has."""
    rows, columns = np.mgrid[:16, :16]
    body = np.broadcast_to((rows - 8) ** 2 + (columns - 8) ** 2 < 36, GRID.shape)
    made = np.where(body, 60.0, -900.0) + np.random.default_rng(seed).normal(0, 15, GRID.shape)
    if is_ill:
        made[SPOT] = -120
    return made.round().astype(np.float32)


def as_nifti(folder: Path, name: str, seed: int, *, is_ill: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_nifti(folder / f"{name}.nii.gz", volume(seed, is_ill=is_ill), GRID)


def as_dicom(folder: Path, name: str, seed: int, *, is_ill: bool) -> None:
    """A CT series of a patient of its own."""
    uids = {key: f"1.2.{place}.{seed + 1}" for place, key in enumerate(("StudyInstanceUID", "SeriesInstanceUID"), 1)}
    uids |= {"FrameOfReferenceUID": f"1.2.9.{seed + 1}", "PatientID": f"MRN-{seed}", "AccessionNumber": f"A{seed}"}
    stored = (volume(seed, is_ill=is_ill) + 1024).astype(np.int16)
    depths = [3.0 * k for k in range(len(stored))]
    make_series(
        folder / name, depths, volume=stored, PixelSpacing=[1.5, 1.5], SliceThickness=3.0, SeriesDescription=name, RescaleSlope=1,
        RescaleIntercept=-1024, **uids,
    )  # fmt: skip


def normals_in(folder: Path, write: object, task: str = "autoencode") -> Project:
    assert callable(write)
    for seed in range(30):
        write(folder / "normal", f"n{seed:02d}", seed, is_ill=False)
    project = overread.init(folder / "normals", images=folder / "normal", task=task, tuning=0.45, internal=0.1)
    project.train(epochs=16, name="first", overrides=SMALL)
    return project


@pytest.fixture(scope="module")
def nifti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nifti")
    normals_in(folder, as_nifti)
    return folder


def test_holes_in_volumes_are_found_scored_and_drawn(nifti: Path) -> None:
    for seed in range(100, 124):
        as_nifti(nifti / "volumes", f"v{seed}", seed, is_ill=seed % 2 == 0)
        mask = np.zeros(GRID.shape, np.uint8)
        mask[SPOT] = seed % 2 == 0
        (nifti / "masks").mkdir(exist_ok=True)
        write_nifti(nifti / "masks" / f"v{seed}.nii.gz", mask, GRID)
    drawn = overread.init(
        nifti / "drawn", images=nifti / "volumes", truth=nifti / "masks", task="segmentation", names={"1": "hole"}, tuning=0.5,
        internal=0.2,
    )  # fmt: skip
    record = anomaly(Project(nifti / "normals"), drawn, rate=0.2)
    assert record["scores"]["auc"]["estimate"] > 0.9
    assert record["lesions"]["froc"]["estimate"] > 0.5
    assert record["usual"]["by_place"]
    worst = record["cases"][0]
    place = worst["regions"][0]
    assert worst["abnormal"]
    assert (place["z"], place["y"], place["x"]) == (
        pytest.approx(4, abs=1.5),
        pytest.approx(9.5, abs=2),
        pytest.approx(5.5, abs=2),
    )
    assert place["unit"] == "mm"
    assert place["z_mm"] == pytest.approx(3.0 * place["z"], abs=0.2)
    assert place["volume_ml"] == pytest.approx(place["voxels"] * 3 * 1.5 * 1.5 / 1000, abs=1e-4)
    assert "millimetres of the patient" in Path(record["page"]).read_text(encoding="utf-8")


def test_maps_of_new_volumes_lie_on_their_grid(nifti: Path, tmp_path: Path) -> None:
    as_nifti(tmp_path / "new", "ill", 300, is_ill=True)
    as_nifti(tmp_path / "new", "well", 301, is_ill=False)
    turned = nibabel.load(tmp_path / "new" / "well.nii.gz")  # the same voxels, stored from right to left
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = turned.shape[0] - 1
    nibabel.save(nibabel.Nifti1Image(np.asarray(turned.dataobj)[::-1], turned.affine @ flip), tmp_path / "new" / "turned.nii.gz")
    record = anomaly_of_studies(Project(nifti / "normals"), [tmp_path / "new"], tmp_path / "out", rate=0.2)
    assert record["cases"][0]["case_id"] == "ill"
    made, source = (open_nifti(tmp_path / place / "ill.nii.gz") for place in ("out/maps", "new"))
    assert made.grid.is_same(source.grid)
    hole = np.zeros(GRID.shape, bool)
    hole[SPOT] = True
    assert made.array[0][hole].mean() > 5 * np.abs(made.array[0][~hole]).mean()
    scores = {case["case_id"]: case["score"] for case in record["cases"]}
    assert scores["turned"] == pytest.approx(scores["well"], rel=1e-3)
    other = open_nifti(tmp_path / "out/maps/turned.nii.gz")
    assert other.grid.is_same(open_nifti(tmp_path / "new/turned.nii.gz").grid)


def test_dicom_series_are_learned_from_and_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    normals = normals_in(tmp_path, as_dicom)
    for seed, name in ((400, "ill"), (401, "well"), (402, "fine")):
        as_dicom(tmp_path / "new", name, seed, is_ill=name == "ill")
    capsys.readouterr()
    assert main(["anomaly", str(normals.path), str(tmp_path / "new"), "--out", str(tmp_path / "out"), "--rate", "0.2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "ill"
    with open(tmp_path / "out" / "cases.csv", encoding="utf-8") as file:
        rows = {row["case_id"]: row for row in csv.DictReader(file)}
    assert rows["ill"]["alarm"] == "True"
    assert not {"MRN-400", "A400"} & set((tmp_path / "out" / "anomaly.json").read_text(encoding="utf-8").split('"'))
    made = open_nifti(tmp_path / "out" / "maps" / "ill.nii.gz")
    assert made.grid.shape == GRID.shape
    assert made.grid.spacing == pytest.approx((3.0, 1.5, 1.5))
    worst = json.loads((tmp_path / "out" / "anomaly.json").read_text(encoding="utf-8"))["cases"][0]["regions"][0]
    assert worst["x_mm"] == pytest.approx(-20 + 1.5 * worst["x"], abs=0.2)  # the corner of the series, plus so many pixels
    assert worst["z_mm"] == pytest.approx(40 + 3.0 * worst["z"], abs=0.2)


def film(folder: Path, name: str, seed: int, *, is_ill: bool) -> None:
    """(16, 16) a bright disc; the ill have a dark spot in it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:16, :16]
    pixels = 60 + 100.0 * ((rows - 8) ** 2 + (columns - 8) ** 2 < 36) + np.random.default_rng(seed).normal(0, 4, (16, 16))
    if is_ill:
        pixels[6:10, 8:12] -= 90
    PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")


def labelled(folder: Path) -> Path:
    for seed in range(200, 224):
        film(folder / "films" / ("ill" if seed % 2 else "healthy"), f"f{seed}", seed, is_ill=bool(seed % 2))
    return overread.init(folder / "labelled", images=folder / "films", positive="ill", tuning=0.5, internal=0.2).path


def test_a_variational_code_finds_planted_spots_the_same_way_each_time(tmp_path: Path) -> None:
    """The mean of the code is taken, so that chance has no part in a score."""
    normals, other = normals_in(tmp_path, film, "vae"), Project(labelled(tmp_path))
    record = anomaly(normals, other, rate=0.2)
    assert record["scores"]["auc"]["estimate"] > 0.9
    assert record["scores"]["auc_by_code"] is not None
    assert "mean of its code" in record["method"]
    assert anomaly(normals, other, rate=0.2)["cases"] == record["cases"]


def test_diffusion_ranks_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Noise part of the way and back: the spot does not come back as it was."""
    for seed in range(30):
        film(tmp_path / "normal", f"n{seed:02d}", seed, is_ill=False)
    small = ("--set", "training.architecture=diffusion_unet", "--set", "training.network.features=[8,16]")
    normals, other = str(tmp_path / "normals"), str(labelled(tmp_path))
    words = ("--images", str(tmp_path / "normal"), "--task", "synthesize", "--tuning", "0.45", "--internal", "0.1")
    assert main(["init", normals, *words]) == 0
    assert main(["train", normals, "--epochs", "15", *small]) == 0
    capsys.readouterr()
    assert main(["anomaly", normals, "--images", other, "--rate", "0.2"]) == 0
    told = capsys.readouterr().out
    assert "area under the ROC curve" in told
    folder = next(Path(normals).glob("runs/*/anomaly/labelled"))
    record = json.loads((folder / "anomaly.json").read_text(encoding="utf-8"))
    assert "taken away again" in record["method"]
    assert record["scores"]["auc"]["estimate"] > 0.7
    assert (folder / "anomaly.html").exists()
