"""The arrays inside a NumPy archive, one row at a time. Pickled objects are never read.

A large member is not held in memory: where it is stored as it is, its rows are read from the archive, and where it
is packed, it is unpacked once into a temporary file without a name, from which rows are read.
"""

from __future__ import annotations

import math
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import Refused
from overread.imaging.volumes import open_for_reading

IN_MEMORY = 512 << 20  # bytes; a larger member stays on disk
DISK_LEFT = 1 << 30
FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    SyntaxError,
    RuntimeError,  # of a member that is encrypted, or packed in a way that is not known
    MemoryError,
    OverflowError,
)


def member_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    return {name: layout.shape for name, layout in _cached_layouts(str(path), *_stamp(path)).items()}


def member(path: Path, name: str) -> np.ndarray:
    return _cached_member(str(path), name, *_stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the file, so that a changed one is read again."""
    state = open_for_reading(path).stat()
    return state.st_size, state.st_mtime_ns


@dataclass(frozen=True)
class _Layout:
    """What a member's header says, and where its numbers begin inside the member."""

    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    start: int


@lru_cache(maxsize=16)
def _cached_layouts(path: str, size: int, time: int) -> dict[str, _Layout]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if info.filename.endswith(".npy")]
            return {name.removesuffix(".npy"): _layout(archive, name) for name in names}
    except FAULTS as error:
        name = Path(path).name
        raise Refused("unreadable", f"{name} is not a readable NumPy archive: {error}.", "fetch the file again") from error


def _layout(archive: zipfile.ZipFile, name: str) -> _Layout:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
        return _Layout(tuple(shape), dtype, is_fortran, file.tell())


@lru_cache(maxsize=3)
def _cached_member(path: str, name: str, size: int, time: int) -> np.ndarray:
    """A member: a row of a packed one cannot be read alone, so it is unpacked once."""
    layout = _cached_layouts(path, size, time)[name]
    what = f"{Path(path).name}: its array {name}"
    if layout.dtype.kind not in "biuf" or layout.dtype.hasobject:
        raise Refused("bad-type", f"{what} holds {layout.dtype}; expected plain numbers.", "save it as numbers, not as objects")
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{name}.npy")
            expected = math.prod(layout.shape) * layout.dtype.itemsize
            if min((*layout.shape, 1)) < 0 or info.file_size - layout.start < expected:
                raise EOFError(f"{info.file_size - layout.start} bytes for the shape {layout.shape}")
            array = _read(archive, info) if expected <= IN_MEMORY else _mapped(path, archive, info, layout)
    except FAULTS as error:
        raise Refused("truncated", f"{what} cannot be read: {error}.", "fetch the file again") from error
    array.setflags(write=False)
    return array


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _mapped(path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, layout: _Layout) -> np.ndarray:
    """Too large for memory: rows are read from disk as they are asked for."""
    order: Any = "F" if layout.is_fortran else "C"
    if info.compress_type == zipfile.ZIP_STORED:
        start = _data_start(path, info) + layout.start
        return np.memmap(path, layout.dtype, "r", start, layout.shape, order)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if info.file_size > free - DISK_LEFT:
        raise Refused(
            "no-room",
            f"{Path(path).name} needs {info.file_size >> 20} MiB to be unpacked; {free >> 20} MiB are free for temporary files.",
            "free space there, set TMPDIR to a larger disk, or save the archive with numpy.savez, which does not pack",
        )
    with tempfile.TemporaryFile(prefix="overread-") as copy:
        with archive.open(info) as file:
            shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        return np.memmap(copy, layout.dtype, "r", layout.start, layout.shape, order)


def _data_start(path: str, info: zipfile.ZipInfo) -> int:
    """Behind the member's local header, whose lengths may differ from the central one's (PKWARE APPNOTE 4.3.7)."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return int(info.header_offset + 30 + name + extra)
