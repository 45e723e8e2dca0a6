"""Studies in .zip files: found, opened, and refused where the archive is not what it should be."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from imaging.make_dicom import make_series
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging import archive
from overread.imaging.archive import archive_of, file_of, list_members, unpacked
from overread.imaging.nifti import write_nifti
from overread.imaging.scan import scan, scan_file


def zip_up(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", how) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


def codes(folder: Path) -> dict[str, str]:
    return {refused.path: refused.code for refused in scan(folder).refused}


@pytest.fixture
def study(tmp_path: Path) -> dict[str, bytes]:
    """A CT series, a volume, a film and a table, as an export would name them."""
    made = tmp_path / "made"
    content = {f"DICOM/IM{k:04d}": path.read_bytes() for k, path in enumerate(make_series(made, [0.0, 2.0, 4.0]))}
    write_nifti(made / "volume.nii.gz", np.zeros((2, 3, 4), np.int16), Grid.from_spacing((2, 3, 4), (3, 2, 1)))
    Pillow.fromarray(np.zeros((4, 5), np.uint8)).save(made / "film.png")
    np.savez(made / "set.npz", train_images=np.zeros((2, 4, 4), np.uint8), train_labels=np.array([[0], [1]]))
    for name in ("volume.nii.gz", "film.png", "set.npz"):
        content[f"other/deep/{name}"] = (made / name).read_bytes()
    return content | {"labels.csv": b"id,label\n", ".DS_Store": b"x", "__MACOSX/DICOM/._IM0000": b"x", "empty/": b""}


def test_members_are_found_as_if_the_archive_were_a_folder(tmp_path: Path, study: dict[str, bytes]) -> None:
    images = tmp_path / "images"
    zip_up(images / "exports" / "study.zip", study)
    result = scan(images)
    assert result.refused == ()
    by_format = {found.format: found for found in result.found}
    assert by_format["dicom"].files == tuple(f"exports/study.zip/DICOM/IM{k:04d}" for k in range(3))
    assert by_format["dicom"].spacing == pytest.approx((2.0, 0.8, 0.7))
    assert by_format["nifti"].shape == (2, 3, 4)
    assert by_format["raster"].name == "film"
    assert [(f.index, f.attributes["labels"]) for f in result.found if f.format == "npz"] == [(0, (0,)), (1, (1,))]
    assert result.ignored == {".csv": 1}
    assert result.notes == ("exports/study.zip is an archive; files read in it: 7",)
    cache = tmp_path / "headers.sqlite"
    assert scan(images, cache=cache) == result
    assert scan(images, cache=cache) == result
    assert scan(images, workers=2) == result


def test_one_archive_is_read_like_a_folder(tmp_path: Path, study: dict[str, bytes]) -> None:
    path = zip_up(tmp_path / "images" / "study.zip", study)
    assert scan_file(path) == scan(path.parent).found
    zip_up(path, {"a.txt": b"x"})
    with pytest.raises(Refused, match=r"study\.zip holds no image that can be read"):
        scan_file(path)


def test_members_are_opened_by_copies_that_do_not_stay(tmp_path: Path, study: dict[str, bytes]) -> None:
    path = zip_up(tmp_path / "study.zip", study)
    plain = tmp_path / "plain"
    plain.write_text("x")
    with unpacked([path / "DICOM/IM0001", plain]) as (copy, same):
        assert copy.read_bytes() == study["DICOM/IM0001"]
        assert (copy.name, same) == ("IM0001", plain)
    assert not copy.exists()
    with pytest.raises(Refused, match="holds no member called 'DICOM/IM9'"), unpacked([path / "DICOM/IM9"]):
        pass
    assert archive_of(path / "DICOM/IM0001") == (path, "DICOM/IM0001")
    assert archive_of(plain) is None
    assert archive_of(tmp_path / "nowhere") is None
    assert file_of(tmp_path, "study.zip/DICOM/IM0001") == "study.zip"
    assert file_of(tmp_path, "plain") == "plain"


def test_a_detached_header_brings_its_voxels(tmp_path: Path) -> None:
    lines = ["NRRD0004", "type: uint8", "dimension: 3", "sizes: 4 3 2", "space: left-posterior-superior"]
    lines += ["space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)", "encoding: raw", "data file: v.raw", ""]
    path = zip_up(tmp_path / "v.zip", {"a/v.nhdr": "\n".join(lines).encode(), "a/v.raw": bytes(24), "b/v.raw": b""})
    result = scan(path.parent)
    assert [(found.format, found.shape, found.files) for found in result.found] == [
        ("nrrd", (2, 3, 4), ("v.zip/a/v.nhdr", "v.zip/a/v.raw"))
    ]
    assert result.ignored == {".raw": 1}


def test_an_archive_that_lies_unpacked_beside_itself_counts_once(tmp_path: Path, study: dict[str, bytes]) -> None:
    path = zip_up(tmp_path / "images" / "study.zip", study)
    with zipfile.ZipFile(path) as source:
        source.extractall(path.with_suffix(""))
    result = scan(path.parent)
    assert all(name.startswith("study/") for found in result.found for name in found.files)
    assert result.notes == ("study.zip lies unpacked beside itself; its files were read there",)
    (path.with_suffix("") / "DICOM" / "IM0002").unlink()
    kept = [found for found in scan(path.parent).found if found.format == "dicom"]
    assert kept[0].files == ("study/DICOM/IM0000", "study/DICOM/IM0001", "study.zip/DICOM/IM0002")


def test_windows_names_are_read_and_names_that_leave_the_archive_are_not(tmp_path: Path) -> None:
    image = (make_series(tmp_path / "made", [0.0, 1.0])[0]).read_bytes()
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as target:
        for name in ("DICOM\\IM1", "../../outside", "/etc/passwd", "C:/Windows/IM2", "a//b"):
            info = zipfile.ZipInfo("x")
            info.filename = name
            target.writestr(info, image)
    contents = list_members(tmp_path / "study.zip")
    assert [member.path for member in contents.members] == ["DICOM/IM1"]
    assert {code for _, code, _ in contents.refused} == {"unsafe-name"}
    assert len(contents.refused) == 4
    (found,) = scan_file(tmp_path / "study.zip")
    with unpacked([tmp_path / name for name in found.files]) as (copy,):
        assert copy.read_bytes() == image


def test_encrypted_damaged_and_nested_archives_are_refused_by_name(tmp_path: Path, study: dict[str, bytes]) -> None:
    images = tmp_path / "images"
    whole = zip_up(images / "a.zip", study).read_bytes()
    locked = bytearray(whole)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = locked.find(mark)
        while place >= 0:
            locked[place + at] |= 1
            place = locked.find(mark, place + 4)
    (images / "locked.zip").write_bytes(locked)
    (images / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (images / "none.zip").write_bytes(b"")
    (images / "text.zip").write_bytes(b"this is no archive" * 20)
    bad = bytearray(whole)
    start = bad.find(b"DICOM/IM0001") + len(b"DICOM/IM0001")
    bad[start + 20 : start + 60] = b"\xff" * 40
    (images / "bad.zip").write_bytes(bad)
    zip_up(images / "nested.zip", {"inner.zip": whole, "inner.tar.gz": b""})
    found = codes(images)
    refused = {name: code for name, code in found.items() if code != "duplicate-file"}
    assert refused == {
        "locked.zip": "encrypted",
        "cut.zip": "damaged-archive",
        "none.zip": "damaged-archive",
        "text.zip": "damaged-archive",
        "bad.zip/DICOM/IM0001": "damaged-archive",
        "nested.zip/inner.zip": "nested-archive",
        "nested.zip/inner.tar.gz": "nested-archive",
    }
    with pytest.raises(Refused, match=r"locked\.zip is encrypted\.\n  Next: unpack it with its password"):
        scan_file(images / "locked.zip")


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zip_up(tmp_path / "bomb.zip", {"IM1": bytes(1 << 22)})
    monkeypatch.setattr(archive, "SUSPICIOUS_BYTES", 1 << 20)
    with pytest.raises(Refused, match=r"would unpack to .* times its size") as refusal:
        list_members(path)
    assert refusal.value.code == "suspicious-archive"
    monkeypatch.undo()
    monkeypatch.setattr(archive, "ROOM_LEFT", 1 << 62)
    assert codes(tmp_path) == {"bomb.zip/IM1": "no-room"}


def test_a_member_cannot_grow_beyond_what_the_archive_says(tmp_path: Path) -> None:
    content = bytearray(zip_up(tmp_path / "lie.zip", {"IM1.nii": bytes(1 << 20)}).read_bytes())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.find(mark)
        content[place + at : place + at + 4] = struct.pack("<I", 1000)
    (tmp_path / "lie.zip").write_bytes(content)
    assert codes(tmp_path) == {"lie.zip/IM1.nii": "damaged-archive"}


def test_a_table_of_contents_that_cannot_be_held_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zip_up(tmp_path / "many.zip", {f"IM{k}": b"" for k in range(100)})
    monkeypatch.setattr(archive, "LONGEST_DIRECTORY", 1000)
    with pytest.raises(Refused, match="table of contents"):
        list_members(path)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 50)  # so that the end is written in 64 bits
    zip_up(path, {f"IM{k}": b"" for k in range(100)})
    with pytest.raises(Refused, match="table of contents"):
        list_members(path)


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_packing_of_python_is_read(tmp_path: Path, study: dict[str, bytes], how: int) -> None:
    path = zip_up(tmp_path / "images" / "study.zip", study, how)
    assert len(scan(path.parent).eligible) == 5


def test_a_packing_that_python_lacks_is_named(tmp_path: Path, study: dict[str, bytes]) -> None:
    content = bytearray(zip_up(tmp_path / "images" / "study.zip", {"IM1": study["DICOM/IM0000"]}).read_bytes())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.find(mark)
        content[place + at : place + at + 2] = struct.pack("<H", 9)  # deflate64, as Windows packs large files
    (tmp_path / "images" / "study.zip").write_bytes(content)
    assert codes(tmp_path / "images") == {"study.zip/IM1": "unsupported-compression"}
