"""A NIfTI file on disk: one file or a pair, packed or not, whole or cut."""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from overread.core.errors import Refused
from overread.imaging.payload import DEFLATE_RATIO
from overread.imaging.volumes import open_for_reading, refuse_large

HEADER_BYTES = 352  # a file that holds less was cut, whatever its suffix
GZIP_MARK = b"\x1f\x8b"


@contextmanager
def quiet_nibabel() -> Iterator[None]:
    """nibabel tells of odd headers on its own log; what matters is refused or noted here."""
    log = logging.getLogger("nibabel.global")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def load_nifti(path: Path) -> Any:
    open_for_reading(path)
    if path.name.lower().removesuffix(".gz").endswith((".hdr", ".img")) and partner_of(path) is None:
        what = f"{path.name} is half of a pair of files (.hdr and .img); the other half is not there."
        raise Refused("missing-data-file", what, "put both files into one folder")
    try:
        file = nib.load(path) if _has_suffix(path) else _by_mark(path)
    except (nib.filebasedimages.ImageFileError, HeaderDataError, ValueError, OverflowError) as error:
        if path.name.lower().endswith(".gz"):
            _refuse_short(path, _unpack(path, limit=HEADER_BYTES), HEADER_BYTES)
        elif _head(path, 2) == GZIP_MARK:
            raise Refused("misnamed", f"{path.name} is packed with gzip.", f"call it {path.name}.gz") from error
        raise Refused("unreadable", f"{path.name} is not a readable NIfTI file: {error}.", "write it again") from error
    except (EOFError, OSError, zlib.error) as error:
        raise Refused("truncated", f"{path.name} ends before its header does: {error}.", "fetch the file again") from error
    if isinstance(file, nib.Nifti1Pair):  # every NIfTI class is one
        return file
    if isinstance(file, nib.AnalyzeImage):
        raise Refused(
            "analyze",
            f"{path.name} is an Analyze 7.5 file, which cannot tell left from right.",
            "convert it to NIfTI with a program that knows where it came from",
        )
    raise Refused("unreadable", f"{path.name} is a {type(file).__name__}, not a NIfTI file.", "convert it to NIfTI")


def _has_suffix(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".nii", ".hdr", ".img"))


def _head(path: Path, count: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(count)


def _by_mark(path: Path) -> Any:
    """A file whose name says nothing; its class comes from the mark in its header."""
    head = _head(path, HEADER_BYTES)
    kinds = {b"n+1": nib.Nifti1Image, b"n+2": nib.Nifti2Image}
    kind = kinds.get(head[344:347]) or kinds.get(head[4:7])
    if kind is None:
        raise Refused("unreadable", f"{path.name} is not a readable NIfTI file.", "give it its suffix, .nii or .nii.gz")
    return kind.from_file_map({"image": nib.FileHolder(str(path)), "header": nib.FileHolder(str(path))})


def partner_of(path: Path) -> Path | None:
    """The .img of a .hdr, or the other way round."""
    name = path.name
    packed = name[-3:] if name.lower().endswith(".gz") else ""
    stem, suffix = name[: len(name) - len(packed) - 4], name[len(name) - len(packed) - 4 : len(name) - len(packed)]
    other = {".hdr": ".img", ".img": ".hdr", ".HDR": ".IMG", ".IMG": ".HDR"}.get(suffix)
    found = path.with_name(stem + other + packed) if other else None
    return found if found is not None and found.is_file() else None


def is_pair(path: Path) -> bool:
    """A .hdr that has its .img beside it, or says itself that it should."""
    return partner_of(path) is not None or (path.is_file() and _head(path, HEADER_BYTES)[344:347] == b"ni1")


def voxel_path(path: Path) -> Path:
    """The file that holds the voxels."""
    name = path.name.lower().removesuffix(".gz")
    partner = partner_of(path) if name.endswith(".hdr") else None
    return partner or path


def end_of_voxels(file: Any) -> int:
    """Bytes up to the end of the last voxel."""
    return int(file.dataobj.offset) + math.prod(int(n) for n in file.shape) * int(file.get_data_dtype().itemsize)


def refuse_impossible(path: Path, file: Any, index: int | None) -> None:
    """Before anything is allocated: a header that asks for more than the file can hold, or than can be opened."""
    voxels = voxel_path(path)
    size = voxels.stat().st_size
    _refuse_short(path, size * DEFLATE_RATIO if voxels.name.lower().endswith(".gz") else size, end_of_voxels(file))
    shape = tuple(int(n) for n in file.shape)
    is_scaled = (file.dataobj.slope, file.dataobj.inter) != (1.0, 0.0)
    dtype = file.get_data_dtype()
    refuse_large(path.name, shape if index is None else shape[:3], np.dtype(np.float64) if is_scaled else dtype)


def refuse_cut(path: Path, expected: int) -> None:
    """Compare the file's length, or the length that gzip notes at its end, with what the header asks for."""
    size = path.stat().st_size
    if path.name.lower().endswith(".gz"):
        with open(path, "rb") as file:
            file.seek(-min(size, 4), 2)
            noted = int.from_bytes(file.read(4), "little")
        if noted == expected % (1 << 32) and size * DEFLATE_RATIO >= expected:
            return
        size = _unpack(path, limit=expected)  # cut, or written in several parts: only unpacking tells
    _refuse_short(path, size, expected)


def _refuse_short(path: Path, size: int, expected: int) -> None:
    if size < expected:
        raise Refused("truncated", f"{path.name} holds {size} bytes; {expected} are needed.", "fetch the file again")


def _unpack(path: Path, limit: int) -> int:
    """Bytes that a gzip file holds, up to about `limit`; refused where it ends early."""
    count = 0
    try:
        with gzip.open(path) as file:
            while count < limit and (block := file.read(1 << 20)):
                count += len(block)
    except (EOFError, zlib.error) as error:
        raise Refused("truncated", f"{path.name} is cut short or damaged: {error}.", "fetch the file again") from error
    except gzip.BadGzipFile as error:
        raise Refused("unreadable", f"{path.name} is not a gzip file: {error}.", "fetch the file again") from error
    return count
