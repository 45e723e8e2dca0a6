"""The few elements of a file that a question needs, without parsing all the others.

A header may hold hundreds of elements, most of them private. They are skipped by their lengths, and only the wanted
ones are given to pydicom; a file whose structure is odd is read by pydicom as a whole.
Source: DICOM PS3.5 section 7 (data set) and PS3.10 section 7 (file).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from overread.core.errors import Refused

PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
LONG_LENGTH = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
CHARACTER_SET = 0x00080005
DEFLATED_STEPS = (1 << 16, 1 << 20, 1 << 23)  # bytes inflated before the next try to reach the pixels
MOST_REMEMBERED = 256  # bytes of an element that is kept for the next file
READERS = {
    big: tuple(struct.Struct((">" if big else "<") + code).unpack_from for code in ("HH", "H", "I")) for big in (True, False)
}
DEEPEST = 32  # sequences within sequences; no real object comes near


@dataclass(frozen=True, slots=True)
class Elements:
    """What was asked of one file.

    tags          the wanted elements that are there
    overlays      groups 6000 to 60FF that are there
    pixel_name    "PixelData", "FloatPixelData" or "DoubleFloatPixelData"; "" where there are none
    pixel_at      byte where the pixels' value starts, in a deflated file of what is `inflated`; None in an odd file,
                  which pydicom reads as a whole
    """

    tags: Dataset
    overlays: tuple[int, ...]
    pixel_name: str
    pixel_at: int | None


def numbers_of(keywords: Iterable[str | int]) -> frozenset[int]:
    """Elements by keyword or number, as `read_elements` wants them."""
    return frozenset(int(Tag(keyword)) for keyword in keywords)


def read_elements(path: str, syntax: str, wanted: frozenset[int]) -> Elements:
    """The wanted elements at the top of a file of the given transfer syntax."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            start = _start(buffer)
            if syntax == DeflatedExplicitVRLittleEndian:
                return _read_deflated(buffer[start:], wanted)
            return _read_plain(buffer, start, syntax, wanted)
    except (ValueError, struct.error, OverflowError, zlib.error):
        return _read_odd(path, wanted)


def inflated(path: str, most: int) -> bytes:
    """The first `most` bytes of what a deflated file holds behind its own group 0002."""
    with open(path, "rb") as file:
        held = file.read()
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(held[_start(held) :], most)


def _read_deflated(held: bytes, wanted: frozenset[int]) -> Elements:
    """Only as much is inflated as is needed to reach the pixels."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = b""
    for size in DEFLATED_STEPS:
        data += inflater.decompress(inflater.unconsumed_tail or held, size)
        try:
            found = _read_plain(data, 0, ExplicitVRLittleEndian, wanted)
        except (ValueError, struct.error):
            if len(data) < size:
                raise
            continue
        if found.pixel_name:
            return found
    return Elements(Dataset(), (), "", None)


def _read_plain(buffer: Any, start: int, syntax: str, wanted: frozenset[int]) -> Elements:
    is_big, is_explicit = syntax == ExplicitVRBigEndian, syntax != ImplicitVRLittleEndian
    kept: list[tuple[int, bytes]] = []
    overlays: dict[int, None] = {}
    name, pixel_at = "", None
    for tag, first, value, stop in walk(buffer, start, len(buffer), is_big, is_explicit):
        if tag in wanted:
            kept.append((tag, buffer[first:stop]))
        elif tag >= 0x60000000:
            if tag in PIXELS:
                name, pixel_at = PIXELS[tag], value
                break
            if tag <= 0x60FFFFFF:
                overlays[tag >> 16] = None
    return Elements(_parsed(kept, is_explicit, is_big), tuple(overlays), name, pixel_at)


def _parsed(kept: Sequence[tuple[int, bytes]], is_explicit: bool, is_big: bool) -> Dataset:
    """Elements from their bytes. Slices of a series share nearly all of them, so those seen before are not parsed again."""
    tags = Dataset()
    characters = next((held for tag, held in kept if tag == CHARACTER_SET), b"")
    for tag, held in kept:
        if len(held) > MOST_REMEMBERED:
            tags.update(read_dataset(BytesIO(characters + held), not is_explicit, not is_big))
        else:
            element = _parse_one(held, b"" if tag == CHARACTER_SET else characters, is_explicit, is_big)
            if element is not None:
                tags[element.tag] = element
    return tags


@lru_cache(maxsize=4096)
def _parse_one(held: bytes, characters: bytes, is_explicit: bool, is_big: bool) -> DataElement | RawDataElement | None:
    """One element; unconverted where it makes no sense, so that asking for it fails as it does in a whole file."""
    tags = read_dataset(BytesIO(characters + held), not is_explicit, not is_big)
    tag = list(tags.keys())[-1]
    try:
        return tags[tag]
    except Exception:  # pydicom converts on access, and a damaged value can fail in any way
        return tags.get_item(tag)


def _read_odd(path: str, wanted: frozenset[int]) -> Elements:
    try:
        whole = pydicom.dcmread(path, force=True, defer_size=1024)
        tags = Dataset()
        overlays: dict[int, None] = {}
        for tag in whole.keys():  # noqa: SIM118 - a Dataset iterates over elements, which would parse every one
            if int(tag) in wanted:
                tags[tag] = whole.get_item(tag)
            elif 0x6000 <= tag.group <= 0x60FF:
                overlays[tag.group] = None
        name = next((keyword for number, keyword in PIXELS.items() if number in whole), "")
    except Exception as error:  # a damaged file can break the parser anywhere; whatever it says goes to the user
        what = f"{path} has a damaged DICOM header: {type(error).__name__} {error}."
        raise Refused("unreadable", what, "fetch the file again") from error
    return Elements(tags, tuple(overlays), name, None)


def _start(buffer: Any) -> int:
    """Byte after the preamble and the file's own group 0002, which is always explicit and little-endian."""
    at = 132 if buffer[128:132] == b"DICM" else 0
    while buffer[at : at + 2] == b"\x02\0" and buffer[at + 4 : at + 6].isalpha():
        is_long = buffer[at + 4 : at + 6] in LONG_LENGTH
        at += 12 + struct.unpack_from("<I", buffer, at + 8)[0] if is_long else 8 + struct.unpack_from("<H", buffer, at + 6)[0]
    return at


def walk(buffer: Any, at: int, end: int, is_big: bool, is_explicit: bool, depth: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """(tag, start, start of value, end of value) of each element from `at`; ValueError where the structure is odd.

    It ends at the pixels, whose own end is not looked for, or at the end of an item.
    """
    read_tag, read_short, read_long = READERS[is_big]
    if depth > DEEPEST:
        raise ValueError("sequences are nested too deeply")
    while at < end:
        group, element = read_tag(buffer, at)
        tag, start, kind = group << 16 | element, at, b""
        if is_explicit and group != 0xFFFE:
            kind = buffer[at + 4 : at + 6]
            if not (kind.isalpha() and kind.isupper()):
                raise ValueError("an element without a value representation")
        if kind and kind not in LONG_LENGTH:
            length, value = read_short(buffer, at + 6)[0], at + 8
        else:
            value = at + 12 if kind else at + 8
            length = read_long(buffer, value - 4)[0]
        if tag in PIXELS and depth == 0:
            yield tag, start, value, value
            return
        if tag == ITEM_END:
            yield tag, start, value, value
            return
        at = value + length
        if length == UNDEFINED:
            at = _end_of_sequence(buffer, value, end, is_big, is_explicit and kind != b"UN", depth + 1)
        if at > end:
            raise ValueError("an element is longer than the file")
        yield tag, start, value, at


def _end_of_sequence(buffer: Any, at: int, end: int, is_big: bool, is_explicit: bool, depth: int) -> int:
    order = ">HHI" if is_big else "<HHI"
    while at < end:
        group, element, length = struct.unpack_from(order, buffer, at)
        tag, at = group << 16 | element, at + 8
        if tag == SEQUENCE_END:
            return at
        if tag != ITEM:
            raise ValueError("a sequence holds something that is no item")
        if length != UNDEFINED:
            at += length
            continue
        for inner, _, _, stop in walk(buffer, at, end, is_big, is_explicit, depth + 1):
            at = stop
            if inner == ITEM_END:
                break
        else:
            raise ValueError("an item does not end")
    raise ValueError("a sequence does not end")
