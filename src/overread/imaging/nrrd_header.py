"""The text header of NRRD files, field by field.

Source: http://teem.sourceforge.net/nrrd/format.html (fields are named as there).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from overread.core.errors import Refused
from overread.imaging.payload import Piece, inside_folder, numbered_names, read_lines

MAGIC = re.compile(r"NRRD000[1-5]\s*$")
BLANK = re.compile(rb"\r?\n$")
TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
DTYPES = {name: code for code, names in TYPES.items() for name in names.split("|")}
ENCODINGS = {
    "raw": "raw",
    "gzip": "zip",
    "gz": "zip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "txt": "text",
    "text": "text",
    "ascii": "text",
    "hex": "hex",
}
NOT_SPACE = frozenset({"none", "nan"})
MOST_AXES = 16

Value = TypeVar("Value")


@dataclass(frozen=True)
class NrrdHeader:
    """One NRRD header, axes in file order: the first is the fastest.

    fields   "field: value" lines by lower-case name
    keys     "key:=value" lines; 3D Slicer keeps its segments there
    sizes    samples along each axis
    kinds    lower-case kind of each axis, "" where none is given
    vectors  direction of each axis in the file's space, None for an axis that is not space; () where none are given
    """

    path: Path
    fields: dict[str, str]
    keys: dict[str, str]
    sizes: tuple[int, ...]
    dtype: np.dtype
    kinds: tuple[str, ...]
    vectors: tuple[np.ndarray | None, ...]
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        return self.path.name


def parse_nrrd(path: Path) -> NrrdHeader:
    """Read and check a header; refused where a field is missing or cannot be understood."""
    lines, offset = read_lines(path, BLANK)
    if not lines or not MAGIC.match(lines[0]):
        raise Refused("unreadable", f"{path.name} does not begin with NRRD0001 to NRRD0005.", "fetch the file again")
    fields, keys, listed = _split(path.name, lines[1:])
    sizes = _sizes(path.name, fields)
    kind = " ".join(_need(path.name, fields, "type").lower().split())
    if kind not in DTYPES:
        raise Refused("bad-type", f"{path.name} has the type '{kind}'; expected a number type.", "save it as int16 or float")
    dtype = np.dtype(DTYPES[kind])
    encoding = _need(path.name, fields, "encoding").lower()
    if encoding not in ENCODINGS:
        raise Refused("bad-encoding", f"{path.name} has the encoding '{encoding}'.", "save it raw, gzip, bzip2 or as text")
    if dtype.itemsize > 1 and ENCODINGS[encoding] != "text":
        order = _need(path.name, fields, "endian").lower()
        if order not in ("little", "big"):
            raise Refused("bad-header", f"{path.name} has the endian '{order}'; expected little or big.", "write it again")
        dtype = dtype.newbyteorder("<" if order == "little" else ">")
    kinds = tuple("" if k in ("???", "none") else k for k in fields.get("kinds", "").lower().split())
    if kinds and len(kinds) != len(sizes):
        raise Refused("bad-header", f"{path.name} has {len(sizes)} axes but {len(kinds)} kinds.", "write it again")
    vectors = _vectors(path.name, fields.get("space directions", ""))
    if vectors and len(vectors) != len(sizes):
        raise Refused("bad-header", f"{path.name} has {len(sizes)} axes but {len(vectors)} space directions.", "write it again")
    pieces = _pieces(path, fields, listed, offset, ENCODINGS[encoding])
    return NrrdHeader(path, fields, keys, sizes, dtype, kinds or ("",) * len(sizes), vectors, pieces)


def vector(name: str, text: str) -> np.ndarray:
    """(1,2,3) as an array."""
    match = re.fullmatch(r"\(([^()]*)\)", text.strip())
    if match is None:
        _bad(name, text)
    return np.array(numbers(name, match.group(1).replace(",", " "), float))


def numbers(name: str, text: str, kind: Callable[[str], Value]) -> list[Value]:
    """Numbers between blanks."""
    try:
        return [kind(word) for word in text.split()]
    except (ValueError, OverflowError):
        _bad(name, text)


def _bad(name: str, text: str) -> NoReturn:
    raise Refused("bad-header", f"{name}: '{text[:60]}' is not what this header field may hold.", "write the file again")


def _split(name: str, lines: list[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Fields, key/value pairs, and the file names that follow "data file: LIST"."""
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for number, line in enumerate(lines):
        if not line:
            break
        if line.startswith("#"):
            continue
        key, is_pair, value = line.partition(":=")
        field, is_field, text = line.partition(": ")
        if not is_field and line.endswith(":"):
            field, is_field, text = line[:-1], ":", ""
        if is_pair and (not is_field or len(key) <= len(field)):
            keys[key.strip()] = value.replace("\\n", "\n").strip()
            continue
        if not is_field:
            _bad(name, line)
        field = _canonical(field)
        if fields.get(field, text.strip()) != text.strip():
            raise Refused("bad-header", f"{name} gives the field '{field}' twice with different values.", "write it again")
        fields[field] = text.strip()
        if field == "data file" and text.split()[:1] == ["LIST"]:
            return fields, keys, [entry.strip() for entry in lines[number + 1 :] if entry.strip()]
    return fields, keys, []


def _canonical(field: str) -> str:
    """One spelling of fields that have two."""
    name = " ".join(field.lower().split())
    spelt = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "centers": "centerings"}
    return spelt.get(name, name)


def _need(name: str, fields: dict[str, str], field: str) -> str:
    if not fields.get(field):
        raise Refused("bad-header", f"{name} has no field '{field}'.", "write the file again")
    return fields[field]


def _sizes(name: str, fields: dict[str, str]) -> tuple[int, ...]:
    sizes = tuple(numbers(name, _need(name, fields, "sizes"), int))
    dimension = numbers(name, _need(name, fields, "dimension"), int)
    if dimension != [len(sizes)] or not 1 < len(sizes) <= MOST_AXES or min(sizes) <= 0:
        raise Refused(
            "bad-shape",
            f"{name} has the dimension {dimension} and the sizes {sizes}; expected two axes or more, all with samples.",
            "write the file again",
        )
    return sizes


def _vectors(name: str, text: str) -> tuple[np.ndarray | None, ...]:
    found: list[np.ndarray | None] = []
    for word in re.findall(r"\([^()]*\)|[^\s()]+", text):
        if word.lower() in NOT_SPACE:
            found.append(None)
            continue
        direction = vector(name, word)
        found.append(None if np.isnan(direction).all() else direction)
    return tuple(found)


def _pieces(path: Path, fields: dict[str, str], listed: list[str], offset: int, encoding: str) -> tuple[Piece, ...]:
    lines, skip = (numbers(path.name, fields.get(field, "0"), int) for field in ("line skip", "byte skip"))
    if len(lines) != 1 or len(skip) != 1 or lines[0] < 0 or skip[0] < -1 or lines[0] > 1 << 20:
        raise Refused("bad-header", f"{path.name} has the line skip {lines} and the byte skip {skip}.", "write it again")
    named = fields.get("data file", "")
    if not named:
        return (Piece(path, offset, encoding, lines[0], skip[0]),)
    words = named.split()
    if words[0] == "LIST":
        names = listed
    elif len(words) in (4, 5) and "%" in words[0]:
        first, last, step = numbers(path.name, " ".join(words[1:4]), int)
        names = numbered_names(path, words[0], first, last, step)
    else:
        names = [named]
    return tuple(Piece(inside_folder(path, name), 0, encoding, lines[0], skip[0]) for name in names)
