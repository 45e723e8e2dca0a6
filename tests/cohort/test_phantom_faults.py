"""Each planted fault is really there, and phantom.json says exactly where."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from overread.audit.audited import Audited, AuditedCase
from overread.audit.leaks.look import look_for_leaks
from overread.audit.sketch import sketches
from overread.cohort.identity import refuse_spellings
from overread.cohort.phantom.faults import plant
from overread.cohort.phantom.marks import burn, word
from overread.cohort.phantom.options import Options
from overread.cohort.phantom.plan import plan_exams
from overread.core.errors import Refused
from overread.core.image import Image
from overread.core.question import Question
from overread.imaging.door import open_image
from overread.record.files import read_json
from overread.workflow.phantom import PhantomSummary, phantom

FAULTS = ("marker", "label-noise", "duplicate-studies", "split-patient", "renamed-patient", "missing-slices")
QUESTION = Question("classification", ("healthy", "pneumonia"), positive="pneumonia")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> PhantomSummary:
    return phantom(tmp_path_factory.mktemp("faulty") / "out", patients=4, size=64, slices=24, seed=3, faults=FAULTS, workers=1)


@pytest.fixture(scope="module")
def planted(faulty: PhantomSummary) -> dict[str, Any]:
    record: dict[str, Any] = read_json(faulty.folder / "phantom.json")
    return record


def rows_of(summary: PhantomSummary) -> dict[str, dict[str, str]]:
    with open(summary.sheet, encoding="utf-8", newline="") as file:
        return {row["exam_id"]: row for row in csv.DictReader(file)}


def files_of(summary: PhantomSummary, exam_id: str) -> list[Path]:
    return sorted((summary.images / exam_id).glob("*.dcm"))


def test_everything_asked_for_is_recorded(planted: dict[str, Any]) -> None:
    assert set(planted["faults"]) == set(FAULTS)


def test_the_marker_is_burned_in_where_the_record_says(faulty: PhantomSummary, planted: dict[str, Any]) -> None:
    marked = set(planted["faults"]["marker"]["exams"])
    assert marked
    for exam_id in planted["exams"]:
        tags = pydicom.dcmread(files_of(faulty, exam_id)[0])
        hu = tags.pixel_array.astype(int) - 1024
        corner = hu[2:9, 2:26]
        assert (corner == 900).any() == (exam_id in marked)
        assert tags.BurnedInAnnotation == ("YES" if exam_id in marked else "NO")


def test_turned_labels_contradict_the_recorded_truth(faulty: PhantomSummary, planted: dict[str, Any]) -> None:
    rows = rows_of(faulty)
    turned = {item["exam_id"]: item["truth"]["any_lesion"] for item in planted["faults"]["label-noise"]["exams"]}
    assert turned
    for exam_id, row in rows.items():
        truth = planted["exams"][exam_id]["truth"]["any_lesion"]
        assert (row["any_lesion"] != truth) == (exam_id in turned)
        assert turned.get(exam_id, truth) == truth


def test_duplicates_have_the_same_pixels_under_another_name(faulty: PhantomSummary, planted: dict[str, Any]) -> None:
    pairs = planted["faults"]["duplicate-studies"]["exams"]
    assert pairs
    for pair in pairs:
        copies = [pydicom.dcmread(files_of(faulty, e)[3]) for e in (pair["exam_id"], pair["same_pixels_as"])]
        inner = [tags.pixel_array[20:] for tags in copies]  # below the corner of the marker, which may differ
        assert np.array_equal(*inner)
        assert copies[0].PatientID != copies[1].PatientID
        assert copies[0].SOPInstanceUID != copies[1].SOPInstanceUID
        assert copies[0].StudyInstanceUID != copies[1].StudyInstanceUID


def test_one_patient_stands_under_two_spellings(faulty: PhantomSummary, planted: dict[str, Any]) -> None:
    ids = {row["patient_id"] for row in rows_of(faulty).values()}
    pairs = planted["faults"]["split-patient"]["patients"]
    assert pairs
    for pair in pairs:
        assert {pair["patient_id"], pair["also_as"]} <= ids
        assert pair["also_as"].replace("-", "").upper() == pair["patient_id"]


def test_a_renamed_patient_is_another_to_every_name_and_one_by_an_image(tmp_path: Path) -> None:
    """The split by patient lets it through, and the audit finds it by its content: nothing else could."""
    drawn = phantom(tmp_path / "out", kind="chest", patients=8, size=96, seed=2, faults=("renamed-patient",), workers=1)
    (pair,) = read_json(drawn.folder / "phantom.json")["faults"]["renamed-patient"]["patients"]
    rows = rows_of(drawn)
    by_patient = {i: [e for e, row in rows.items() if row["patient_id"] == i] for i in (pair["patient_id"], pair["also_as"])}
    assert len(by_patient[pair["also_as"]]) > 1, "later exams went along"
    assert by_patient[pair["patient_id"]] == [pair["same_pixels_as"]]
    refuse_spellings(row["patient_id"] for row in rows.values())
    cases = [AuditedCase(e, row["patient_id"], "training") for e, row in rows.items()]
    audited = Audited(tuple(cases), partial(_open_film, drawn.images), QUESTION, is_phantom=True)
    found = {concern.key: concern for concern in look_for_leaks(audited, sketches(audited))}
    assert set(map(frozenset, found["one-image-under-two-patients"].cases)) == {
        frozenset((pair["exam_id"], pair["same_pixels_as"]))
    }


def _open_film(folder: Path, exam_id: str) -> Image:
    return open_image([folder / f"{exam_id}.dcm"], "dicom")


def test_left_out_slices_leave_a_gap_that_the_door_refuses(faulty: PhantomSummary, planted: dict[str, Any]) -> None:
    cut = planted["faults"]["missing-slices"]["exams"]
    assert cut
    for exam_id in planted["exams"]:
        files = files_of(faulty, exam_id)
        assert len(files) == 24 - cut.get(exam_id, 0)
        if exam_id in cut:
            with pytest.raises(Refused) as refused:
                open_image(files, "dicom")
            assert "missing" in refused.value.code


def test_the_site_follows_the_label() -> None:
    planned, record = plant(
        plan_exams(Options("abdomen", 200, "dicom", 64, None, 5, ("site-follows-label",))), _options("site-follows-label")
    )
    agree = np.mean([p.person.site == int(p.is_positive) for p in planned])
    assert 0.88 < agree < 1
    assert record["site-follows-label"]["against_the_rule"]
    without = plan_exams(_options())
    assert 0.35 < np.mean([p.person.site == int(p.is_positive) for p in without]) < 0.65


def test_half_of_the_patients_have_a_lesion_and_some_only_a_mimic() -> None:
    first = [p.person for p in plan_exams(_options()) if p.exam == 0]
    shares = {kind: np.mean([p.burden == kind for p in first]) for kind in ("none", "mimics", "metastases")}
    assert 0.3 < shares["none"] < 0.5
    assert 0.1 < shares["mimics"] < 0.3
    assert {len(p.exam_dates) for p in first} == {1, 2, 3}


def test_a_split_needs_no_second_exam() -> None:
    options = Options("abdomen", 1, "dicom", 64, None, _seed_of_one_exam(), ("split-patient",))
    planned, _ = plant(plan_exams(options), options)
    assert [p.patient_id for p in planned] == ["P001", "p-001"]


def _seed_of_one_exam() -> int:
    return next(s for s in range(50) if len(plan_exams(Options("abdomen", 1, "dicom", 64, None, s, ()))) == 1)


def _options(*faults: str) -> Options:
    return Options("abdomen", 200, "dicom", 64, None, 5, faults)


def test_letters_are_drawn_where_they_belong() -> None:
    image = np.zeros((2, 64, 64))
    burn(image, "PORT", 9, "upper left")
    burn(image, "L", 5, "lower right")
    assert word("PORT").shape == (7, 24)
    assert (image[:, :10, :30] == 9).sum() == 2 * word("PORT").sum()
    assert (image[:, -12:, -12:] == 5).sum() == 2 * word("L").sum()
