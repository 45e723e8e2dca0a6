"""The few elements of a file that a question needs, without parsing all the others.

A header may hold hundreds of elements, most of them private. They are skipped by their lengths, and only the wanted
ones are given to pydicom; a file whose structure is odd is read by pydicom as a whole.
Source: DICOM PS3.5 section 7 (data set) and PS3.10 section 7 (file).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

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
from overread.imaging.dicom.parse import parse
from overread.imaging.dicom.structure import PIXELS, start_of_elements, walk

CHARACTER_SET = 0x00080005
DEFLATED_STEPS = (1 << 16, 1 << 20, 1 << 23)  # bytes inflated before the next try to reach the pixels
MOST_REMEMBERED = 256  # bytes of an element that is kept for the next file


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
            start = start_of_elements(buffer)
            if syntax == DeflatedExplicitVRLittleEndian:
                return _read_deflated(buffer[start:], wanted)
            return _read_plain(buffer, start, syntax, wanted)
    except (ValueError, struct.error, OverflowError, zlib.error):
        return _read_odd(path, wanted)


def inflated(path: str, most: int) -> bytes:
    """The first `most` bytes of what a deflated file holds behind its own group 0002."""
    with open(path, "rb") as file:
        held = file.read()
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(held[start_of_elements(held) :], most)


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
        whole = parse(Path(path), defer_size=1024)
        tags = Dataset()
        overlays: dict[int, None] = {}
        for tag in whole.keys():  # noqa: SIM118 - a Dataset iterates over elements, which would parse every one
            if int(tag) in wanted:
                tags[tag] = whole.get_item(tag)
            elif 0x6000 <= tag.group <= 0x60FF:
                overlays[tag.group] = None
        name = next((keyword for number, keyword in PIXELS.items() if number in whole), "")
    except Refused:
        raise
    except Exception as error:  # a damaged file can break the parser anywhere; whatever it says goes to the user
        what = f"{path} has a damaged DICOM header: {type(error).__name__} {error}."
        raise Refused("unreadable", what, "fetch the file again") from error
    return Elements(tags, tuple(overlays), name, None)
