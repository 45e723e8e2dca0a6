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

FIRST_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
CHUNKS = (1 << 16, 1 << 20, 1 << 23)  # bytes looked at before giving up; makers hide whole pictures in private elements
LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST"}
    | {b"TM", b"UI", b"UL", b"US"}
)
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT"})
WHOLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})  # a backslash in these is a letter
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
DEEPEST = 24
META = (0x00020002, 0x00020010)  # Media Storage SOP Class UID, Transfer Syntax UID


class _Unusual(Exception):
    """Something that the general parser must read."""


class _Short(Exception):
    """The bytes at hand end before the pixels do."""


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
            found, meta, end = _elements(data, tags, is_whole=len(data) < size)
        except _Short:
            continue
        except (_Unusual, struct.error):
            break
        file.seek(end)
        return QuickTags(found, QuickTags(meta))
    file.seek(0)
    return None


def _elements(
    data: bytes, wanted: frozenset[int], is_whole: bool
) -> tuple[dict[int, tuple[str, bytes]], dict[int, tuple[str, bytes]], int]:
    if data[128:132] != b"DICM":
        raise _Unusual
    meta, at = _read(data, 132, frozenset(META), is_implicit=False, is_whole=is_whole, only_group=2)
    syntax = _value(*meta.get(META[1], ("UI", b"")))
    if syntax in ("", DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
        raise _Unusual
    is_implicit = syntax == ImplicitVRLittleEndian
    if is_implicit and (data[at + 4 : at + 6] in LONG or data[at + 4 : at + 6] in SHORT):
        raise _Unusual  # its head says implicit, its elements are explicit
    found, end = _read(data, at, wanted, is_implicit, is_whole)
    return found, meta, end


def _read(
    data: bytes, at: int, wanted: frozenset[int], is_implicit: bool, is_whole: bool, only_group: int | None = None
) -> tuple[dict[int, tuple[str, bytes]], int]:
    """Wanted elements from byte `at` to the pixels, the end of the file, or the end of the group."""
    found: dict[int, tuple[str, bytes]] = {}
    end = len(data)
    while at < end or not is_whole:
        if only_group is not None and data[at : at + 2] != struct.pack("<H", only_group):
            break
        tag, kind, start, length = _head(data, at, is_implicit)
        if tag in FIRST_PIXELS:
            break
        if tag >> 16 == 0:
            raise _Unusual  # zeros where an element should be
        if length == UNDEFINED:
            if tag in wanted or kind == b"UN":
                raise _Unusual
            at = _after_sequence(data, start, is_implicit, 0)
            continue
        at = start + length
        if tag not in wanted:
            continue
        if at > end:
            raise _Short
        name = _type(tag) if is_implicit or kind == b"UN" else kind.decode("ascii")
        raw = data[start:at]
        if name == "SQ" or (name not in NUMBERS and name not in BYTES and (not raw.isascii() or b"\x1b" in raw)):
            raise _Unusual
        found[tag] = name, raw
    if at > end:
        raise _Short
    return found, at


def _head(data: bytes, at: int, is_implicit: bool) -> tuple[int, bytes, int, int]:
    """(tag, VR, where the value starts, its length) of the element at a byte."""
    if at + 12 > len(data):
        raise _Short
    group, element = struct.unpack_from("<HH", data, at)
    tag = group << 16 | element
    if is_implicit or group == 0xFFFE:
        return tag, b"", at + 8, struct.unpack_from("<I", data, at + 4)[0]
    kind = data[at + 4 : at + 6]
    if kind in SHORT:
        return tag, kind, at + 8, struct.unpack_from("<H", data, at + 6)[0]
    if kind in LONG:
        return tag, kind, at + 12, struct.unpack_from("<I", data, at + 8)[0]
    raise _Unusual


def _after_sequence(data: bytes, at: int, is_implicit: bool, depth: int) -> int:
    """The byte behind a sequence of undefined length whose first item is at `at`."""
    if depth > DEEPEST:
        raise _Unusual
    while True:
        tag, _, start, length = _head(data, at, is_implicit)
        if tag == SEQUENCE_END:
            return start
        if tag != ITEM:
            raise _Unusual
        at = start + length if length != UNDEFINED else _after_item(data, start, is_implicit, depth)


def _after_item(data: bytes, at: int, is_implicit: bool, depth: int) -> int:
    while True:
        tag, kind, start, length = _head(data, at, is_implicit)
        if tag == ITEM_END:
            return start
        if length == UNDEFINED and kind == b"UN":
            raise _Unusual
        at = start + length if length != UNDEFINED else _after_sequence(data, start, is_implicit, depth + 1)


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
