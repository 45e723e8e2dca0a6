"""overread deidentify: from a folder with identifiers to a copy without, and back only with the re-link table."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from imaging.make_dicom import SECONDARY_CAPTURE, make_series, make_tags, write
from overread.cli.main import main
from overread.core.errors import OverreadError, Refused
from overread.imaging.scan import scan
from overread.workflow import deidentify as workflow
from overread.workflow.deidentify import confirm, deidentify

NAME = "Zyxwarren"


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    """Two patients, an ultrasound picture, a volume with its name, a report, a damaged file, a sheet."""
    folder = tmp_path / "originals"
    make_series(folder / f"{NAME}_CT", [0.0, 5.0], PatientName=f"{NAME}^Ann", PatientID="MRN-11", StudyInstanceUID="1.2.11")
    make_series(
        folder / "other",
        [0.0],
        PatientID="MRN-22",
        StudyInstanceUID="1.2.22",
        SeriesInstanceUID="1.2.22.1",
        BodyPartExamined="HEAD",
        AccessionNumber="ACC-22",
    )
    picture = make_tags(
        np.full((40, 60, 3), 90, np.uint8), SECONDARY_CAPTURE, PatientID="MRN-22", Modality="US", StudyInstanceUID="1.2.22"
    )
    write(picture, folder / "us.dcm")
    nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_filename(folder / f"{NAME}.nii.gz")
    (folder / "report.pdf").write_bytes(b"%PDF " + NAME.encode())
    (folder / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + NAME.encode())
    with open(tmp_path / "sheet.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["exam", "patient", "name", "study_date", "age", "label", "remark", "volume"])
        writer.writerow([f"{NAME}_CT", "MRN-11", NAME, "2020-01-02", "97", "positive", f"call {NAME}", f"{NAME}.nii.gz"])
        writer.writerow(["other", "MRN-22", "Roe", "2020-01-09", "40", "negative", "next week", ""])
        writer.writerow(["absent", "MRN-33", "Poe", "2020-01-09", "40", "negative", "", ""])
    return folder


def test_journey(originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, link = tmp_path / "shared" / "out", tmp_path / "private" / "link.csv"
    words = ["deidentify", str(originals), str(out), "--link", str(link), "--sheet", str(tmp_path / "sheet.csv")]
    assert main([*words, "--retain-dates-modified", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["files"], told["patients"], told["studies"], told["status"]) == (5, 2, 2, "needs review")
    assert {entry["code"] for entry in told["left_out"]} >= {"not-taken"}
    assert len(told["left_out"]) == 2
    assert told["series_with_a_face"] == 1
    for path in out.rglob("*"):
        assert NAME not in path.name
        assert path.is_dir() or (NAME.encode() not in path.read_bytes() and b"MRN-" not in path.read_bytes()), path
    found = scan(out).found
    assert {one.format for one in found} == {"dicom", "nifti"}
    assert stat.S_IMODE(os.stat(link).st_mode) == 0o600
    assert "MRN-11" in link.read_text()
    assert json.loads((out / "deidentification.json").read_text())["status"] == "needs review"
    with open(out / "sheet.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert "remark" not in rows[0]
    ids = {str(pydicom.dcmread(path).PatientID) for path in out.rglob("*.dcm")}
    assert {row["patient"] for row in rows} == ids
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert rows[0]["age"] == "90"
    assert rows[0]["study_date"] != "2020-01-02"
    assert (out / rows[0]["volume"]).exists()

    assert main(["deidentify", str(out), "--confirm"]) == 0
    assert json.loads((out / "deidentification.json").read_text())["status"] == "reviewed"
    with pytest.raises(OverreadError, match="before"):
        confirm(out)


def test_the_same_table_gives_the_same_identifiers_and_no_table_others(originals: Path, tmp_path: Path) -> None:
    link = tmp_path / "private" / "link.csv"
    for name in ("a/out", "b/out"):
        deidentify(originals, tmp_path / name, link=link)
    deidentify(originals, tmp_path / "c/out")
    names = [
        sorted(p.relative_to(tmp_path / n).as_posix() for p in (tmp_path / n).rglob("*.dcm")) for n in ("a/out", "b/out", "c/out")
    ]
    assert names[0] == names[1]
    assert not set(names[0]) & set(names[2])


def test_regions_are_blackened_on_request(originals: Path, tmp_path: Path) -> None:
    link, regions = tmp_path / "private" / "link.csv", tmp_path / "regions.json"
    regions.write_text(json.dumps({"format": 1, "regions": [{"modality": "US", "rows": 40, "boxes": [[0, 0, 10, 60]]}]}))
    done = deidentify(originals, tmp_path / "a" / "out", link=link, mask=regions)
    assert done.masked == 1
    assert done.status == "needs review"
    pixels = [
        pydicom.dcmread(p).pixel_array for p in (tmp_path / "a" / "out").rglob("*.dcm") if pydicom.dcmread(p).Modality == "US"
    ]
    assert pixels[0][:10].max() == 0
    assert pixels[0][10:].min() == 90
    regions.write_text(json.dumps({"format": 1, "regions": [{"series": "1.2.99", "boxes": [[0, 0, 10, 60]]}]}))
    with pytest.raises(Refused) as refused:
        deidentify(originals, tmp_path / "b" / "out", mask=regions)
    assert refused.value.code == "region-unused"
    assert not (tmp_path / "b" / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"format":1,"regions":[{"boxes":[[0,0,1,1]]}]}',
        '{"format":1,"regions":[{"modality":"US","boxes":[[5,0,1,1]]}]}',
    ],
)
def test_faulty_regions_are_named(originals: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "regions.json").write_text(text)
    with pytest.raises(OverreadError, match="regions"):
        deidentify(originals, tmp_path / "out" / "x", mask=tmp_path / "regions.json")


def test_places_that_are_refused(originals: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    (tmp_path / "linked").symlink_to(originals)
    for out, code in (
        (originals, "in-place"),
        (tmp_path / "linked", "in-place"),
        (originals / "out", "output-in-input"),
        (tmp_path, "input-in-output"),
        (full, "not-empty"),
    ):
        with pytest.raises(Refused) as refused:
            deidentify(originals, out)
        assert refused.value.code == code
    for link, code in (
        (tmp_path / "link.csv", "link-beside-output"),
        (tmp_path / "out" / "deep" / "link.csv", "link-beside-output"),
        (originals / "link.csv", "link-in-input"),
    ):
        with pytest.raises(Refused) as refused:
            deidentify(originals, tmp_path / "out", link=link)
        assert refused.value.code == code
    assert not (tmp_path / "out").exists()


def test_a_stop_leaves_nothing_half(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def stop_at_the_third(*given: object) -> object:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    real = workflow.deidentify_file
    monkeypatch.setattr(workflow, "deidentify_file", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        deidentify(originals, tmp_path / "shared" / "out", link=tmp_path / "private" / "link.csv")
    assert list((tmp_path / "shared").iterdir()) == []
    assert not (tmp_path / "private").exists()


def test_nothing_to_take_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "report.pdf").write_bytes(b"%PDF")
    assert main(["deidentify", str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    assert "not de-identified (.pdf)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["deidentify", str(tmp_path / "in")]) == 2


def test_several_processes_write_the_same(originals: Path, tmp_path: Path) -> None:
    link = tmp_path / "private" / "link.csv"
    one = deidentify(originals, tmp_path / "a" / "out", link=link, workers=1)
    two = deidentify(originals, tmp_path / "b" / "out", link=link, workers=2)
    assert one.log == two.log
    files = [
        {p.relative_to(tmp_path / n / "out"): p.read_bytes() for p in (tmp_path / n / "out").rglob("*") if p.is_file()}
        for n in "ab"
    ]
    assert files[0] == files[1]
