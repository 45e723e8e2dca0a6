"""Where the elements of a DICOM file lie: walked by their tags and lengths, no value looked at.

Source: DICOM PS3.5 section 7 (data set) and PS3.10 section 7 (file).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
LONG_LENGTH = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
READERS = {
    big: tuple(struct.Struct((">" if big else "<") + code).unpack_from for code in ("HH", "H", "I")) for big in (True, False)
}
DEEPEST = 32  # sequences within sequences; no real object comes near


def start_of_elements(buffer: Any) -> int:
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
            at = end_of_sequence(buffer, value, end, is_big, is_explicit and kind != b"UN", depth + 1)
        if at > end:
            raise ValueError("an element is longer than the file")
        yield tag, start, value, at


def end_of_sequence(buffer: Any, at: int, end: int, is_big: bool, is_explicit: bool, depth: int) -> int:
    """The byte behind a sequence without a length whose first item is at `at`; ValueError where the structure is odd."""
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
