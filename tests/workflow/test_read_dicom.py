"""What `read` leaves for a PACS: the objects that were asked for, with the model's name and digest in them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

from imaging.answers import FINDINGS, ct, heat, structures
from overread.core.case import ImageReference
from overread.core.question import Reading
from overread.workflow.readings.dicom_results import write_dicom_results

pytestmark = pytest.mark.filterwarnings("ignore")
SHA = "sha256:" + "0123456789abcdef" * 4


def exam_of(folder: Path, files: list[Path], format: str = "dicom") -> Any:
    reference = ImageReference("ct", format, tuple(str(f.relative_to(folder)) for f in files))
    return SimpleNamespace(name="study", folder=folder, references=(reference,))


def card(**codes: str) -> Any:
    return SimpleNamespace(sha256=SHA, reading={"codes": codes} if codes else {})


def test_the_objects_that_were_asked_for(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    reading = Reading("study", structures(image.grid), (heat(image.grid),), warnings=("trained on a PHANTOM",))
    exam = exam_of(tmp_path, files)
    out = tmp_path / "out"
    notes = write_dicom_results(out, ("seg", "sr", "map"), exam, reading, image, card(), "liver-first", None)
    assert notes == ()
    assert sorted(path.name for path in out.iterdir()) == ["study_liver_map.dcm", "study_seg.dcm", "study_sr.dcm"]
    tags = pydicom.dcmread(out / "study_seg.dcm")
    algorithm = tags.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "liver-first"
    assert SHA in algorithm.AlgorithmParameters
    said = [str(item.value) for item in pydicom.dcmread(out / "study_sr.dcm").iterall() if item.keyword == "TextValue"]
    assert "trained on a PHANTOM" in said


def test_codes_of_the_model_are_used_and_missing_ones_are_said(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    exam, reading = exam_of(tmp_path, files), Reading("study", FINDINGS)
    (note,) = write_dicom_results(tmp_path / "a", ("sr",), exam, reading, image, card(), "m", ["pneumonia"])
    assert "'strange sign'" in note
    given = card(**{"strange sign": "RADLEX RID5 sign of strangeness"})
    assert write_dicom_results(tmp_path / "b", ("sr",), exam, reading, image, given, "m", ["pneumonia"]) == ()


def test_nothing_is_written_where_there_is_no_dicom_or_no_answer(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    reading = Reading("study", structures(image.grid))
    out = tmp_path / "out"
    assert write_dicom_results(out, ("seg",), exam_of(tmp_path, files, "nifti"), reading, image, card(), "m", None) == ()
    assert write_dicom_results(out, (), exam_of(tmp_path, files), reading, image, card(), "m", None) == ()
    refused = Reading("study", None, refusal="no")
    assert write_dicom_results(out, ("seg",), exam_of(tmp_path, files), refused, None, card(), "m", None) == ()
    assert not out.exists()
