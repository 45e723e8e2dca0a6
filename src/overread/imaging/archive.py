"""Studies exported as .zip: members are listed, inspected and opened one by one, never the whole archive at once.

A member is named as if the archive were a folder: ``export.zip/DICOM/IM0001``. What needs a file of its own gets
a copy in a temporary folder, named by the member's last part alone, so that no member can be written elsewhere.
"""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from overread.core.errors import Refused

SUFFIX = ".zip"
MARK = b"PK\x03\x04"
OTHER_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".7z", ".rar", ".z01")
OF_SEVERAL_FILES = (".hdr", ".img", ".nhdr", ".mhd")  # the header names a file of voxels beside it
LONGEST_DIRECTORY = 64 << 20  # bytes; each of some 100 becomes about 600 in memory
END_WITHIN = 65_557  # the end record and the longest comment
SUSPICIOUS_BYTES, SUSPICIOUS_RATIO = 2 << 30, 100  # images that shrink to a hundredth are empty, or a trap
ROOM_LEFT = 1 << 30  # bytes that a copy must leave on the disk
BLOCK = 1 << 20
UNPACK = "unpack it with another program, such as 7-Zip, and give the folder"
ENCRYPTED = 0x1
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, UnicodeError, ValueError)
END, END_64, WHERE_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"  # PKWARE APPNOTE 4.3.14 to 4.3.16


@dataclass(frozen=True)
class Member:
    """One file in an archive: its path with forward slashes, its size when unpacked, its checksum."""

    path: str
    size: int
    checksum: int


@dataclass(frozen=True)
class Contents:
    """What is in an archive, hidden files apart.

    refused  (path, code, reason) of members that are not taken
    """

    members: tuple[Member, ...]
    refused: tuple[tuple[str, str, str], ...]


def list_members(path: Path) -> Contents:
    """The files of an archive from its table of contents; refused where it is encrypted, damaged or a trap."""
    path = Path(path)
    _refuse_crowd(path)
    infos = _opened(path).file.infolist()
    if any(info.flag_bits & ENCRYPTED for info in infos):
        raise Refused("encrypted", f"{path.name} is encrypted.", "unpack it with its password, and give the folder")
    _refuse_trap(path, infos)
    members: dict[str, Member] = {}
    refused: list[tuple[str, str, str]] = []
    for info in infos:
        name = _plain(info)
        if info.is_dir() or _is_link(info) or _is_hidden(name):
            continue
        if _is_unsafe(name):
            refused.append((name, "unsafe-name", f"{path.name} holds a member called {name!r}, which points out of the archive."))
        elif name in members:
            refused.append((name, "duplicate-member", f"{path.name} holds two members called {name!r}."))
        else:
            members[name] = Member(name, info.file_size, info.CRC)
    return Contents(tuple(members.values()), tuple(refused))


def archive_of(path: Path) -> tuple[Path, str] | None:
    """(archive, path inside) of a path that leads through an archive; None for an ordinary path."""
    path = Path(path)
    if path.exists():
        return None
    for parent in path.parents:
        if parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def file_of(folder: Path, name: str) -> str:
    """The file below `folder` in which `name` lies: the archive of a member, or itself."""
    found = archive_of(Path(folder) / name)
    return name if found is None else found[0].relative_to(folder).as_posix()


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Paths that can be opened: the given ones, members of archives as copies that are gone afterwards."""
    places = [archive_of(Path(path)) for path in paths]
    if not any(places):
        yield [Path(path) for path in paths]
        return
    with tempfile.TemporaryDirectory(prefix="overread-") as folder:
        beside = Path(folder)
        yield [
            Path(path) if place is None else _copy_out(*place, beside / str(k))
            for k, (path, place) in enumerate(zip(paths, places, strict=True))
        ]


def lies_unpacked(path: Path, members: Sequence[Member]) -> bool:
    """Whether each member lies beside the archive too, as a file of the same size: it was unpacked and left there."""
    places = (path.parent, path.parent / path.stem)
    return bool(members) and any(all(_has_size(place / m.path, m.size) for m in members) for place in places)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _copy_out(archive: Path, name: str, folder: Path) -> Path:
    """Write one member, and the files that belong to it, into a new folder."""
    folder.mkdir()
    table = _opened(archive).by_name
    if name not in table:
        raise Refused("missing-file", f"{archive.name} holds no member called {name!r}.", "scan the folder again")
    wanted = [name]
    if name.lower().endswith(OF_SEVERAL_FILES):
        wanted += [other for other in table if other != name and PurePosixPath(other).parent == PurePosixPath(name).parent]
    for each in wanted:
        _write_member(archive, table[each], folder / PurePosixPath(each).name)
    return folder / PurePosixPath(name).name


def _write_member(archive: Path, info: zipfile.ZipInfo, to: Path) -> None:
    free = shutil.disk_usage(to.parent).free
    if info.file_size > free - ROOM_LEFT:
        what = (
            f"{to.name} in {archive.name} needs {info.file_size >> 20} MiB for a copy; {free >> 20} MiB are free in {to.parent}."
        )
        raise Refused("no-room", what, "free space there, or set TMPDIR to a folder on a larger disk")
    try:
        with _opened(archive).file.open(info) as source, open(to, "xb") as file:
            shutil.copyfileobj(source, file, BLOCK)
    except NotImplementedError as error:
        what = f"{to.name} in {archive.name} is packed in a way that cannot be read here ({error})."
        raise Refused("unsupported-compression", what, UNPACK) from error
    except DAMAGED as error:
        raise _damaged(f"{to.name} in {archive.name}", error) from error
    except RuntimeError as error:  # zipfile says so of a member that needs a password
        raise Refused("encrypted", f"{to.name} in {archive.name} is encrypted.", "unpack it with its password") from error


def _damaged(what: str, error: Exception) -> Refused:
    return Refused("damaged-archive", f"{what} is damaged: {error}.", "fetch the archive again")


@dataclass(frozen=True)
class _Open:
    file: zipfile.ZipFile
    by_name: dict[str, zipfile.ZipInfo]


def _opened(path: Path) -> _Open:
    """The archive, kept open for its next member."""
    state = path.stat()
    try:
        return _kept_open(str(path), state.st_size, state.st_mtime_ns, os.getpid())
    except NotImplementedError as error:
        raise Refused("unsupported-compression", f"{path.name} cannot be read here: {error}.", UNPACK) from error
    except DAMAGED as error:
        raise _damaged(path.name, error) from error


@lru_cache(maxsize=1)
def _kept_open(path: str, size: int, time: int, process: int) -> _Open:
    """By process too: a forked one shares the place in the file with its parent, and each would move the other's."""
    file = zipfile.ZipFile(path)
    by_name: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        by_name.setdefault(_plain(info), info)
    return _Open(file, by_name)


def _plain(info: zipfile.ZipInfo) -> str:
    """With forward slashes: some programs of Windows write the other ones."""
    return info.filename.replace("\\", "/")


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _is_hidden(name: str) -> bool:
    return any(part == "__MACOSX" or (part.startswith(".") and part.strip(".") != "") for part in name.split("/"))


def _is_unsafe(name: str) -> bool:
    parts = name.split("/")
    return not name or ".." in parts or "." in parts or "" in parts or ":" in parts[0]


def _refuse_trap(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Archives made to fill a disk: little that would become much."""
    inside, outside = sum(info.file_size for info in infos), path.stat().st_size
    if inside > SUSPICIOUS_BYTES and inside > SUSPICIOUS_RATIO * outside:
        size = f"{inside / 2**30:.1f} GiB from {outside / 2**20:.1f} MiB"
        what = f"{path.name} would unpack to {size}, {inside // outside} times its size."
        raise Refused("suspicious-archive", what, "if you trust it, unpack it yourself, and give the folder")


def _refuse_crowd(path: Path) -> None:
    """Refuse a table of contents too long to be held, before it is read."""
    with open(path, "rb") as file:
        length = _directory_bytes(file, path.stat().st_size)
    if length > LONGEST_DIRECTORY:
        what = f"{path.name} has a table of contents of {length >> 20} MiB, for some hundred thousand members."
        raise Refused("too-many-members", what, UNPACK)


def _directory_bytes(file: IO[bytes], size: int) -> int:
    """As the end of the archive says; 0 where there is no end (zipfile then says what is wrong)."""
    file.seek(max(0, size - END_WITHIN))
    tail = file.read(END_WITHIN)
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        return 0
    if at >= 20 and tail[at - 20 : at - 16] == WHERE_64:
        (where,) = struct.unpack("<Q", tail[at - 12 : at - 4])
        file.seek(min(where, size))
        record = file.read(48)
        if record[:4] == END_64 and len(record) == 48:
            return int(struct.unpack("<Q", record[40:48])[0])
    return int(struct.unpack("<I", tail[at + 12 : at + 16])[0])
