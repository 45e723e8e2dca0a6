"""CT and MR of different patients: two kinds of images whose units differ, from files to translated images that are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import overread
from imaging.make_dicom import MR, make_series
from overread.cohort.load import load_image
from overread.cohort.pictures import answered_units
from overread.cohort.unpaired import as_read, as_wanted
from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Picture
from overread.evaluation.sources.predictions import Predictions
from overread.reading.model import Model, load_model
from overread.record.files import read_json
from overread.workflow.fidelity import fidelity
from overread.workflow.generation.along import drawn_on
from overread.workflow.generation.answered import own_and_answered
from overread.workflow.project import Project
from overread.workflow.read import read
from overread.workflow.structures import Segmented
from workflow.balls import write_sheet
from workflow.test_unpaired import SMALL

DEPTHS = [3.0 * k for k in range(8)]
PATIENTS = 16  # of each kind
SHAPE = (8, 12, 12)


def _body(random: np.random.Generator, inside: float, outside: float, spread: float) -> np.ndarray:
    """(Z, Y, X) stored values: a ball of soft tissue in air."""
    z, y, x = np.indices(SHAPE)
    ball = (z - 4) ** 2 + (y - random.uniform(5, 7)) ** 2 + (x - random.uniform(5, 7)) ** 2 < 12
    values = np.where(ball, inside, outside) + random.normal(0, spread, SHAPE)
    return np.asarray(values.clip(0, 3000).astype(np.int16))


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CT in HU (air -1000, tissue 40) and MR without units (air 10, tissue 300), told apart by a sheet."""
    folder, random = tmp_path_factory.mktemp("exams"), np.random.default_rng(3)
    for k in range(PATIENTS):
        who = {"Rows": SHAPE[1], "Columns": SHAPE[2], "PatientID": f"ct{k}", "StudyInstanceUID": f"1.2.3.{k + 1}"}
        ct = _body(random, 1064, 24, 5)
        series = {"SeriesInstanceUID": f"1.2.3.{k + 1}.1"}
        make_series(folder / "images" / f"ct{k:02d}", DEPTHS, volume=ct, **who, **series)
        who |= {"PatientID": f"mr{k}", "StudyInstanceUID": f"1.2.4.{k + 1}", "SeriesInstanceUID": f"1.2.4.{k + 1}.1"}
        scale = {"Modality": "MR", "RescaleSlope": 1, "RescaleIntercept": 0, "PixelSpacing": [0.8, 0.7], "SliceThickness": 3.0}
        mr = _body(random, 300 * random.uniform(0.8, 1.2), 10, 3)
        make_series(folder / "images" / f"mr{k:02d}", DEPTHS, volume=mr, sop_class=MR, **who, **scale)
    rows = [{"PatientID": f"{kind}{k}", "kind": kind} for kind in ("ct", "mr") for k in range(PATIENTS)]
    write_sheet(folder / "sheet.csv", rows)
    return folder


def _trained(exams: Path, place: Path, kinds: str) -> Project:
    project = overread.init(
        place, images=exams / "images", sheet=exams / "sheet.csv", label=["kind"], task="translate", unpaired=kinds,
        tuning=0.5, internal=0,
    )  # fmt: skip
    project.train(epochs=1, name="first", overrides={**SMALL, "training.patch": "8,12,12"})
    return Project.open(place)


@pytest.fixture(scope="module")
def ct_to_mr(exams: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return _trained(exams, tmp_path_factory.mktemp("there") / "p", "ct:mr")


def _answers(project: Project) -> list:
    cohort, run = as_read(project.cohort()), project.run("first")
    answers = Predictions(run.predictions / "tuning", project.question)
    return [own_and_answered(cohort, case, answers) for case in cohort.of("tuning")]


def _reader_of_ct(ct_to_mr: Project) -> Model:
    """A model that reads Hounsfield units."""
    return load_model(next(ct_to_mr.run("first").path.glob("*.overread")))


def test_each_kind_is_prepared_on_its_own_scale(ct_to_mr: Project) -> None:
    planned = ct_to_mr.plan(run_name="looked-at")
    units = {load_image(planned.cohort, half.of("training")[0]).units for half in (as_read(planned.cohort),)}
    assert (units, answered_units(ct_to_mr.question)) == ({"HU"}, "a.u.")
    assert planned.plan.preparation.units == "HU"
    assert planned.plan.preparation.normalisation[0].low < -900
    assert planned.plan.preparation.answer[0].low >= 0
    for half, name in ((as_read, "image"), (as_wanted, "target")):
        arrays = np.stack([getattr(planned.cache.cases[c.case_id], name) for c in half(planned.cohort).of("training")])
        assert abs(float(arrays.astype(np.float32).mean())) < 0.3
        assert 0.7 < float(arrays.astype(np.float32).std()) < 1.3


def test_ct_is_answered_in_the_units_of_mr(ct_to_mr: Project, exams: Path, tmp_path: Path) -> None:
    for own, answer in _answers(ct_to_mr):
        assert (own.units, answer.units) == ("HU", "a.u.")
        assert own.array.min() < -900
        assert answer.array.min() >= 0
    path = next(ct_to_mr.run("first").path.glob("*.overread"))
    (reading,) = read(path, [exams / "images" / "ct00"], tmp_path / "out", refusal="off")
    assert isinstance(reading.answer, Picture)
    assert reading.answer.units == "a.u."
    with pytest.raises(OverreadError, match=r"in a\.u\."):  # MR is never taken for Hounsfield units
        read(path, [exams / "images" / "mr00"], tmp_path / "strange", refusal="off")
    cohort = ct_to_mr.cohort()
    other = load_image(cohort, as_wanted(cohort).of("tuning")[0])
    with pytest.raises(Refused, match=r"in a\.u\.; the preparation was fitted on HU"):
        load_model(path).predictor.prepare(other)


def test_the_same_eyes_look_at_both_kinds(ct_to_mr: Project) -> None:
    record = fidelity(ct_to_mr, "first", minutes=0.05)
    assert record["kinds"] == ["ct", "mr"]
    assert record["fidelity"]["n_real"] == record["fidelity"]["n_made"] == PATIENTS // 2
    assert all(np.isfinite(row["interval"]["estimate"]) for row in record["untouched"] if row["interval"]["estimate"] is not None)
    encoder = read_json(ct_to_mr.run("encoder").path / "pretraining.json")["preparation"]
    assert (encoder["units"], encoder["also"]) == ("HU", ["a.u."])
    assert [rule["scheme"] for rule in encoder["normalisation"]] == ["per-image"]


def test_no_one_model_draws_on_images_in_two_units(ct_to_mr: Project) -> None:
    cohort, run = as_read(ct_to_mr.cohort()), ct_to_mr.run("first")
    answers = Predictions(run.predictions / "tuning", ct_to_mr.question)
    pair = Segmented(cohort, cohort.of("tuning")[0], answers, _reader_of_ct(ct_to_mr))
    with pytest.raises(OverreadError, match=r"read are in HU, those that are answered in a\.u\.(?s:.*)--true A --made B"):
        pair.load()


def test_mr_becomes_ct_in_hu(ct_to_mr: Project, exams: Path, tmp_path: Path) -> None:
    project = _trained(exams, tmp_path / "p", "mr:ct")
    for own, answer in _answers(project):
        assert (own.units, answer.units) == ("a.u.", "HU")
        assert answer.array.min() < 0
    with pytest.raises(Refused, match=r"in a\.u\.; the preparation was fitted on HU"):  # a segmenter of CT is shown no MR
        drawn_on(own, _reader_of_ct(ct_to_mr))
