"""What lies in real folders besides images: links, loops, pipes, closed folders, odd names, discs, copies."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from pydicom.fileset import FileSet

from imaging.make_dicom import CT, make_series, make_tags, write
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.found import Scan
from overread.imaging.header_cache import HeaderCache
from overread.imaging.nifti import write_nifti
from overread.imaging.scan import scan, scan_file

LISTED = {"SeriesNumber": 1, "StudyTime": "120000"}  # what a DICOMDIR asks for
FILM = np.arange(20, dtype=np.uint8).reshape(4, 5)


def refusals(result: Scan) -> dict[str, str]:
    return {refused.path: refused.code for refused in result.refused}


def write_film(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(FILM).save(path, "png")
    return path


def test_pipes_and_sockets_are_named_and_never_opened(tmp_path: Path) -> None:
    write_film(tmp_path / "film.png")
    os.mkfifo(tmp_path / "pipe.dcm")
    os.symlink(tmp_path / "pipe.dcm", tmp_path / "link.dcm")
    here = os.getcwd()
    os.chdir(tmp_path)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
            result = scan(tmp_path)
    finally:
        os.chdir(here)
    assert refusals(result) == {"pipe.dcm": "special-file", "link.dcm": "special-file", "socket": "special-file"}
    assert [found.name for found in result.found] == ["film"]
    with pytest.raises(Refused, match=r"pipe\.dcm is a named pipe"):
        scan_file(tmp_path / "pipe.dcm")


def test_links_are_followed_once_and_broken_ones_are_named(tmp_path: Path) -> None:
    write_film(tmp_path / "z" / "film.png")
    write_film(tmp_path.with_name(tmp_path.name + "-else") / "other.png")
    (tmp_path / "a").symlink_to(tmp_path / "z")  # a second way to the same folder
    (tmp_path / "z" / "up").symlink_to(tmp_path)  # a loop
    (tmp_path / "me").symlink_to("me")
    (tmp_path / "gone.nii").symlink_to("nowhere")
    (tmp_path / "else").symlink_to(tmp_path.with_name(tmp_path.name + "-else"))
    result = scan(tmp_path)
    assert [found.files for found in result.found] == [("else/other.png",), ("z/film.png",)]
    assert refusals(result) == {"gone.nii": "broken-link", "me": "broken-link"}


def test_names_that_are_not_utf8_are_refused_in_letters_that_can_be_written(tmp_path: Path) -> None:
    content = write_film(tmp_path / "film.png").read_bytes()
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(content)
    (tmp_path / os.fsdecode(b"dossier\xe9")).mkdir()
    (tmp_path / "Müller 日本.png").write_bytes(content)
    result = scan(tmp_path)
    assert refusals(result) == {"caf\\xe9.png": "name-not-utf8", "dossier\\xe9": "name-not-utf8"}
    assert {found.name for found in result.found} == {"film", "Müller 日本"}


def test_closed_folders_and_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(tmp_path / "film.png")
    write_film(tmp_path / "closed" / "film.png")
    (tmp_path / "closed.dcm").write_bytes(b"x" * 200)
    whole, opened = os.scandir, open

    def closed_folder(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    def closed_file(path: Path, *rest: object, **more: object) -> object:
        if Path(str(path)).name == "closed.dcm":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr("os.scandir", closed_folder)
    monkeypatch.setattr("builtins.open", closed_file)
    cache = tmp_path.with_suffix(".sqlite")
    result = scan(tmp_path, cache=cache)
    assert refusals(result) == {"closed": "unreadable", "closed.dcm": "unreadable"}
    assert "Permission denied" in result.refused[0].reason
    monkeypatch.undo()  # a permission changes neither size nor time: a refusal is not remembered
    assert refusals(scan(tmp_path, cache=cache)) == {"closed.dcm": "unreadable"}
    assert len(scan(tmp_path, cache=cache).found) == 2


def test_empty_hidden_and_huge_files(tmp_path: Path) -> None:
    write_film(tmp_path / "film.png")
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "IM0001").touch()
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    files = make_series(tmp_path / "ct", [0.0, 1.0])
    with open(files[0], "r+b") as file:
        file.truncate(5 << 30)  # more than 4 GiB, nearly all of it a hole
    with open(tmp_path / "hole.bin", "wb") as file:
        file.truncate(6 << 30)
    result = scan(tmp_path)
    assert [len(found.files) for found in result.eligible] == [2, 1]
    assert refusals(result) == {"empty.nii.gz": "empty-file"}
    assert result.ignored == {"": 1, ".bin": 1}
    assert result.hidden == 3


def test_content_wins_over_a_misleading_name(tmp_path: Path) -> None:
    tags = make_tags(FILM.astype(np.uint16), "1.2.840.10008.5.1.4.1.1.1.1")
    write(tags, tmp_path / "1.2.840.txt")
    write_film(tmp_path / "thumbnail")
    write_nifti(tmp_path / "volume.nii", np.zeros((2, 3, 4), np.int16), Grid.from_spacing((2, 3, 4)))
    (tmp_path / "volume.nii").rename(tmp_path / "volume")
    (tmp_path / "studies.tar.gz").write_bytes(b"\x1f\x8b")
    result = scan(tmp_path)
    assert {found.files[0]: found.format for found in result.found} == {"1.2.840.txt": "dicom", "thumbnail": "raster"}
    assert refusals(result) == {"volume": "wrong-suffix", "studies.tar.gz": "other-archive"}


def test_a_file_that_vanishes_during_the_scan_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [write_film(tmp_path / f"film-{k}.png") for k in range(3)]
    whole = HeaderCache.unknown

    def vanish(cache: HeaderCache) -> int:
        films[1].unlink()
        return whole(cache)

    monkeypatch.setattr(HeaderCache, "unknown", vanish)
    result = scan(tmp_path)
    assert refusals(result) == {"film-1.png": "missing-file"}
    assert len(result.found) == 2


def test_a_dicomdir_is_no_image_and_its_missing_files_are_named(tmp_path: Path) -> None:
    disc = FileSet()
    for number, depth in enumerate((0.0, 1.0, 2.0)):
        place = {"ImagePositionPatient": [0.0, 0.0, depth], "InstanceNumber": number + 1, **LISTED}
        disc.add(make_tags(np.zeros((6, 5), np.int16), CT, **place))
    disc.write(tmp_path / "disc")
    result = scan(tmp_path)
    assert [len(found.files) for found in result.found] == [3]
    assert (result.refused, dict(result.ignored)) == ((), {})
    assert result.notes == ("disc/DICOMDIR is the table of contents of a disc: 3 files, 0 of them missing",)
    with pytest.raises(Refused, match="is the table of contents of a disc"):
        scan_file(tmp_path / "disc" / "DICOMDIR")
    lost = tmp_path / "disc" / result.found[0].files[1].removeprefix("disc/")
    lost.unlink()
    for path in sorted((tmp_path / "disc").rglob("*"), key=lambda p: -len(p.parts)):  # as a disc mounted in small letters
        path.rename(path.with_name(path.name.lower()))
    result = scan(tmp_path)
    assert [(r.code, r.path.lower()) for r in result.refused] == [("missing-file", lost.relative_to(tmp_path).as_posix().lower())]
    assert "lists" in result.refused[0].reason
    assert [len(found.files) for found in result.found] == [2]


def test_a_damaged_dicomdir_is_refused(tmp_path: Path) -> None:
    disc = FileSet()
    disc.add(make_tags(np.zeros((6, 5), np.int16), CT, **LISTED))
    disc.write(tmp_path)
    whole = (tmp_path / "DICOMDIR").read_bytes()
    (tmp_path / "DICOMDIR").write_bytes(whole[: len(whole) // 2])
    result = scan(tmp_path)
    assert "DICOMDIR" in refusals(result) or any(note.startswith("DICOMDIR") for note in result.notes)


def test_one_uid_for_two_images_is_told_from_a_copy(tmp_path: Path) -> None:
    first, second = make_series(tmp_path / "a", [0.0, 1.0], SOPInstanceUID="1.2.9")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "copy").write_bytes(first.read_bytes())
    result = scan(tmp_path)
    names = sorted(path.name for path in (first, second))
    assert refusals(result) == {
        f"a/{names[1]}": "shared-uid",
        "b/copy": "duplicate-file" if first.name == names[0] else "shared-uid",
    }
    assert "a program gave one UID twice" in next(r.reason for r in result.refused if r.code == "shared-uid")


def test_control_characters_do_not_reach_identifiers_of_the_cache(tmp_path: Path) -> None:
    tags = make_tags(FILM.astype(np.uint16), "1.2.840.10008.5.1.4.1.1.1.1", SeriesDescription="a\x1b[2Jb")
    write(tags, tmp_path / "film.dcm")
    cache = tmp_path.with_suffix(".sqlite")
    assert scan(tmp_path, cache=cache) == scan(tmp_path, cache=cache)


def test_the_cache_forgets_what_is_gone_and_is_closed_to_others(tmp_path: Path) -> None:
    images, cache = tmp_path / "images", tmp_path / "cache" / "headers.sqlite"
    files = make_series(images, [0.0, 1.0, 2.0])
    write_film(images / "film.png")
    first = scan(images, cache=cache)
    assert os.stat(cache).st_mode & 0o077 == 0
    files[0].unlink()
    (images / "film.png").unlink()
    assert scan(images, cache=cache) == scan(images)
    database = sqlite3.connect(cache)
    assert database.execute("SELECT COUNT(*) FROM seen").fetchone() == (2,)
    database.close()
    assert len(first.found) == 2


def test_files_that_changed_places_are_read_again(tmp_path: Path) -> None:
    images, cache = tmp_path / "images", tmp_path / "headers.sqlite"
    one, other, _ = make_series(images, [0.0, 1.0, 2.0])
    for path in (one, other):
        os.utime(path, (1, 1))
    before = scan(images, cache=cache)
    one.rename(images / "between")
    other.rename(one)
    (images / "between").rename(other)
    after = scan(images, cache=cache)
    assert after == scan(images)
    assert before.found[0].files != after.found[0].files


def test_a_cache_damaged_inside_or_held_by_another_does_no_harm(tmp_path: Path) -> None:
    images, cache = tmp_path / "images", tmp_path / "headers.sqlite"
    make_series(images, [float(k) for k in range(40)])
    plain = scan(images)
    assert scan(images, cache=cache) == plain
    content = bytearray(cache.read_bytes())
    content[8192:20480] = os.urandom(12288)
    cache.write_bytes(content)
    assert scan(images, cache=cache) == plain
    assert scan(images, cache=cache) == plain
    holder = sqlite3.connect(cache)
    holder.execute("BEGIN EXCLUSIVE")
    assert scan(images, cache=cache) == plain
    holder.close()


def test_without_series_uids_folders_tell_series_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_series(tmp_path / name, [0.0, 1.0, 2.0], SeriesInstanceUID=None, StudyInstanceUID=None)
    assert [len(found.files) for found in scan(tmp_path).eligible] == [3, 3]


SLOW_SCAN = """
import sys, time
from pathlib import Path
import overread.imaging.inspect as inspect
from overread.imaging.scan import scan
whole = inspect.read_header
def slow(path):
    time.sleep(0.02)
    return whole(path)
inspect.read_header = slow
scan(Path(sys.argv[1]), workers=2, cache=Path(sys.argv[2]), progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_scan_leaves_no_process_and_a_valid_cache(tmp_path: Path, how: signal.Signals) -> None:
    images, cache = tmp_path / "images", tmp_path / "headers.sqlite"
    make_series(images, [float(k) for k in range(260)])
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_SCAN, images, cache], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.kill()
    _, words = process.communicate(timeout=30)
    assert words.count(b"Traceback") <= 1  # of the scan itself, none of its helpers
    assert is_over(process.pid)
    plain = scan(images)
    assert scan(images, cache=cache) == plain
    assert scan(images, cache=cache) == plain


def is_over(group: int) -> bool:
    """Whether no process of a group is left, within some seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
