"""A frozen model refuses images of another kind than it was trained on, and says why; a user may overrule it, on record."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaging.make_dicom import DX, make_series, make_tags, write
from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.reading.model import load_model, pack_model, write_model
from overread.record.events import read_events
from overread.record.files import digest_bytes, read_json
from overread.record.run import RunFolder
from overread.workflow.ensemble import ensemble
from overread.workflow.init import init
from overread.workflow.project import Project
from overread.workflow.read import load, read
from overread.workflow.report import report
from overread.workflow.settings import Settings
from reading.test_refusal import film
from workflow.untrained import untrained

PATIENTS = 60


def write_film(path: Path, pixels: np.ndarray, patient: str = "P-0", **changes: Any) -> Path:
    stored = np.clip(pixels * 400 + 2000, 0, 4095).astype(np.uint16)
    about = {"PatientID": patient, "StudyInstanceUID": f"1.2.3.{patient[2:]}", "SeriesInstanceUID": f"1.2.3.{patient[2:]}.1"}
    own = {"ViewPosition": "PA", "PixelSpacing": [4.0, 4.0], "SeriesDescription": path.stem, "ImageType": ["ORIGINAL", "PRIMARY"]}
    return write(make_tags(stored, DX, **(about | own | changes)), path)


def films(folder: Path, patients: int = PATIENTS) -> Path:
    rows = []
    for k in range(patients):
        pixels = film(k)[0, 0]
        pixels[2:6, 2:6] += 2.0 * (k % 2)  # a mark that the ill have
        write_film(folder / "images" / f"film{k:03d}.dcm", pixels, f"P-{k + 1}")
        rows.append([f"film{k:03d}.dcm", f"P-{k + 1}", ("well", "ill")[k % 2]])
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([["file", "patient", "label"], *rows])
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, RunFolder]:
    folder = films(tmp_path_factory.mktemp("films"))
    shares = {"tuning": 0.3, "internal": 0.2}
    project = init(folder / "project", folder / "images", sheet=folder / "labels.csv", positive="ill", **shares)
    return project, untrained(project, "first", architecture="resnet10", patch="1,32,32")


def the_model(run: RunFolder) -> Path:
    return next(run.path.glob("*.overread"))


def listed(out: Path) -> dict[str, Any]:
    return {r["study"]: r for r in read_json(out / "answers.json")["readings"]}


def test_freezing_fits_limits_and_holds_every_case_against_them(made: tuple[Project, RunFolder]) -> None:
    _, run = made
    card = read_json(run.model / "model.json")
    assert card["format"] == 3
    assert card["refusal"]["mode"] == "on"
    values = card["refusal"]["header"]["values"]
    assert values == {"modality": ["DX"], "body_part": ["CHEST"], "view": ["PA"]}
    assert len(json.dumps(card["refusal"])) < 3000
    record = read_json(run.path / "refusal.json")
    assert record["partitions"]["tuning"]["refused"] == {}
    assert record["partitions"]["internal"]["cases"] == 12
    assert record["partitions"]["internal"]["refused"] == {}
    assert read_json(run.predictions / "internal" / "answers.json")["refused"] == {}
    event = next(e for e in read_events(run.events_path) if e["event"] == "refusal")
    assert event["partitions"]["internal"] == {"cases": 12, "refused": 0, "warned": event["partitions"]["internal"]["warned"]}
    assert event["seconds"] >= 0
    assert event["content"]["patients"] == 18
    assert record["notes"][0].startswith("18 tuning patients cannot show a limit")
    model = load_model(run.model)
    assert model.guard is not None
    assert json.dumps(model.guard.refusal.as_dict()) == json.dumps(card["refusal"])


def test_the_same_run_gives_the_same_model(made: tuple[Project, RunFolder]) -> None:
    project, run = made
    again = untrained(project, "again", architecture="resnet10", patch="1,32,32")
    assert read_json(again.model / "model.json")["weights"] == read_json(run.model / "model.json")["weights"]


def test_studies_of_another_kind_are_refused_with_code_and_words(made: tuple[Project, RunFolder], tmp_path: Path) -> None:
    _, run = made
    folder, random = tmp_path / "studies", np.random.default_rng(0)
    write_film(folder / "like.dcm", film(900)[0, 0], "P-900")
    write_film(folder / "noise.dcm", random.normal(size=(32, 32)), "P-901")
    write_film(folder / "empty.dcm", np.zeros((32, 32)), "P-902")
    write_film(folder / "inverted.dcm", -film(900)[0, 0], "P-903")
    write_film(folder / "mammogram.dcm", film(901)[0, 0], "P-904", Modality="MG", BodyPartExamined="BREAST")
    write_film(folder / "knee.dcm", film(902)[0, 0], "P-905", BodyPartExamined="KNEE")
    write_film(folder / "lateral.dcm", film(903)[0, 0], "P-906", ViewPosition="LL")
    write_film(folder / "near.dcm", film(904)[0, 0], "P-907", ViewPosition="AP")
    make_series(
        folder / "gap", [0, 5, 10, 15, 30, 35, 40], PatientID="P-908", StudyInstanceUID="1.2.3.908", SeriesDescription="gap"
    )
    make_series(folder / "ct", [0, 5, 10, 15, 20], PatientID="P-909", StudyInstanceUID="1.2.3.909", SeriesDescription="ct")
    readings = {r.case_id: r for r in read(the_model(run), [folder], tmp_path / "out", dicom=())}
    rows = listed(tmp_path / "out")
    codes = {name: reading.code for name, reading in readings.items()}
    assert codes == {
        "like": "",
        "near": "",
        "noise": "far-from-training",
        "empty": "far-from-training",
        "inverted": "far-from-training",
        "mammogram": "modality",
        "knee": "body-part",
        "lateral": "view",
        "gap": "missing-slice",
        "ct": "planar",
    }
    assert {name: row["refusal_code"] for name, row in rows.items()} == codes
    assert (
        "its modality is MG; training cases had DX; its body part is BREAST; training cases had CHEST"
        in rows["mammogram"]["refusal"]
    )
    assert "its body part is KNEE; training cases had CHEST" in rows["knee"]["refusal"]
    assert "missing" in rows["gap"]["refusal"]
    assert readings["near"].answer is not None
    assert any("its view is AP; training cases had PA" in warning for warning in rows["near"]["warnings"])
    assert rows["like"]["distance"] < rows["noise"]["distance"]
    with open(tmp_path / "out" / "answers.csv", newline="") as file:
        table = {row["study"]: row for row in csv.DictReader(file)}
    assert table["knee"]["refusal_code"] == "body-part"
    assert table["knee"]["called"] == ""


def test_refusal_can_be_overruled_and_the_record_says_so(made: tuple[Project, RunFolder], tmp_path: Path) -> None:
    _, run = made
    knee = write_film(tmp_path / "knee.dcm", film(902)[0, 0], "P-905", BodyPartExamined="KNEE")
    with pytest.raises(OverreadError, match="No study could be read; the first reason: knee: its body part is KNEE"):
        read(the_model(run), [knee], tmp_path / "on", dicom=())
    (warned,) = read(the_model(run), [knee], tmp_path / "warn", dicom=(), refusal="warn")
    assert warned.answer is not None
    assert any(w.startswith("would be refused, and is answered because refusal was set to warn") for w in warned.warnings)
    (off,) = read(the_model(run), [knee], tmp_path / "off", dicom=(), refusal="off")
    assert any(w.startswith("refusal is switched off") for w in off.warnings)
    said = read_json(tmp_path / "off" / "answers.json")["refusal"]
    assert (said["mode"], said["asked"], said["frozen_mode"]) == ("off", "off", "on")
    assert said["note"] == "the model was frozen with refusal on; the user asked for off"
    assert read_json(tmp_path / "on" / "answers.json")["refusal"]["note"] == ""
    assert load(the_model(run)).read(knee).code == "body-part"
    assert load(the_model(run), refusal="warn").read(knee).answer is not None
    with pytest.raises(OverreadError, match="Refusal cannot be 'maybe'"):
        load(the_model(run), refusal="maybe")


def test_a_model_of_an_earlier_version_reads_as_it_did(made: tuple[Project, RunFolder], tmp_path: Path) -> None:
    _, run = made
    model = load_model(run.model)
    write_model(tmp_path / "old", model.predictor.network, replace(model.card, refusal=None))  # type: ignore[attr-defined]
    assert read_json(tmp_path / "old" / "model.json")["format"] == 1
    assert "refusal" not in read_json(tmp_path / "old" / "model.json")
    card = write_model(tmp_path / "bare", model.predictor.network, model.card)  # type: ignore[attr-defined]
    assert card.refusal is None  # limits without what they are measured by could not be read again
    assert load_model(tmp_path / "bare").guard is None
    file = pack_model(tmp_path / "old", tmp_path / "old.overread")
    assert load_model(file).guard is None
    knee = write_film(tmp_path / "knee.dcm", film(902)[0, 0], "P-905", BodyPartExamined="KNEE")
    (reading,) = read(file, [knee], tmp_path / "out", dicom=())
    assert reading.answer is not None
    assert "holds no limits" in read_json(tmp_path / "out" / "answers.json")["refusal"]["note"]
    with pytest.raises(OverreadError, match="Refusal cannot be 'on' for this model: the model file holds no limits"):
        read(file, [knee], tmp_path / "asked", dicom=(), refusal="on")
    assert load(file, refusal="off").read(knee).answer is not None


def test_limits_of_another_version_are_named_and_the_weights_are_not_blamed(
    made: tuple[Project, RunFolder], tmp_path: Path
) -> None:
    _, run = made
    shutil.copytree(run.model, tmp_path / "model")
    values = read_json(run.model / "model.json")
    del values["refusal"]["content"]["parts"]
    values["sha256"] = digest_bytes([json.dumps({**values, "sha256": ""}, sort_keys=True).encode()])
    (tmp_path / "model" / "model.json").write_text(json.dumps(values))
    with pytest.raises(
        OverreadError, match="The model model: its limits of refusal cannot be read: there is no 'parts'"
    ) as error:
        load_model(tmp_path / "model")
    assert "damaged" not in error.value.what
    assert error.value.next.startswith("update Overread")


def test_the_program_says_which_study_a_warning_is_about(
    made: tuple[Project, RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = made
    write_film(tmp_path / "studies" / "like.dcm", film(900)[0, 0], "P-900")
    write_film(tmp_path / "studies" / "near.dcm", film(904)[0, 0], "P-907", ViewPosition="AP")
    asked = ["read", str(the_model(run)), str(tmp_path / "studies"), "--out", str(tmp_path / "out"), "--dicom", "none"]
    assert main(asked) == 0
    assert "Warning (near): unlike the training images: its view is AP" in capsys.readouterr().out
    assert main([*asked, "--refusal", "off"]) == 0
    assert "Warning: refusal is switched off" in capsys.readouterr().out


def test_refusal_switched_off_in_the_settings_or_only_warning(made: tuple[Project, RunFolder], tmp_path: Path) -> None:
    project, _ = made
    text = (project.path / "project.toml").read_text()
    try:
        for mode, form in (("off", 1), ("warn", 3)):
            (project.path / "project.toml").write_text(f'{text}\n[reading]\nrefusal = "{mode}"\n')
            run = untrained(Project.open(project.path), mode, architecture="resnet10", patch="1,32,32")
            assert read_json(run.model / "model.json")["format"] == form
            assert (run.path / "refusal.json").exists() == (mode == "warn")
        knee = write_film(tmp_path / "knee.dcm", film(902)[0, 0], "P-905", BodyPartExamined="KNEE")
        (reading,) = read(the_model(run), [knee], tmp_path / "out", dicom=())
        assert reading.answer is not None
        assert any("would be refused" in warning for warning in reading.warnings)
    finally:
        (project.path / "project.toml").write_text(text)
    assert Settings.model_fields["reading"].default.refusal == "on"


def test_an_ensemble_refuses_too_and_the_report_tells(made: tuple[Project, RunFolder], tmp_path: Path) -> None:
    project, _ = made
    untrained(project, "second", architecture="resnet10", patch="1,32,32", seed=1)
    (together,) = ensemble(project, ["first", "second"], "together")
    assert read_json(together.run.model / "model.json")["format"] == 3
    knee = write_film(tmp_path / "knee.dcm", film(902)[0, 0], "P-905", BodyPartExamined="KNEE")
    assert load(together.file).read(knee).code == "body-part"
    page = report(project, "first").read_text()
    assert "Images that are refused" in page
    assert "18 tuning patients cannot show a limit" in page
    assert "Internal test" in page
