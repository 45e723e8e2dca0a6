"""Ways to damage a file: of any bytes, of DICOM elements, of NIfTI fields, of JSON values, of words in text.

Every change takes a source of chance and the content, and returns other content; the same chance damages alike.
"""

from __future__ import annotations

import copy
import json
import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from fuzz_seeds import Seed
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import data_element_generator
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

Change = Callable[[random.Random, bytes], bytes]
HEAD = 2048  # bytes in which most decisions of a reader fall
SYNTAX_ELEMENT = b"\x02\0\x10\0UI"
BOMB = 400 << 20  # bytes of zeros, which pack to a thousandth
TAIL = 1 << 22
NESTED = 10_000
NUMBERS_TEXT = "0 -1 1e308 1e999 -1e38 nan inf -inf 1e-320 99999999999999999999 0x10 1_0 ² ٣ 65535 2147483648"
NUMBERS = (*NUMBERS_TEXT.split(), "9" * 5000)
WORDS = (
    "",
    " ",
    "\0",
    "\\",
    "\x1b$B",
    "\ufeff",
    "\ud7ff",
    "ÿ",
    "x" * 300,
    "../../../etc/passwd",
    "a\nb",
    "'",
    '"',
    "<",
    "&#x1;",
    "=1+1",
)


# ---- any bytes --------------------------------------------------------------------------------------


def _place(chance: random.Random, content: bytes) -> int:
    """Half of the time near the beginning."""
    end = min(len(content), HEAD) if chance.random() < 0.5 else len(content)
    return chance.randrange(max(end, 1))


def flip_bits(chance: random.Random, content: bytes) -> bytes:
    held = bytearray(content or b"\0")
    for _ in range(chance.choice((1, 1, 2, 5, 20, 200))):
        held[_place(chance, held)] ^= 1 << chance.randrange(8)
    return bytes(held)


def odd_number(chance: random.Random, content: bytes) -> bytes:
    """A number that readers trip over, in any width and order of bytes."""
    held = bytearray(content.ljust(16, b"\0"))
    for _ in range(chance.choice((1, 1, 3))):
        form = chance.choice(("<H", ">H", "<I", ">I", "<Q", "<f", ">f", "<d"))
        whole = chance.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF))
        real = chance.choice((0.0, -1.0, float("nan"), float("inf"), 1e38, 1e-38))
        packed = struct.pack(form, real if form[1] in "fd" else whole & (256 ** struct.calcsize(form) - 1))
        at = _place(chance, held)
        held[at : at + len(packed)] = packed
    return bytes(held)


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: _place(chance, content)]


def tail_of_zeros(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.choice((len(content), _place(chance, content)))] + bytes(chance.choice((1, 100, 65536, TAIL)))


def tail_of_noise(chance: random.Random, content: bytes) -> bytes:
    return content + chance.randbytes(chance.choice((1, 100, 65536)))


def repeat_piece(chance: random.Random, content: bytes) -> bytes:
    at, length = _place(chance, content), chance.choice((1, 4, 16, 128, 1024))
    return content[: at + length] + content[at : at + length] * chance.choice((1, 2, 100)) + content[at + length :]


def drop_piece(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + content[at + chance.choice((1, 2, 4, 16, 128, 1024)) :]


def blank_piece(chance: random.Random, content: bytes) -> bytes:
    at, length = _place(chance, content), chance.choice((1, 4, 16, 128, 1024))
    filled = (chance.choice((b"\0", b"\xff", b" ", b"A")) * length)[: max(len(content) - at, 0)]
    return content[:at] + filled + content[at + length :]


BYTES: tuple[Change, ...] = (
    flip_bits,
    odd_number,
    cut,
    tail_of_zeros,
    tail_of_noise,
    repeat_piece,
    drop_piece,
    blank_piece,
)


# ---- DICOM ------------------------------------------------------------------------------------------


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


# ---- NIfTI ------------------------------------------------------------------------------------------

FIELDS = (  # byte, form, of a NIfTI-1 header
    *((40 + 2 * k, "h") for k in range(8)),
    *((76 + 4 * k, "f") for k in range(8)),
    *((256 + 4 * k, "f") for k in range(6)),
    *((280 + 4 * k, "f") for k in range(12)),
    *((at, "h") for at in (68, 70, 72, 74, 120, 252, 254)),
    *((at, "f") for at in (108, 112, 116)),
    *((0, "i"), (122, "B"), (123, "B")),
)


def odd_field(chance: random.Random, content: bytes) -> bytes:
    held = bytearray(content.ljust(352, b"\0"))
    for _ in range(chance.choice((1, 1, 2, 6))):
        at, form = chance.choice(FIELDS)
        real = chance.choice((0.0, -1.0, 1.0, 0.5, float("nan"), float("inf"), 1e38, 1e-38, 352.0, 1e9))
        whole = chance.choice(
            (0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 127, 128, 255, 256, 512, 768, 1024, 1280, 1536, 2048, 2304, 1006, 32767, -1)
        )
        struct.pack_into("<" + form, held, at, real if form == "f" else whole & 255 if form == "B" else whole)
    return bytes(held)


def huge_volume(chance: random.Random, content: bytes) -> bytes:
    """A header that asks for gigabytes, and nothing but zeros after it."""
    held = bytearray(content[:352].ljust(352, b"\0"))
    sizes = chance.choice(
        ((1000, 1000, 1000, 1), (32767, 32767, 32767, 1), (700, 700, 700, 8), (1, 1, 1, 32767), (32767, 32767, 1, 1))
    )
    struct.pack_into("<8h", held, 40, chance.choice((3, 4, 7)), *sizes, 1, 1, 1)
    return bytes(held) + bytes(chance.choice((0, 1 << 16, 100 << 20)))


def odd_voxels(chance: random.Random, content: bytes) -> bytes:
    """NaN and infinity among the voxels."""
    held = bytearray(content)
    for _ in range(10):
        at = chance.randrange(352, max(len(held) - 8, 353))
        held[at : at + 4] = struct.pack("<f", chance.choice((float("nan"), float("inf"), float("-inf"), 3e38)))
    return bytes(held)


NIFTI: tuple[Change, ...] = (odd_field, odd_field, odd_field, huge_volume, odd_voxels)


# ---- JSON -------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 1.5, 1e308, -1e308, float("nan"), float("inf"), 10**400, 2**31, 2**63),
    *("", "x", "1", "nan", "\ud800", "\0"),
    *([], {}, [[]], [None], {"a": 1}, [1] * 7, [[[[1]]]]),
)


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += _nodes(value[key], (*path, key))
    return found


def odd_json(chance: random.Random, content: bytes) -> bytes:
    """Values of another type, missing or repeated ones, in the tree that the text stands for."""
    root = json.loads(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        path = chance.choice([p for p in _nodes(root) if p] or [()])
        if not path:
            return json.dumps(chance.choice(VALUES)).encode("utf-8", "replace")
        holder = root
        for key in path[:-1]:
            holder = holder[key]
        how = chance.randrange(4)
        if how == 0:
            del holder[path[-1]]
        elif how == 1 and isinstance(holder, list):
            holder += [copy.deepcopy(holder[path[-1]])] * chance.choice((1, 50))
        else:
            holder[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    return json.dumps(root).encode("utf-8", "replace")


def nested_json(chance: random.Random, content: bytes) -> bytes:
    """One value is replaced by lists or objects in each other, ten thousand deep."""
    depth = chance.choice((100, 900, NESTED))
    is_list = chance.random() < 0.5
    deep = ("[" if is_list else '{"a":') * depth + "1" + ("]" if is_list else "}") * depth * (chance.random() < 0.8)
    words = list(re.finditer(rb'(?<=[:,\[])\s*(?:"[^"]*"|-?[\d.]+)(?=[,\]}])', content))
    if not words:
        return deep.encode()
    word = chance.choice(words)
    return content[: word.start()] + deep.encode() + content[word.end() :]


JSON: tuple[Change, ...] = (odd_json, odd_json, odd_json, odd_json, nested_json)


# ---- text -------------------------------------------------------------------------------------------


def odd_word(chance: random.Random, content: bytes) -> bytes:
    """Words of a text file replaced by what is no number, a huge one, or letters that break things."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        words = list(re.finditer(rb"[\w.+-]+", content))
        if not words:
            break
        word = chance.choice(words)
        new = chance.choice((*NUMBERS, *WORDS)).encode("utf-8", "replace")
        content = content[: word.start()] + new + content[word.end() :]
    return content


def repeat_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    k = chance.randrange(len(lines))
    return b"".join([*lines[:k], lines[k] * chance.choice((2, 1000)), *lines[k:]])


def long_cell(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + chance.choice((b"x", b'"', b",", b"\t", b"9", b" ")) * chance.choice((1, 200_000)) + content[at:]


def nested_xml(chance: random.Random, content: bytes) -> bytes:
    depth = chance.choice((100, NESTED, 200_000))
    words = list(re.finditer(rb">[^<]+<", content))
    at = chance.choice(words).start() + 1 if words else len(content)
    return content[:at] + b"<a>" * depth + b"</a>" * depth + content[at:]


def other_letters(chance: random.Random, content: bytes) -> bytes:
    """The same text in another encoding."""
    text = content.decode("latin-1")
    return text.encode(chance.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "utf-7")))


TEXT: tuple[Change, ...] = (odd_word, odd_word, odd_word, repeat_line, long_cell, other_letters)


# ---- which for what ---------------------------------------------------------------------------------

OWN: dict[str, Sequence[Change]] = {
    "dicom": DICOM,
    "dicom labels": DICOM,
    "zip": DICOM,
    "nifti": NIFTI,
    "coco": JSON,
    "labelme": JSON,
    "via": JSON,
    "voc": (*TEXT, nested_xml),
    "yolo": TEXT,
    "sheet": TEXT,
    "nrrd": TEXT,
    "mha": TEXT,
    "workbook": (*TEXT, nested_xml),
}
BOMB_SHARE = 0.003  # of the DICOM files


def damage(chance: random.Random, seed: Seed) -> tuple[bytes, str]:
    """The content of the file, and the names of what was done to it."""
    if seed.format == "dicom" and chance.random() < BOMB_SHARE:
        return deflate_bomb(chance, seed.content), "deflate_bomb"
    own = OWN.get(seed.format, ())
    content, done = seed.content, []
    is_plain = seed.pack is not None or seed.format not in ("workbook", "zip")
    if seed.suffix == ".csv" and seed.format == "via":
        own = TEXT
    if seed.format == "nifti" and content[:2] == b"\x1f\x8b":
        is_plain = False
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(own) if own and is_plain and not done and chance.random() < 0.8 else chance.choice(BYTES)
        content = change(chance, content)
        done.append(change.__name__)
    return content if seed.pack is None else seed.pack(content), "+".join(done)
