"""Ways to damage a DICOM file, element by element; its bytes otherwise are damaged as any are (fuzz_bytes)."""

from __future__ import annotations

import random
import struct
import zlib
from functools import lru_cache

from fuzz_bytes import HEAD, NESTED, NUMBERS, WORDS, Change, blank_piece, drop_piece, flip_bits, odd_number, repeat_piece
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import data_element_generator
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

SYNTAX_ELEMENT = b"\x02\0\x10\0UI"
BOMB = 400 << 20  # bytes of zeros, which pack to a thousandth


@lru_cache(maxsize=256)
def elements(content: bytes) -> tuple[tuple[int, int, int, int, bool], ...]:
    """(tag, byte of the element, byte of its value, bytes of its length, is little-endian) of the outer elements."""
    file = DicomBytesIO(content)
    syntax = ""
    if content[128:132] == b"DICM":
        at = content.index(SYNTAX_ELEMENT)
        (length,) = struct.unpack_from("<H", content, at + 6)
        syntax = content[at + 8 : at + 8 + length].decode().rstrip("\0 ")
        file.seek(144 + struct.unpack_from("<I", content, 140)[0])
    if syntax == DeflatedExplicitVRLittleEndian:
        return ()
    is_implicit, is_little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    found = []
    start = file.tell()
    for element in data_element_generator(file, is_implicit, is_little, defer_size=1):
        value_at = getattr(element, "value_tell", None)
        if value_at is not None:
            wide = 4 if is_implicit or content[start + 4 : start + 6] in (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT") else 2
            found.append((int(element.tag), start, value_at, wide, is_little))
        start = file.tell()
    return tuple(found)


def _element(chance: random.Random, content: bytes) -> tuple[int, int, int, int, bool] | None:
    found = elements(content)
    return chance.choice(found) if found else None


def odd_length(chance: random.Random, content: bytes) -> bytes:
    """The length of one element is said to be huge, undefined or wrong."""
    element = _element(chance, content)
    if element is None:
        return flip_bits(chance, content)
    _, _, value, wide, is_little = element
    length = chance.choice((0, 1, 3, 0xFFFE, 0xFFFFFFF0, 0xFFFFFFFF, 0x7FFFFFFF, 1 << 20)) & (256**wide - 1)
    packed = length.to_bytes(wide, "little" if is_little else "big")
    return content[: value - wide] + packed + content[value:]


def repeat_element(chance: random.Random, content: bytes) -> bytes:
    found = elements(content)
    if len(found) < 2:
        return repeat_piece(chance, content)
    k = chance.randrange(len(found) - 1)
    start, end = found[k][1], found[k + 1][1]
    at = chance.choice((end, len(content), chance.choice(found)[1]))
    return content[:at] + content[start:end] * chance.choice((1, 1, 1000)) + content[at:]


def drop_element(chance: random.Random, content: bytes) -> bytes:
    found = elements(content)
    if len(found) < 2:
        return drop_piece(chance, content)
    k = chance.randrange(len(found) - 1)
    return content[: found[k][1]] + content[found[k + 1][1] :]


def odd_tag(chance: random.Random, content: bytes) -> bytes:
    """An element is called something else, or is said to hold another type."""
    element = _element(chance, content)
    if element is None:
        return odd_number(chance, content)
    _, start, _, _, _ = element
    if chance.random() < 0.5:
        kind = chance.choice((b"SQ", b"UN", b"OB", b"US", b"DS", b"PN", b"\0\0", b"ZZ", b"AT", b"FD", b"UI", b"OW"))
        return content[: start + 4] + kind + content[start + 6 :]
    tag = chance.choice(
        ((0, 0), (2, 0x10), (8, 5), (0x28, 0x10), (0x5200, 0x9230), (0x7FE0, 0x10), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD))
    )
    return content[:start] + struct.pack("<HH", *tag) + content[start + 4 :]


def huge_size(chance: random.Random, content: bytes) -> bytes:
    """Rows, columns, samples, bits or frames that no file could fill."""
    wanted = {0x00280010, 0x00280011, 0x00280002, 0x00280100, 0x00280101, 0x00280008, 0x00280103}
    held = bytearray(content)
    for tag, _, value, _, is_little in elements(content):
        if tag in wanted and chance.random() < 0.6:
            if tag == 0x00280008:
                size = int.from_bytes(content[value - 2 : value], "little" if is_little else "big")
                held[value : value + size] = (b"9" * 12)[:size]
            else:
                held[value : value + 2] = chance.choice((b"\xff\xff", b"\0\0", b"\xff\x7f", b"\1\0", b"\x10\0", b"\x40\0"))
    return bytes(held)


def odd_value(chance: random.Random, content: bytes) -> bytes:
    """Text in place of a value, of the same length."""
    element = _element(chance, content)
    if element is None:
        return blank_piece(chance, content)
    _, _, value, wide, is_little = element
    length = int.from_bytes(content[value - wide : value], "little" if is_little else "big")
    if length > 1 << 16:
        length = 64
    text = chance.choice((*NUMBERS, *WORDS, "1\\nan\\2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.5")).encode(
        "utf-8", "replace"
    )
    return content[:value] + (text * (length // max(len(text), 1) + 1))[:length].ljust(length) + content[value + length :]


def other_syntax(chance: random.Random, content: bytes) -> bytes:
    """The file says that its pixels are coded another way."""
    names = (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2")
    names += tuple(
        b"1.2.840.10008.1.2." + end
        for end in (b"5", b"4.50", b"4.51", b"4.57", b"4.70", b"4.80", b"4.90", b"4.91", b"4.100", b"4.201", b"4.999")
    )
    at = content.find(SYNTAX_ELEMENT, 0, HEAD)
    if at < 0:
        return flip_bits(chance, content)
    (length,) = struct.unpack("<H", content[at + 6 : at + 8])
    name = chance.choice(names)
    name += b"\0" * (len(name) % 2)
    (group,) = struct.unpack("<I", content[140:144])
    held = content[: at + 6] + struct.pack("<H", len(name)) + name + content[at + 8 + length :]
    return held[:140] + struct.pack("<I", (group + len(name) - length) & 0xFFFFFFFF) + held[144:]


def nested_sequences(chance: random.Random, content: bytes) -> bytes:
    """Sequences in sequences, deeper than any stack."""
    depth = chance.choice((20, 200, 2000, NESTED))
    opened = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    found = elements(content)
    at = chance.choice(found)[1] if found else len(content)
    closed = (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * depth
    return content[:at] + opened * depth + (closed if chance.random() < 0.7 else b"") + content[at:]


@lru_cache(maxsize=2)
def _zeros_packed(count: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join([*pieces, packer.flush()])


def deflate_bomb(chance: random.Random, content: bytes) -> bytes:
    """A deflated object of many zeros, as an element of pixels, as a wanted one, or as no element at all."""
    head = chance.choice((b"", b"\x10\0\x20\0LO\x08\0P-000001", b"\x08\0\x16\0UI\x1a\0" + b"1.2.840.10008.5.1.4.1.1.2\0"))
    last = chance.choice(
        (b"\xe0\x7f\x10\0OW\0\0\0\0\0\x19", b"\x10\0\x10\0UT\0\0\0\0\0\x19", b"\x09\0\x10\0UN\0\0\xf0\xff\xff\xff", b"")
    )
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(head + last) + packer.flush(zlib.Z_FULL_FLUSH)
    meta = b"\x02\0\x10\0UI\x16\0" + b"1.2.840.10008.1.2.1.99"
    return b"\0" * 128 + b"DICM\x02\0\0\0UL\x04\0" + struct.pack("<I", len(meta)) + meta + start + _zeros_packed(BOMB)


DICOM: tuple[Change, ...] = (
    odd_length,
    odd_length,
    repeat_element,
    drop_element,
    odd_tag,
    huge_size,
    odd_value,
    odd_value,
    other_syntax,
    nested_sequences,
)
