"""MetaImage files, attached (.mha) and detached (.mhd): LPS outside and inside.

Source: https://github.com/Kitware/MetaIO (fields are named as there) and ITK's reading of them: TransformMatrix holds
the direction of x, then of y, then of z.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from nibabel.orientations import aff2axcodes

from overread.core.errors import Refused
from overread.core.image import Image
from overread.imaging.finite import refuse_not_finite
from overread.imaging.payload import SKIP_FROM_END, Piece, check_pieces, inside_folder, numbered_names, read_lines, read_voxels
from overread.imaging.volumes import VolumeHeader, as_working, choose, count_channels, grid_of, open_for_reading, refuse_large

SUFFIXES = (".mha", ".mhd")
LAST_LINE = re.compile(rb"\s*ElementDataFile\s*=")
DTYPES = {
    "MET_CHAR": "i1",
    "MET_ASCII_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
SPELT = {
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
    "Position": "Offset",
    "Origin": "Offset",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "ImagePosition": "Offset",
}
MILLIMETRES = {"mm": 1.0, "um": 0.001, "µm": 0.001, "cm": 10.0, "m": 1000.0, "?": 1.0, "": 1.0}
MOST_AXES = 4
TRUE, FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no", "")
OPPOSITE = str.maketrans("LRAPIS", "RLPASI")
MATRIX_TOLERANCE = 1e-3


def is_mha(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def read_mha_header(path: Path) -> VolumeHeader:
    """Shape and geometry without voxels; refused where they cannot be trusted or the file was cut."""
    return _look_at(path)[0]


def open_mha(path: Path, index: int | None = None) -> Image:
    """One MetaImage as an image.

    index    takes one of several channels, or one volume of a 4D file; without it up to 8 become channels
    returns  array (C, Z, Y, X): integers as stored, real numbers as float32
    """
    header, sizes, dtype, pieces = _look_at(path, index)
    name = Path(path).name
    array = as_working(read_voxels(pieces, sizes, dtype, name))
    # channels lie beside each other (last of `sizes`), times behind each other (first)
    array = np.moveaxis(array, -1, 0) if array.shape[-1] > 1 else array.reshape(-1, *header.grid.shape)
    array, channels = choose(array.reshape(-1, *header.grid.shape), header, index, name)
    refuse_not_finite(array, name)
    return Image(array, header.grid, header.units, channels, header.source("mha"))


def _look_at(path: Path, index: int | None = None) -> tuple[VolumeHeader, tuple[int, ...], np.dtype, tuple[Piece, ...]]:
    """The header, the sizes as stored (slowest first, channels last), the type, and where the voxels are."""
    path = open_for_reading(Path(path))
    lines, offset = read_lines(path, LAST_LINE)
    fields, listed = _fields(path, lines)
    name = path.name
    sizes = [int(n) for n in _numbers(name, fields, "DimSize")]
    if not 2 <= len(sizes) <= MOST_AXES or fields.get("NDims") != str(len(sizes)) or min(sizes) <= 0:
        shape = f"NDims {fields.get('NDims')} and DimSize {fields.get('DimSize')}"
        raise Refused("bad-shape", f"{name} has {shape}; expected two to four axes, all with voxels.", "write the file again")
    dtype = _dtype(name, fields)
    channels = int((_numbers(name, fields, "ElementNumberOfChannels") or [1])[0])
    times = sizes[3] if len(sizes) == MOST_AXES else 1
    if channels < 1 or (channels > 1 and times > 1):
        raise Refused("bad-shape", f"{name} has {channels} channels and {times} times; expected one of both.", "split the file")
    components, kind = count_channels(name, channels * times, index)
    notes: list[str] = []
    affine, spacing_known = _affine(name, fields, len(sizes), notes)
    grid = grid_of(sizes[:3], affine, name, spacing_known=spacing_known)
    stored_sizes = (*sizes[::-1], channels)
    stored = refuse_large(name, stored_sizes, dtype)
    pieces = _pieces(path, fields, listed, offset)
    notes += check_pieces(pieces, stored, name)
    _refuse_cut_packing(name, fields, pieces)
    companions = tuple(str(p.path.relative_to(path.parent)) for p in pieces if p.path != path)
    text = " ".join(fields.get(field, "") for field in ("Comment", "Name"))
    return VolumeHeader(grid, components, kind, text, tuple(notes), companions), stored_sizes, dtype, pieces


def _fields(path: Path, lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """Fields by their modern name, and the files listed after "ElementDataFile = LIST"."""
    fields: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals:
            if line.strip():
                raise Refused("unreadable", f"{path.name} is not a readable MetaImage file.", "fetch the file again")
            continue
        key = SPELT.get(key.strip(), key.strip())
        fields.setdefault(key, value.strip())
    if "ElementDataFile" not in fields or fields.get("ObjectType", "Image").lower() != "image":
        raise Refused("unreadable", f"{path.name} is not a readable MetaImage file of an image.", "fetch the file again")
    listed: list[str] = []
    if fields["ElementDataFile"].split()[:1] == ["LIST"]:
        with open(path, encoding="utf-8", errors="replace") as file:
            rest = file.read(1 << 22).splitlines()[len(lines) :]
        listed = [line.strip() for line in rest if line.strip()]
    return fields, listed


def _dtype(name: str, fields: dict[str, str]) -> np.dtype:
    kind = fields.get("ElementType", "").upper()
    if kind not in DTYPES:
        raise Refused("bad-type", f"{name} has the type '{kind}'; expected a number type.", "save it as short or float")
    is_big = _flag(name, fields, "BinaryDataByteOrderMSB")
    return np.dtype(DTYPES[kind]).newbyteorder(">" if is_big else "<")


def _flag(name: str, fields: dict[str, str], field: str, default: bool = False) -> bool:
    word = fields.get(field, str(default)).lower()
    if word not in TRUE + FALSE:
        raise Refused("bad-header", f"{name} has {field} = '{word}'; expected True or False.", "write the file again")
    return word in TRUE


def _numbers(name: str, fields: dict[str, str], field: str) -> list[float]:
    try:
        values = [float(word) for word in fields.get(field, "").split()]
    except ValueError as error:
        raise Refused("bad-header", f"{name} has {field} = '{fields[field][:60]}'.", "write the file again") from error
    if not np.isfinite(values).all() or (values and max(map(abs, values)) > 1e15):
        raise Refused("bad-header", f"{name} has {field} = '{fields[field][:60]}'.", "write the file again")
    return values


def _affine(name: str, fields: dict[str, str], dimensions: int, notes: list[str]) -> tuple[np.ndarray, bool]:
    """(4, 4): index (x, y, z) -> LPS mm, and whether the millimetres are known."""
    unit = fields.get("DistanceUnits", "").lower()
    if unit not in MILLIMETRES:
        raise Refused("bad-units", f"{name} measures space in '{unit}'.", "write the file in mm")
    if MILLIMETRES[unit] != 1.0:
        notes.append(f"lengths converted from {unit} to mm")
    spacing = _numbers(name, fields, "ElementSpacing") or _numbers(name, fields, "ElementSize")
    known = bool(spacing)
    if not known:
        notes.append("the file gives no ElementSpacing")
    spacing, origin = spacing or [1.0] * dimensions, _numbers(name, fields, "Offset") or [0.0] * dimensions
    matrix = np.array(_numbers(name, fields, "TransformMatrix") or np.eye(dimensions).ravel())
    if len(spacing) != dimensions or len(origin) != dimensions or matrix.size != dimensions**2 or min(spacing) < 0:
        raise Refused("bad-affine", f"{name}: spacing, offset and matrix do not fit {dimensions} axes.", "write it again")
    count = min(dimensions, 3)
    directions = matrix.reshape(dimensions, dimensions)[:count, :count].T
    if not np.allclose(np.linalg.norm(directions, axis=0), 1, atol=MATRIX_TOLERANCE):
        raise Refused("bad-affine", f"{name}: the directions in its TransformMatrix are not of length 1.", "write it again")
    affine = np.eye(4)
    affine[:count, :count] = directions * spacing[:count]
    affine[:count, 3] = origin[:count]
    affine[:3] *= MILLIMETRES[unit]
    if count < 3:
        affine[2, 2] = 1.0 if np.linalg.det(directions) > 0 else -1.0
    _compare_letters(name, fields, affine, notes)
    return affine, known


def _compare_letters(name: str, fields: dict[str, str], affine: np.ndarray, notes: list[str]) -> None:
    """TransformMatrix counts, as in ITK. Letters that agree with it in neither custom ("from" and "to") are worth a word."""
    letters = fields.get("AnatomicalOrientation", "").upper()
    if len(letters) != 3 or set(letters) - set("LRAPIS") or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        return
    to = "".join(map(str, aff2axcodes(affine, labels=(("R", "L"), ("A", "P"), ("I", "S")))))
    if letters in (to, to.translate(OPPOSITE)):
        return
    if "TransformMatrix" not in fields:
        raise Refused(
            "orientation-conflict",
            f"{name} has no TransformMatrix, and AnatomicalOrientation = {letters} is not its default.",
            "write the file again with a TransformMatrix",
        )
    notes.append(f"AnatomicalOrientation says {letters}, TransformMatrix {to.translate(OPPOSITE)}; the matrix was taken")


def _pieces(path: Path, fields: dict[str, str], listed: list[str], offset: int) -> tuple[Piece, ...]:
    name = path.name
    is_packed = _flag(name, fields, "CompressedData")
    encoding = "zip" if is_packed else "raw" if _flag(name, fields, "BinaryData", default=True) else "text"
    skip = int((_numbers(name, fields, "HeaderSize") or [0])[0])
    if skip < SKIP_FROM_END or (skip and encoding != "raw"):
        raise Refused("bad-header", f"{name} has HeaderSize = {skip} with {encoding} voxels.", "write the file again")
    words = fields["ElementDataFile"].split()
    if not words:
        raise Refused("bad-header", f"{name} names no ElementDataFile.", "write the file again")
    if words[0].upper() == "LOCAL":
        return (Piece(path, offset, encoding),)
    if words[0] == "LIST":
        names = listed
        if len(words) > 1 and words[1] not in ("2", "2D"):
            raise Refused("bad-header", f"{name}: LIST {words[1]} is not one file per slice.", "write the file again")
    elif "%" in words[0] and len(words) in (3, 4):
        first, last, step = (int(float(word)) for word in (*words[1:], "1")[:3]) if _all_numbers(words[1:]) else (0, -1, 1)
        names = numbered_names(path, words[0], first, last, step)
    else:
        names = [fields["ElementDataFile"]]
    return tuple(Piece(inside_folder(path, entry), 0, encoding, 0, skip) for entry in names)


def _all_numbers(words: list[str]) -> bool:
    return all(re.fullmatch(r"-?\d{1,9}", word) for word in words)


def _refuse_cut_packing(name: str, fields: dict[str, str], pieces: tuple[Piece, ...]) -> None:
    noted = _numbers(name, fields, "CompressedDataSize")
    if noted and len(pieces) == 1 and pieces[0].encoding == "zip":
        size = pieces[0].path.stat().st_size - pieces[0].offset
        if size < noted[0]:
            what = f"{name} holds {size} packed bytes; {noted[0]:.0f} are needed."
            raise Refused("truncated", what, "fetch the file again")
