"""Anomalies by a model of normal images: planted ones are found, known cases are left out, truths under seal are not read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import overread
from overread.cli.main import main
from overread.core.case import Case, ImageReference
from overread.core.errors import OverreadError
from overread.core.grid import Grid
from overread.core.kinds import Boxes, Findings, LabelMap, Structure
from overread.core.question import Question
from overread.imaging.raster import read_raster_header
from overread.tasks.generative.schedule import Schedule
from overread.workflow.anomalies.codes import UsualCode
from overread.workflow.anomalies.noised import times_back
from overread.workflow.anomalies.normals import halves
from overread.workflow.anomalies.truths import Rule, abnormal_by, lesion_pieces
from overread.workflow.anomaly import anomaly, anomaly_of_studies
from overread.workflow.project import Project

SMALL = {"training.network.features": "[8,16]", "training.network.latent": "16"}


def film(seed: int, *, is_ill: bool) -> np.ndarray:
    """(24, 24) a bright disc in the middle; the ill have a dark spot on the right, which no normal film has."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:24, :24]
    pixels = 60 + 100.0 * ((rows - 12) ** 2 + (columns - 12) ** 2 < 81) + random.normal(0, 4, (24, 24))
    if is_ill:
        pixels[9:14, 14:19] -= 90
    return pixels.clip(0, 255).astype(np.uint8)


def write(folder: Path, seeds: range, *, is_ill: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        PIL.Image.fromarray(film(seed, is_ill=is_ill)).save(folder / f"film{seed:03d}.png")


@pytest.fixture(autouse=True)
def _few_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overread.workflow.anomaly.SHOWN", 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`normals`, trained; `labelled`, whose films it does not know; new films of either kind."""
    folder = tmp_path_factory.mktemp("anomaly")
    write(folder / "normal_films", range(40), is_ill=False)
    write(folder / "films" / "healthy", range(200, 212), is_ill=False)
    write(folder / "films" / "ill", range(300, 312), is_ill=True)
    write(folder / "new", range(400, 402), is_ill=False)
    write(folder / "new", range(500, 501), is_ill=True)
    normals = overread.init(folder / "normals", images=folder / "normal_films", task="autoencode", tuning=0.4, internal=0.1)
    normals.train(epochs=12, name="first", overrides=SMALL)
    overread.init(folder / "labelled", images=folder / "films", positive="ill", tuning=0.4)
    return folder


def test_planted_spots_are_found_in_the_tuning_cases(world: Path) -> None:
    record = anomaly(Project(world / "normals"), Project(world / "labelled"), rate=0.2)
    folder = world / "normals/runs/first/anomaly/labelled"
    assert record["scores"]["auc"]["estimate"] > 0.9
    assert record["scores"]["auc_by_code"]["estimate"] > 0.7
    assert record["rule"] == "normal is healthy"
    tuning = {case.case_id for case in Project(world / "labelled").cohort().of("tuning")}
    assert {case["case_id"] for case in record["cases"]} == tuning  # no sealed case
    worst = record["cases"][0]
    assert worst["abnormal"]
    place = worst["regions"][0]
    assert (place["y"], place["x"]) == (pytest.approx(11, abs=3), pytest.approx(16, abs=3))
    assert json.loads((folder / "anomaly.json").read_text())["cases"][0] == worst
    with open(folder / "regions.csv", encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (first["case_id"], first["rank"], first["unit"]) == (worst["case_id"], "1", "pixels")
    page = (folder / "anomaly.html").read_text(encoding="utf-8")
    assert "Abnormal cases that raise the alarm" in page
    assert [read_raster_header(path).made for path in folder.glob("case-*.png")] == ["derived", "derived"]
    report = Project(world / "normals").report(run_name="first").read_text(encoding="utf-8")
    assert '<h2 id="anomalies">What does not look normal</h2>' in report
    assert f"{record['scores']['auc']['estimate']:.3f}" in report
    assert '<a href="anomaly/labelled/anomaly.html">' in report
    found = json.loads((folder / "anomaly.json").read_text(encoding="utf-8"))
    (folder / "anomaly.json").write_text(json.dumps({**found, "model": "sha256:earlier"}), encoding="utf-8")
    assert "What does not look normal" not in Project(world / "normals").report(run_name="first").read_text(encoding="utf-8")


def test_new_studies_are_ranked(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["anomaly", str(world / "normals"), str(world / "new"), "--out", str(tmp_path / "out"), "--rate", "0.2"]
    assert main(words) == 0
    assert "film500" in capsys.readouterr().out.splitlines()[1]
    assert {path.name for path in (tmp_path / "out" / "maps").iterdir()} == {f"film{n}.nii.gz" for n in (400, 401, 500)}
    with open(tmp_path / "out" / "cases.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["case_id"], rows[0]["alarm"], rows[0]["abnormal"]) == ("film500", "True", "")
    assert main(words) == 2  # the folder holds files now
    assert "holds files already" in capsys.readouterr().err


def test_what_cannot_be_done_is_refused(world: Path, tmp_path: Path) -> None:
    normals, labelled = Project(world / "normals"), Project(world / "labelled")
    with pytest.raises(OverreadError, match="by a model that learned normal images alone"):
        anomaly(labelled, labelled)
    with pytest.raises(OverreadError, match="--normal 'well' is not in the labelled project; it has healthy, ill"):
        anomaly(normals, labelled, normal="well")
    with pytest.raises(OverreadError, match=r"too few for a false-alarm rate of 0\.01"):
        anomaly(normals, labelled, rate=0.01)
    with pytest.raises(OverreadError, match="autoencode, which does not say what is normal"):
        anomaly(normals, normals)
    assert main(["anomaly", str(normals.path), "--images", str(labelled.path), "--out", str(tmp_path / "o")]) == 2


def test_cases_that_the_model_knows_are_left_out(world: Path, tmp_path: Path) -> None:
    """The normal films of this project are those that were learned from, and a few new ones."""
    write(tmp_path / "films" / "healthy", range(44), is_ill=False)  # 40 of them known
    write(tmp_path / "films" / "ill", range(600, 612), is_ill=True)
    other = overread.init(tmp_path / "other", images=tmp_path / "films", positive="ill", tuning=0.5, internal=0.2)
    record = anomaly(Project(world / "normals"), other, rate=0.2)
    assert record["known_to_the_model"] > 5
    assert record["scores"]["n_abnormal"] == sum(case["abnormal"] for case in record["cases"])
    assert len(record["cases"]) + record["known_to_the_model"] == len(other.cohort().of("tuning"))


def test_drawn_lesions_are_found(world: Path, tmp_path: Path) -> None:
    """FROC of spots that were outlined, and of the same cases by whether anything was outlined."""
    for folder in ("healthy", "ill"):
        for path in (world / "films" / folder).iterdir():
            mask = np.zeros((24, 24), np.uint8)
            mask[9:14, 14:19] = folder == "ill"
            for place, pixels in (("films", PIL.Image.open(path)), ("masks", PIL.Image.fromarray(mask))):
                (tmp_path / place).mkdir(exist_ok=True)
                pixels.save(tmp_path / place / path.name.replace("film", folder))
    drawn = overread.init(
        tmp_path / "drawn",
        images=tmp_path / "films",
        truth=tmp_path / "masks",
        task="segmentation",
        names={"1": "spot"},
        tuning=0.5,
    )
    record = anomaly(Project(world / "normals"), drawn, rate=0.2)
    assert record["rule"] == "normal is a case without spot"
    assert record["lesions"]["lesions"] == record["scores"]["n_abnormal"] > 0
    assert record["lesions"]["froc"]["estimate"] > 0.5
    assert "Which lesions" in Path(record["page"]).read_text(encoding="utf-8")


def test_noise_is_added_and_taken_away_again(world: Path, tmp_path: Path) -> None:
    small = {"training.architecture": "diffusion_unet", "training.network.features": "[8,16]"}
    images = tmp_path / "films"
    write(images, range(14), is_ill=False)
    project = overread.init(tmp_path / "p", images=images, task="synthesize", tuning=0.4, internal=0.1)
    project.train(epochs=1, name="first", overrides=small)
    record = anomaly_of_studies(project, [world / "new"], tmp_path / "out", rate=0.4)
    assert "taken away again" in record["method"]
    assert len(record["cases"]) == 3
    assert times_back(Schedule())[0] == 249
    assert times_back(Schedule())[-1] == -1


def test_what_is_normal_is_said_and_not_guessed() -> None:
    grades = Question("classification", ("a", "b", "c"))
    with pytest.raises(OverreadError, match="Which of a, b, c is normal was not said"):
        Rule.of(grades)
    rule = Rule.of(grades, "b")
    assert abnormal_by(Findings({"a": 0.0, "b": 1.0, "c": 0.0}), rule) is False
    assert abnormal_by(Findings({"a": 1.0, "b": 0.0, "c": 0.0}), rule) is True
    findings = Rule.of(Question("classification", ("x", "y"), exclusive=False))
    assert abnormal_by(Findings({"x": None, "y": 0.0}), findings) is None
    assert abnormal_by(Findings({"x": None, "y": 1.0}), findings) is True
    assert abnormal_by(Findings({"x": 0.0, "y": 0.0}), findings) is False
    organs = Question("segmentation", ("liver", "lesion"), (1, 2))
    with pytest.raises(OverreadError, match="--lesion 'cyst' is not in the labelled project"):
        Rule.of(organs, lesions=["cyst"])
    with pytest.raises(OverreadError, match="here lesions are drawn"):
        Rule.of(organs, "liver")
    assert Rule.of(organs, lesions=["lesion"]).lesions == ("lesion",)


def test_drawn_lesions_are_taken_apart() -> None:
    layers = np.zeros((1, 4, 8, 8), np.uint8)
    layers[0, 1, 1:3, 1:3], layers[0, 2, 5:8, 5], layers[0, 0, 0, 0] = 2, 2, 1
    grid = Grid.from_spacing((4, 8, 8), (1.0, 1.0, 1.0))
    drawn = LabelMap(layers, (Structure("liver", 1), Structure("lesion", 2)), grid)
    pieces = lesion_pieces(drawn, ("lesion",))
    assert [(piece.start, piece.voxels) for piece in pieces] == [((1, 1, 1), 4), ((2, 5, 5), 3)]
    boxes = Boxes(np.array([[[-0.5, 1.5, 1.5], [0.5, 3.5, 4.5]]]), ("lesion",), np.ones(1), grid)
    assert [(piece.start, piece.mask.shape) for piece in lesion_pieces(boxes, ("lesion",))] == [((0, 2, 2), (1, 2, 3))]


def test_one_half_says_what_is_usual_and_the_other_when_to_alarm() -> None:
    cases = [Case(f"C-{k}", f"P-{k // 2}", f"E-{k}", (ImageReference("image", "raster", (f"{k}.png",)),)) for k in range(12)]
    first, second = halves(cases)
    assert {case.patient_id for case in first}.isdisjoint(case.patient_id for case in second)
    assert len(first) + len(second) == 12


def test_codes_are_far_in_the_spread_of_normal_ones() -> None:
    codes = np.random.default_rng(0).normal(size=(200, 6)) * np.array([1, 2, 3, 4, 5, 0])  # the last says nothing
    usual = UsualCode.of(list(codes[:100]))
    assert np.mean([usual.distance(code) for code in codes[100:]]) == pytest.approx(0.9, abs=0.1)
    assert usual.distance(codes[0] + usual.spread * 5) > 4
    with pytest.raises(OverreadError, match="One normal case does not say how codes differ"):
        UsualCode.of([codes[0]])
