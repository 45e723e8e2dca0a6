"""`overread init` on DICOM studies: the choice among series, channels, segmentations, identifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid

from cohort.folders import write_sheet
from imaging.make_dicom import make_series
from overread.cohort.load import load_image, load_truth
from overread.core.errors import OverreadError
from overread.core.kinds import LabelMap, Structure
from overread.imaging.dicom.seg import write_seg
from overread.imaging.dicom.volume import open_dicom
from overread.workflow.init import init

DEPTHS = [0.0, 5.0, 10.0]


def study(folder: Path, k: int, series: dict[str, float], *, patient: str = "", day: str = "20240101") -> dict[str, list[Path]]:
    """One study with a series of each description and slice thickness."""
    study_uid, files = generate_uid(), {}
    for name, thickness in series.items():
        volume = np.random.default_rng(k * 10 + len(name)).integers(0, 2000, (3, 6, 5)).astype(np.int16)
        files[name] = make_series(
            folder / f"study{k}" / name.replace(" ", "_"),
            DEPTHS,
            volume=volume,
            PatientID=patient or f"MRN-{k:04d}",
            PatientName=f"Doe^{k}",
            AccessionNumber=f"{1000 + k}",
            StudyInstanceUID=study_uid,
            SeriesInstanceUID=generate_uid(),
            SeriesDescription=name,
            SliceThickness=thickness,
            StudyDate=day,
        )
    return files


def studies(tmp_path: Path, series: dict[str, float], count: int = 8) -> Path:
    for k in range(count):
        study(tmp_path / "dicom", k, series)
    return tmp_path / "dicom"


def labels(tmp_path: Path, count: int = 8) -> Path:
    return write_sheet(tmp_path / "a.csv", ["accession", "label"], [[1000 + k, "ill" if k % 2 else "well"] for k in range(count)])


def test_one_series_per_exam_joined_by_accession(tmp_path: Path) -> None:
    project = init(tmp_path / "p", studies(tmp_path, {"thorax": 5.0}), sheet=labels(tmp_path), positive="ill")
    cohort = project.cohort()
    assert len(cohort.cases) == 8
    assert len({c.patient_id for c in cohort.cases}) == 8
    assert cohort.cases[0].scanner == "Maker Model"
    assert cohort.cases[0].covariates == {"age": 63.0, "sex": "F"}
    assert load_image(cohort, cohort.cases[0]).units == "HU"
    text = str(project.summary)
    assert "sheet column 'accession' names the images: 8 images have a row" in text
    assert "a row is about an exam" in text
    assert "Patient ID of the image headers" in text
    for path in (tmp_path / "p").rglob("*"):
        if path.is_file() and path.parent.name != "private":
            content = path.read_bytes()
            assert not any(secret in content for secret in (b"MRN-", b"Doe", b"20240101")), path


def test_several_series_stop_with_a_table_and_a_rule(tmp_path: Path) -> None:
    images = studies(tmp_path, {"thin lung": 1.0, "thick soft": 5.0})
    with pytest.raises(OverreadError) as caught:
        init(tmp_path / "p", images, sheet=labels(tmp_path), positive="ill")
    said = str(caught.value)
    assert "8 of 8 exams have more than one series to learn from" in said
    assert "thin lung" in said
    assert "thick soft" in said
    assert "one series in 8 of 8 exams" in said
    assert "--series description='thi" in said
    assert "MRN" not in said
    project = init(tmp_path / "p", images, sheet=labels(tmp_path), positive="ill", series={"thickness": "<= 1.5"})
    assert len(project.cohort().cases) == 8
    assert project.settings.images.series == {"thickness": "<= 1.5"}
    with pytest.raises(OverreadError, match=r"No series fits \[images.series\]: description = 'bone\*'"):
        init(tmp_path / "q", images, sheet=labels(tmp_path), positive="ill", series={"description": "bone*"})
    with pytest.raises(OverreadError, match="there is no field 'kernal'"):
        init(tmp_path / "q", images, sheet=labels(tmp_path), positive="ill", series={"kernal": "b*"})


def test_series_as_channels_and_an_exam_without_one(tmp_path: Path) -> None:
    images = studies(tmp_path, {"arterial": 5.0, "venous": 5.0})
    study(images, 8, {"arterial": 5.0})
    rules = {"art.description": "arterial*", "ven.description": "venous*"}
    project = init(tmp_path / "p", images, sheet=labels(tmp_path, 9), positive="ill", series=rules)
    assert list(project.settings.images.channels) == ["art", "ven"]
    cohort = project.cohort()
    assert len(cohort.cases) == 8
    assert load_image(cohort, cohort.cases[0]).array.shape == (2, 3, 6, 5)
    assert "-1  channel missing (no series fits ven: description = 'venous*')" in str(project.summary)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["seg", "dicom"])
def test_segmentations_join_by_uid_and_bring_their_names(tmp_path: Path, place: str) -> None:
    for k in range(6):
        files = study(tmp_path / "dicom", k, {"thorax": 5.0})["thorax"]
        grid = open_dicom(files).grid
        layers = np.zeros((2, *grid.shape), np.uint8)
        layers[0, 1:, 1:5, 1:4] = 1
        layers[1, 1, 2:4, 2] = 1
        label_map = LabelMap(layers, (Structure("liver", 1, 0), Structure("lesion", 1, 1)), grid)
        write_seg(tmp_path / place / f"{chr(ord('z') - k)}.dcm", label_map, files, description="truth")
    project = init(tmp_path / "p", tmp_path / "dicom", tmp_path / "seg" if place == "seg" else None)
    cohort = project.cohort()
    assert cohort.question.classes == ("liver", "lesion")
    truth = load_truth(cohort, cohort.of("training")[0])
    assert isinstance(truth, LabelMap)
    assert truth.mask("liver").sum() == 24
    assert truth.mask("lesion").sum() == 2
    assert truth.grid.shape == (3, 6, 5)


def test_exams_of_a_patient_stay_together_and_the_first_may_count(tmp_path: Path) -> None:
    rows = []
    for k in range(12):
        study(tmp_path / "dicom", k, {"thorax": 5.0}, patient=f"MRN-{k // 2:04d}", day=f"2024010{1 + k % 2}")
        rows.append([f"MRN-{k // 2:04d}", "ill" if k // 2 % 2 else "well"])
    sheet = write_sheet(tmp_path / "a.csv", ["mrn", "label"], rows[::2])
    with pytest.raises(OverreadError, match="The unit of analysis is the patient, and 6 of 6 patients have more than one exam"):
        init(tmp_path / "p", tmp_path / "dicom", sheet=sheet, positive="ill")
    project = init(tmp_path / "p", tmp_path / "dicom", sheet=sheet, positive="ill", unit="exam")
    cohort = project.cohort()
    assert len(cohort.cases) == 12
    assert len({(c.patient_id, cohort.partition[c.case_id]) for c in cohort.cases}) == 6
    first = init(tmp_path / "q", tmp_path / "dicom", sheet=sheet, positive="ill", index_exam="first")
    assert len(first.cohort().cases) == 6
    assert "-6  not the patient's first exam" in str(first.summary)


def test_one_file_as_truth_is_that_file_alone(tmp_path: Path) -> None:
    images = studies(tmp_path, {"thorax": 5.0})
    for k, files in enumerate(sorted((images).glob("study*"))[:2]):
        series = sorted(files.rglob("*.dcm"))
        image = open_dicom(series)
        mask = np.zeros((1, *image.grid.shape), np.uint8)
        mask[0, 1, 1:3, 1:3] = 1
        label_map = LabelMap(mask, (Structure("liver", 0, 1),), image.grid)
        for reader in ("anna", "ben") if k == 0 else ("anna",):
            write_seg(images / f"seg-{k}-{reader}.dcm", label_map, series, description=reader)
    with pytest.raises(OverreadError, match="Two segmentations refer to one series"):
        init(tmp_path / "p", images)
    with pytest.raises(OverreadError, match="Of 1 patient no training"):
        init(tmp_path / "p", images, images / "seg-1-anna.dcm")
    project = init(tmp_path / "p", images, sheet=labels(tmp_path), label=["label"], positive="ill")
    assert len(project.cohort().cases) == 8  # the segmentations are not asked for


def test_series_with_gaps_are_said_whether_they_are_filled_or_left_out(tmp_path: Path) -> None:
    images = studies(tmp_path, {"thorax": 5.0})
    volume = np.zeros((4, 6, 5), np.int16)
    tags = {"PatientID": "MRN-0009", "StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    make_series(images / "study8", [0.0, 5.0, 10.0, 20.0], volume=volume, AccessionNumber="1008", **tags)
    sheet = labels(tmp_path, 9)
    left = str(init(tmp_path / "p", images, sheet=sheet, positive="ill").summary)
    assert "1 series with missing or unevenly placed slices are left out; they are filled by" in left
    assert "with --gaps resample" in left
    assert "a.csv, line 10: no usable image is called '1008'" in left
    filled = str(init(tmp_path / "q", images, sheet=sheet, positive="ill", gaps="resample").summary)
    assert "1 series with missing or unevenly placed slices are filled by interpolation between neighbours, e.g. study8" in filled
