"""The few elements that a header needs, straight from the bytes: several times quicker than parsing everything.

Only the usual is read here: preamble, little-endian, plain text, no sequence among what is wanted. Whatever else a
file holds makes `quick_tags` give up, and the general parser reads it. Source: DICOM PS3.5 section 7 and PS3.10 section 7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from overread.imaging.dicom.structure import LONG_LENGTH, PIXELS, UNDEFINED, start_of_elements, walk

CHUNKS = (1 << 16, 1 << 20, 1 << 23)  # bytes looked at before giving up; makers hide whole pictures in private elements
SHORT_LENGTH = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST"}
    | {b"TM", b"UI", b"UL", b"US"}
)
KINDS = SHORT_LENGTH | LONG_LENGTH
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT"})
WHOLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})  # a backslash in these is a letter
UNKNOWN_LENGTH = struct.pack("<I", UNDEFINED)
META = frozenset((0x00020002, 0x00020010))  # Media Storage SOP Class UID, Transfer Syntax UID


class _Unusual(Exception):
    """Something that the general parser must read."""


@dataclass(frozen=True, slots=True)
class Element:
    value: Any


class QuickTags:
    """Elements by keyword, as `values.text` and its kin ask for them, or by (group, element) for private ones."""

    def __init__(self, elements: dict[int, tuple[str, bytes]], meta: QuickTags | None = None) -> None:
        self._elements = elements
        self._named = {_keyword(tag): tag for tag in elements}
        self.file_meta = meta

    def __len__(self) -> int:
        return len(self._elements)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self._named

    def get(self, key: str | tuple[int, int]) -> Any:
        if isinstance(key, tuple):
            held = self._elements.get(key[0] << 16 | key[1])
            return None if held is None else Element(_value(*held))
        tag = self._named.get(key)
        return None if tag is None else _value(*self._elements[tag])


_KEYWORDS: dict[int, str] = {}
_TYPES: dict[int, str] = {}


def quick_tags(file: BinaryIO, wanted: Iterable[int]) -> QuickTags | None:
    """The wanted elements, with the file left where its pixels or its end begin; None where the file is unusual."""
    tags = frozenset(wanted)
    for size in CHUNKS:
        file.seek(0)
        data = file.read(size)
        try:
            found, meta, end = _elements(data, tags)
        except _Unusual:
            break
        except (ValueError, struct.error):  # odd, or it goes on behind these bytes
            if len(data) < size:
                break
            continue
        if end == len(data) == size:
            continue  # cut between two elements
        file.seek(end)
        return QuickTags(found, QuickTags(meta))
    file.seek(0)
    return None


def _elements(data: bytes, wanted: frozenset[int]) -> tuple[dict[int, tuple[str, bytes]], dict[int, tuple[str, bytes]], int]:
    """Wanted elements, those of the file's head, and the byte where the pixels or the end begin."""
    if data[128:132] != b"DICM":
        raise _Unusual
    at = start_of_elements(data)
    meta, _ = _read(data, 132, at, META, is_implicit=False)
    syntax = _value(*meta.get(0x00020010, ("UI", b"")))
    if syntax in ("", DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
        raise _Unusual
    is_implicit = syntax == ImplicitVRLittleEndian
    if is_implicit and data[at + 4 : at + 6] in KINDS:
        raise _Unusual  # its head says implicit, its elements are explicit
    found, end = _read(data, at, len(data), wanted, is_implicit)
    return found, meta, end


def _read(data: bytes, at: int, end: int, wanted: frozenset[int], is_implicit: bool) -> tuple[dict[int, tuple[str, bytes]], int]:
    """Wanted elements between two bytes, and where the pixels or the end begin."""
    found: dict[int, tuple[str, bytes]] = {}
    for tag, first, value, stop in walk(data, at, end, is_big=False, is_explicit=not is_implicit):
        if tag in PIXELS:
            return found, first
        kind = b"" if is_implicit else data[first + 4 : first + 6]
        if tag >> 16 in (0, 0xFFFE) or (kind and kind not in KINDS):
            raise _Unusual  # zeros, or a bracket of a sequence, where an element should be
        at = stop
        if tag not in wanted:
            continue
        name = _type(tag) if kind in (b"", b"UN") else kind.decode("ascii")
        raw = data[value:stop]
        if name == "SQ" or data[value - 4 : value] == UNKNOWN_LENGTH:
            raise _Unusual
        if name not in NUMBERS and name not in BYTES and (not raw.isascii() or b"\x1b" in raw):
            raise _Unusual
        found[tag] = name, raw
    return found, at


def _value(name: str, raw: bytes) -> Any:
    """Numbers, text or bytes; several values as a list. Numbers written as text stay text, which `floats` reads."""
    if name in NUMBERS:
        form = NUMBERS[name]
        numbers = struct.unpack(f"<{len(raw) // struct.calcsize(form)}{form}", raw)
        return numbers[0] if len(numbers) == 1 else list(numbers) or None
    if name in BYTES:
        return raw
    text = raw.decode("ascii").rstrip("\0 ")
    if name in WHOLE_TEXT or "\\" not in text:
        return text
    return [part.strip("\0 ") for part in text.split("\\")]


def _keyword(tag: int) -> str:
    if tag not in _KEYWORDS:
        _KEYWORDS[tag] = keyword_for_tag(tag) or f"{tag:08x}"
    return _KEYWORDS[tag]


def _type(tag: int) -> str:
    """The VR of the dictionary; private elements stay bytes, except the names of their makers."""
    if tag not in _TYPES:
        try:
            _TYPES[tag] = dictionary_VR(tag)
        except KeyError:
            _TYPES[tag] = "LO" if tag & 0xFF00 == 0 and tag >> 16 & 1 else "UN"
    return _TYPES[tag]
