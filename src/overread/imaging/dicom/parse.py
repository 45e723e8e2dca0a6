"""The general parser of DICOM files, within bounds: a damaged or hostile file is refused before it takes minutes or gigabytes.

pydicom believes every length and reads to the end whatever stands there. Here each outer element is looked at before
its value is read, sequences without a length are walked through first, and deflated files are inflated piece by piece.
Source: DICOM PS3.5 section 7 (data set), A.5 (deflated), PS3.10 section 7 (file).
"""

from __future__ import annotations

import mmap
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from overread.core.errors import OverreadError, Refused
from overread.imaging.dicom.structure import PIXELS, UNDEFINED, end_of_sequence, start_of_elements

ZEROS = 72  # bytes; after eight at most a real object says something
HEAD = 1 << 16  # bytes in which the file's own group 0002 must end
MOST_ELEMENTS = 50_000  # outer ones; the most private of real files have some thousand
LONGEST_WANTED = 1 << 20  # bytes of an element, other than a sequence, that belongs to a header
ODD_BYTES = 1 << 20  # a sequence of odd structure that reaches no further is left to pydicom, which forgives much
INFLATED_HEADER, INFLATED = 64 << 20, 512 << 20  # bytes of a deflated file up to its pixels, and with them


@contextmanager
def one_refusal(name: str, what: str = "cannot be read", next_step: str = "fetch the file again") -> Iterator[None]:
    """Whatever pydicom raises over damage within ends in one refusal that names the file.

    pydicom converts on access, so that a damaged value can fail anywhere and in any way; of odd values it warns, and
    these are judged by whoever reads them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except OverreadError:
            raise
        except Exception as error:
            raise Refused("unreadable", f"{name} {what}: {type(error).__name__} {error}.", next_step) from error


def parse(
    path: Path, *, pixels: bool = True, wanted: Iterable[int] | None = None, force: bool = True, defer_size: int | None = None
) -> FileDataset:
    """The elements of a file.

    pixels      False stops before them
    wanted      only these, and none but sequences longer than 1 MiB
    force       False refuses, as pydicom does, what has neither the mark of a DICOM file nor a group 0002
    defer_size  longer values stay in the file until somebody asks for them
    raises      Refused where the structure is damaged; whatever pydicom raises over the values
    """
    with open(path, "rb") as file:
        return parse_file(file, Path(path).name, pixels=pixels, wanted=wanted, force=force, defer_size=defer_size)


def parse_file(
    file: BinaryIO,
    name: str,
    *,
    pixels: bool = True,
    wanted: Iterable[int] | None = None,
    force: bool = True,
    defer_size: int | None = None,
) -> FileDataset:
    """`parse` of an open file, which is left where its pixels or its end begin."""
    file.seek(0)
    head = file.read(HEAD)
    start, is_deflated, is_big = _look(head, name)
    only = None if wanted is None else [int(tag) for tag in wanted]
    file.seek(0)
    if not is_deflated:
        watch = _Watch(file, name, pixels, only, is_big)
        try:
            return read_partial(file, watch, defer_size, force, only)
        finally:
            watch.close()
    tags = read_partial(BytesIO(head[:start]), force=force)
    file.seek(start)
    held = BytesIO(_inflated(file, name, INFLATED if pixels else INFLATED_HEADER, is_whole=pixels))
    watch = _Watch(held, name, pixels, only, is_big)
    tags.update(read_dataset(held, False, True, stop_when=watch, specific_tags=only))
    tags.set_original_encoding(False, True, tags._character_set)
    return tags


def _look(head: bytes, name: str) -> tuple[int, bool, bool]:
    """(byte after group 0002, is deflated, is big-endian)."""
    try:
        start = start_of_elements(head)
    except struct.error:
        start = len(head)
    if start > len(head) or start == HEAD:
        raise _damaged(name, "its file meta information does not end")
    after = head[start : start + ZEROS]
    if after[:2] == b"\0\0" or (len(after) == ZEROS and not any(after[8:])):  # pydicom would take them for commands
        raise _damaged(name, "zeros stand where its elements should begin")
    syntax = _syntax(head[:start])
    return start, syntax == DeflatedExplicitVRLittleEndian, syntax == ExplicitVRBigEndian


def _syntax(head: bytes) -> str:
    at = head.find(b"\x02\0\x10\0UI")
    if at < 0 or len(head) < at + 8:
        return ""
    (length,) = struct.unpack_from("<H", head, at + 6)
    return head[at + 8 : at + 8 + length].decode("ascii", "replace").strip("\0 ")


def _inflated(file: BinaryIO, name: str, most: int, is_whole: bool) -> bytes:
    """What is deflated from here on; more than `most` bytes are refused, or left where a part is enough."""
    inflater, found = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    while len(found) <= most and not inflater.eof:
        packed = inflater.unconsumed_tail or file.read(HEAD)
        if not packed:
            break
        found += inflater.decompress(packed, min(most + 1 - len(found), ODD_BYTES))
    if is_whole and len(found) > most:
        what = f"{name} inflates to more than {most >> 20} MiB."
        raise Refused("too-large", what, "save it without deflation, or split it into files of fewer frames")
    return bytes(found)


def _damaged(name: str, why: str) -> Refused:
    return Refused("unreadable", f"{name} has a damaged DICOM header: {why}.", "fetch the file again")


class _Watch:
    """Called by pydicom with each outer element before its value is read; True ends the reading."""

    def __init__(self, file: BinaryIO, name: str, pixels: bool, wanted: Iterable[int] | None, is_big: bool) -> None:
        self._file, self._name, self._pixels, self._is_big = file, name, pixels, is_big
        self._wanted = None if wanted is None else frozenset(wanted)
        self._count, self._seen_pixels = 0, False
        at = file.tell()
        self._size = file.seek(0, 2)
        file.seek(at)
        self._held: Any = file.getvalue() if isinstance(file, BytesIO) else None

    def close(self) -> None:
        if isinstance(self._held, mmap.mmap):
            self._held.close()

    def __call__(self, tag: int, kind: str | None, length: int) -> bool:
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise _damaged(self._name, f"it has more than {MOST_ELEMENTS} elements")
        if tag in PIXELS:
            self._seen_pixels = True
            if not self._pixels:
                return True
        if tag >> 16 == 0:
            return True  # zeros after the last element
        at = self._file.tell()
        if length == UNDEFINED:
            if tag not in PIXELS:
                self._walk_sequence(at, kind)
            return False
        if length > self._size - at:
            if self._seen_pixels and tag not in PIXELS:
                return True  # padding after the pixels, cut
            what = f"{self._name} ends inside the element ({tag >> 16:04X},{tag & 0xFFFF:04X})."
            raise Refused("truncated", what, "fetch the file again")
        if self._wanted is not None and tag in self._wanted and length > LONGEST_WANTED and not _is_sequence(tag, kind):
            raise _damaged(self._name, f"its element ({tag >> 16:04X},{tag & 0xFFFF:04X}) has {length} bytes")
        return False

    def _walk_sequence(self, at: int, kind: str | None) -> None:
        """A sequence without a length, from its first item on."""
        if self._held is None:
            self._held = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        why = ""
        for is_explicit in (kind not in (None, "UN"), False):  # some writers change to implicit inside a sequence
            try:
                end_of_sequence(self._held, at, self._size, self._is_big, is_explicit, 1)
                return
            except (ValueError, struct.error) as error:
                why = why or str(error)
        if self._size - at > ODD_BYTES:
            raise _damaged(self._name, why)


def _is_sequence(tag: int, kind: str | None) -> bool:
    if kind not in (None, "UN"):
        return kind == "SQ"
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False
