"""`overread init --dry-run`: a table of what is there, with nothing said but where the images lie, and nothing written."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.uid import generate_uid

from imaging.make_dicom import CT, make_series, make_tags, write
from overread.cli.main import main
from overread.core.errors import OverreadError
from overread.workflow.init import init


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two patients, one with a second study; a scout, a gap, a copy, a broken file and a text with a trap for terminals."""
    folder = tmp_path / "images"
    good = make_series(folder / "p1" / "ct", [0.0, 2.0, 4.0], SeriesNumber=2)
    scout = {"SeriesInstanceUID": "1.9", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesDescription": "Topogram"}
    make_series(folder / "p1" / "scout", [0.0], SeriesNumber=1, **scout)  # type: ignore[arg-type]
    later = {"StudyInstanceUID": "1.2.9", "SeriesInstanceUID": "1.2.9.1", "StudyDate": "20210304"}
    make_series(folder / "p1" / "later", [0.0, 2.0, 4.0, 8.0], SeriesDescription="gap\x1b[2J", **later)  # type: ignore[arg-type]
    other = {"PatientID": "MRN-0002", "StudyInstanceUID": "1.3", "SeriesInstanceUID": "1.3.1"}
    write(make_tags(np.zeros((6, 5), np.int16), CT, **other), folder / "p2" / "one.dcm")
    (folder / "copy.dcm").write_bytes(good[0].read_bytes())
    (folder / "cut.dcm").write_bytes(good[0].read_bytes()[:-10])
    (folder / "notes.txt").write_text("x")
    return folder


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = main(["init", *map(str, words), "--dry-run"])
    return code, capsys.readouterr().out


def test_every_series_is_listed_with_pass_or_the_reason(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, out = told(capsys, tmp_path / "p", "--images", images)
    assert code == 0
    assert sorted(tmp_path.rglob("*")) == before
    lines = out.splitlines()
    assert lines[0] == f"Looked at {images}: 2 patients, 3 studies, 4 series, 4 images, of which 1 pass"
    rows = [line.split("  ") for line in lines[2:7]]
    table = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert table[0] == ["patient", "study", "series", "kind", "files", "size (Z, Y, X)", "spacing mm", "pass, or why not"]
    assert table[1] == ["MRN-0001", "2020-01-02", "1 Topogram", "CT", "1", "1 x 6 x 5", "0.8 x 0.7", "localizer"]
    assert table[2] == ["2 CT thorax", "CT", "3", "3 x 6 x 5", "2 x 0.8 x 0.7", "pass"]
    assert table[3][:2] == ["2021-03-04", "gap?[2J"]
    assert table[3][-1] == "missing-slice"
    assert table[4][0] == "MRN-0002"
    assert "slices are 2.00 mm apart, but 4.00 mm between slices 3 and 4" in out
    assert "(--gaps resample)" in out  # the way out stands beside the reason
    assert "copy.dcm" not in lines[3]
    assert "duplicate-file" in out
    assert "truncated" in out
    assert "No images: 1 .txt" in out
    assert "Before a project can be made" in out
    assert "\x1b" not in out


def test_the_table_as_json(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = told(capsys, tmp_path / "p", "--images", images, "--json")
    facts = json.loads(out)
    assert (code, facts["ready"]) == (0, False)
    assert facts["undecided"]["error"]
    scanned = facts["scan"]
    counts = {key: scanned[key] for key in ("patients", "studies", "series", "found", "pass")}
    assert counts == {"patients": 2, "studies": 3, "series": 4, "found": 4, "pass": 1}
    (good,) = (image for image in scanned["images"] if image["pass"])
    assert (good["patient"], good["study"], good["series"], good["files"]) == ("MRN-0001", "1.2.3", "1.2.3.4", 3)
    assert (good["shape"], good["modality"], good["code"]) == ([3, 6, 5], "CT", None)
    codes = {image["code"]: image["reason"] for image in scanned["images"] if not image["pass"]}
    assert set(codes) == {"localizer", "missing-slice", "one-slice"}
    assert {refused["code"] for refused in scanned["refused"]} == {"duplicate-file", "truncated"}
    assert scanned["no_images"] == {".txt": 1}


def test_what_can_be_repaired_is_shown(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = told(capsys, tmp_path / "p", "--images", images, "--gaps", "resample")
    assert "pass (gaps repaired)" in out


def test_an_archive_alone_is_looked_at_and_nothing_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = make_series(tmp_path / "unpacked" / "elsewhere", [0.0, 2.0, 4.0])
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as target:
        for file in files:
            target.write(file, f"study/{file.name}")
    _, out = told(capsys, tmp_path / "p", "--images", tmp_path / "study.zip")
    assert "1 series, 1 image, of which 1 pass" in out.splitlines()[0]
    assert "elsewhere" not in out
    assert "duplicate-file" not in out


def test_a_volume_is_shown_though_the_name_is_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k, (b, name) in enumerate(((0, "first"), (800, "second"))):
        tags = {"DiffusionBValue": float(b), "SeriesDescription": "diffusion " * 6, "InstanceNumber": k}
        make_series(tmp_path / "images" / name, [0.0, 2.0, 4.0], **tags)  # type: ignore[arg-type]
    for file in (tmp_path / "images" / "second").iterdir():
        tags = pydicom.dcmread(file)
        tags.SOPInstanceUID = tags.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        tags.save_as(file)
    _, out = told(capsys, tmp_path / "p", "--images", tmp_path / "images")
    assert "... [b 0]" in out
    assert "... [b 800]" in out


def test_files_of_one_folder_share_a_row_and_a_zip_is_looked_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("ill", "well"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for k in range(3):
            Pillow.fromarray(np.full((4, 5), k, np.uint8)).save(tmp_path / "images" / kind / f"{k}.png")
    with zipfile.ZipFile(tmp_path / "images" / "more.zip", "w") as target:
        target.write(tmp_path / "images" / "ill" / "0.png", "deep/0.png")
    _, out = told(capsys, tmp_path / "p", "--images", tmp_path / "images")
    assert "7 images, of which 7 pass" in out.splitlines()[0]
    assert [line.split()[:3] for line in out.splitlines()[3:6]] == [
        ["ill", "raster", "3"],
        ["0", "raster", "1"],
        ["well", "raster", "3"],
    ]
    assert "more.zip is an archive; files read in it: 1" in out


def test_a_rehearsal_that_could_be_made_says_both(tmp_path: Path) -> None:
    for kind in ("ill", "well"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for k in range(10):
            noise = np.random.default_rng(k + 100 * (kind == "ill")).integers(0, 255, (8, 8)).astype(np.uint8)
            Pillow.fromarray(noise).save(tmp_path / "images" / kind / f"{kind}{k}.png")
    project = init(tmp_path / "p", tmp_path / "images", positive="ill", dry_run=True)
    assert project.summary is not None
    assert project.summary.facts["ready"] is True
    assert project.summary.facts["scan"]["pass"] == 20
    assert str(project.summary).index("Looked at") < str(project.summary).index("Partitions")
    undecided = init(tmp_path / "p", tmp_path / "images", dry_run=True)
    assert undecided.summary is not None
    assert "positive" in str(undecided.summary)
    assert not (tmp_path / "p").exists()


def test_a_folder_that_is_not_there_is_an_error_still(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match="does not exist"):
        init(tmp_path / "p", tmp_path / "nowhere", dry_run=True)
