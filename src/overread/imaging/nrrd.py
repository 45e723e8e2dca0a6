"""NRRD files, attached (.nrrd) and detached (.nhdr): any stated space outside, LPS and (Z, Y, X) inside.

Source: http://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.core.errors import Refused
from overread.core.image import Image
from overread.imaging.finite import refuse_not_finite
from overread.imaging.nrrd_header import NrrdHeader, numbers, parse_nrrd, vector
from overread.imaging.payload import check_pieces, read_voxels
from overread.imaging.volumes import (
    VolumeHeader,
    as_working,
    choose,
    count_channels,
    grid_of,
    open_for_reading,
    refuse_large,
)

SUFFIXES = (".nrrd", ".nhdr")
SPACES = {  # signs that turn a stated space into LPS
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
WITH_TIME = (
    "left-posterior-superior-time",
    "right-anterior-superior-time",
    "left-anterior-superior-time",
    "lpst",
    "rast",
    "last",
)
NO_BODY = ("scanner-xyz", "3d-right-handed", "3d-left-handed")
MILLIMETRES = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimeters": 1.0,
    "um": 0.001,
    "µm": 0.001,
    "micron": 0.001,
    "microns": 0.001,
    "micrometer": 0.001,
    "micrometers": 0.001,
    "cm": 10.0,
    "m": 1000.0,
}
SPACE_KINDS = ("", "domain", "space")
COLOUR_KINDS = {"rgb-color": 3, "rgba-color": 4}
TENSOR_KINDS = ("matrix", "quaternion", "complex")
VECTOR_KINDS = ("vector", "covariant-vector", "normal", "gradient", "point")


@dataclass(frozen=True)
class NrrdFile:
    """A header with what its axes mean.

    other  the axis that is not space, in file order; None where all are
    """

    raw: NrrdHeader
    header: VolumeHeader
    other: int | None


def is_nrrd(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def nrrd_stem(path: Path) -> str:
    """The name without .nrrd, .nhdr, .seg.nrrd."""
    return path.stem[:-4] if path.stem.lower().endswith(".seg") else path.stem


def read_nrrd_header(path: Path) -> VolumeHeader:
    """Shape and geometry without voxels; refused where they cannot be trusted or the file was cut."""
    return look_at(path).header


def open_nrrd(path: Path, index: int | None = None) -> Image:
    """One NRRD file as an image.

    index    takes one volume along the axis that is not space; without it up to 8 become channels
    returns  array (C, Z, Y, X): integers as stored, real numbers as float32
    """
    file = look_at(path, index)
    array, channels = choose(read_channels(file), file.header, index, file.raw.name)
    refuse_not_finite(array, file.raw.name)
    return Image(array, file.header.grid, file.header.units, channels, file.header.source("nrrd"))


def look_at(path: Path, index: int | None = None) -> NrrdFile:
    """The header, understood."""
    path = open_for_reading(Path(path))
    raw = parse_nrrd(path)
    notes: list[str] = []
    other = _other_axis(raw, notes)
    components, kind = 1, "volume"
    if other is not None:
        is_colour = raw.kinds[other] in COLOUR_KINDS
        if is_colour and raw.sizes[other] != COLOUR_KINDS[raw.kinds[other]]:
            raise Refused("bad-header", f"{raw.name}: its colour axis has {raw.sizes[other]} samples.", "write the file again")
        components, kind = count_channels(raw.name, raw.sizes[other], index, is_colour=is_colour)
    spatial = [axis for axis in range(len(raw.sizes)) if axis != other]
    affine, spacing_known = _affine(raw, spatial, notes)
    grid = grid_of([raw.sizes[axis] for axis in spatial], affine, raw.name, spacing_known=spacing_known)
    stored = refuse_large(raw.name, raw.sizes, raw.dtype)
    notes += check_pieces(raw.pieces, stored, raw.name)
    text = " ".join([raw.fields.get("content", ""), *raw.keys.values()])
    companions = tuple(str(p.path.relative_to(path.parent)) for p in raw.pieces if p.path != path)
    return NrrdFile(raw, VolumeHeader(grid, components, kind, text, tuple(notes), companions), other)


def read_channels(file: NrrdFile) -> np.ndarray:
    """(C, Z, Y, X) as stored, in the machine's byte order."""
    raw = file.raw
    array = read_voxels(raw.pieces, raw.sizes[::-1], raw.dtype, raw.name)
    array = array[None] if file.other is None else np.moveaxis(array, len(raw.sizes) - 1 - file.other, 0)
    return as_working(array.reshape(array.shape[0], *file.header.grid.shape))


def _other_axis(raw: NrrdHeader, notes: list[str]) -> int | None:
    """The axis that holds channels, layers, colours or times; refused where there are several."""
    for kind in raw.kinds:
        if any(word in kind for word in TENSOR_KINDS):
            code = "complex" if kind == "complex" else "tensor"
            raise Refused(code, f"{raw.name} holds a {kind} at each voxel.", "save one number per voxel (magnitude, trace ...)")
    if raw.vectors:
        other = [axis for axis, direction in enumerate(raw.vectors) if direction is None]
    else:
        other = [axis for axis, kind in enumerate(raw.kinds) if kind not in SPACE_KINDS]
    if not other and len(raw.sizes) == 4:
        other = [3]
        notes.append("four axes and none is called a list: the last one was taken as channels")
    if len(other) > 1 or not 2 <= len(raw.sizes) - len(other) <= 3:
        raise Refused(
            "bad-shape",
            f"{raw.name} has the sizes {raw.sizes} with {len(other)} axes that are not space; "
            "expected two or three axes of space and at most one other.",
            "split it into volumes, one file each",
        )
    if other and any(raw.kinds[other[0]].endswith(kind) for kind in VECTOR_KINDS) and "measurement frame" in raw.fields:
        notes.append("vectors are kept as channels; the measurement frame is not applied")
    return other[0] if other else None


def _affine(raw: NrrdHeader, spatial: list[int], notes: list[str]) -> tuple[np.ndarray, bool]:
    """(4, 4): index (x, y, z) -> LPS mm, and whether the millimetres are known."""
    if not raw.vectors:
        return _from_spacings(raw, spatial, notes)
    space = raw.fields.get("space", "").lower()
    if space in WITH_TIME or any(len(v) > 3 for v in raw.vectors if v is not None):
        raise Refused("space-time", f"{raw.name} gives places in space and time.", "save one volume per time")
    if space not in SPACES and space not in ("", *NO_BODY):
        raise Refused("bad-header", f"{raw.name} names the space '{space}'.", "write it as left-posterior-superior")
    if space not in SPACES:
        notes.append(f"the file names no space of the body ({space or 'none'}); its directions were taken as LPS")
    vectors = [raw.vectors[axis] for axis in spatial]
    length = len(vectors[0])  # type: ignore[arg-type]
    if any(v is None or len(v) != length or not np.isfinite(v).all() for v in vectors) or length not in (2, 3):
        raise Refused("bad-affine", f"{raw.name}: its space directions do not fit each other.", "write the file again")
    origin = vector(raw.name, raw.fields["space origin"]) if raw.fields.get("space origin") else np.zeros(length)
    if "space origin" not in raw.fields:
        notes.append("no space origin: the first voxel was put at zero")
    if len(origin) != length:
        raise Refused("bad-affine", f"{raw.name}: its space origin does not fit its directions.", "write the file again")
    scale = _unit_scale(raw, notes)
    to_lps = np.array(SPACES.get(space, (1, 1, 1)), float) * scale
    affine = np.eye(4)
    for axis, direction in enumerate(vectors):
        affine[:3, axis] = 0
        affine[:length, axis] = direction
    affine[:length, 3] = origin
    affine[:3] = affine[:3] * to_lps[:, None]
    if len(vectors) == 2:
        across = np.cross(affine[:3, 0], affine[:3, 1])
        size = np.linalg.norm(across)
        affine[:3, 2] = across / size if size > 0 else 0
    return affine, True


def _unit_scale(raw: NrrdHeader, notes: list[str]) -> float:
    """Millimetres in one unit of the space; the standard's default is none, and everybody means mm."""
    units = {unit.strip().lower() for unit in raw.fields.get("space units", "").replace('"', " ").split()}
    return _millimetres(raw.name, units, notes)


def _millimetres(name: str, units: set[str], notes: list[str]) -> float:
    units -= {"", "???", "none"}
    if not units:
        return 1.0
    if len(units) > 1 or not units <= set(MILLIMETRES):
        raise Refused("bad-units", f"{name} measures space in {', '.join(sorted(units))}.", "write the file in mm")
    unit = units.pop()
    if MILLIMETRES[unit] != 1.0:
        notes.append(f"lengths converted from {unit} to mm")
    return MILLIMETRES[unit]


def _from_spacings(raw: NrrdHeader, spatial: list[int], notes: list[str]) -> tuple[np.ndarray, bool]:
    """Distances without directions: orientation unknown, axes taken as L, P, S."""
    spacings = numbers(raw.name, raw.fields.get("spacings", ""), float)
    if spacings and len(spacings) != len(raw.sizes):
        raise Refused("bad-header", f"{raw.name} has {len(raw.sizes)} axes but {len(spacings)} spacings.", "write it again")
    values = [abs(spacings[axis]) for axis in spatial] if spacings else []
    if not values or not np.isfinite(values).all():
        notes.append("the file gives no spacing and no orientation")
        return np.eye(4), False
    words = raw.fields.get("units", "").replace('"', " ").lower().split()
    units = {words[axis] for axis in spatial} if len(words) == len(raw.sizes) else set(words)
    scale = _millimetres(raw.name, units, notes)
    notes.append("the file names no orientation; spacing only")
    return np.diag([*(value * scale for value in values), *[1.0] * (4 - len(values))]), True
