"""NIfTI files: RAS and (X, Y, Z) outside, LPS and (Z, Y, X) inside.

Source: https://nifti.nimh.nih.gov/nifti-1 (header fields are named as there).
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import aff2axcodes
from nibabel.spatialimages import HeaderDataError, ImageDataError

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.finite import refuse_not_finite
from overread.record.files import write_with

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MAXIMUM_CHANNELS = 8  # a fourth axis up to this long is modalities (Decathlon has 2 or 4); longer is a time series
MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the lower three bits of xyzt_units: unknown, metre, mm, micron
CONFLICT_VOXELS = 0.5  # qform and sform may put a corner this far apart before it is a conflict worth a word
HEADER_BYTES = 352  # a file that holds less was cut, whatever its suffix
SYNTHETIC_WORD = "PHANTOM"


@dataclass(frozen=True)
class NiftiHeader:
    """What the first 352 bytes say.

    components  length of the channel axis; 1 for a plain volume
    notes       what was assumed and why, in plain words
    """

    grid: Grid
    components: int
    kind: str  # "volume", "modalities" or "colour"
    description: str
    notes: tuple[str, ...]

    @property
    def is_simulated(self) -> bool:
        return SYNTHETIC_WORD in self.description.upper()

    @property
    def units(self) -> str:
        """HU where the description says so, as our own phantom's does; NIfTI has no field for it."""
        return "HU" if "HU" in self.description.split() else "a.u."


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def nifti_stem(path: Path) -> str:
    """The name without .nii or .nii.gz."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name[:-4] if name.lower().endswith(".nii") else name


def read_nifti_header(path: Path) -> NiftiHeader:
    """Shape and geometry without decoding voxels; refused where they cannot be trusted or the file was cut."""
    file = _load(path)
    header = _header(path, file)
    _refuse_cut(Path(path), int(file.dataobj.offset) + int(np.prod(file.shape)) * file.get_data_dtype().itemsize)
    return header


def open_nifti(path: Path, index: int | None = None) -> Image:
    """One NIfTI file as an image.

    index    takes one volume of a 4D file; without it up to 8 volumes become channels
    returns  array (C, Z, Y, X): integers as stored where scl_slope is 1, else float32
    """
    file = _load(path)
    header = _header(path, file, index)
    array = _channels_first(_voxels(path, file), header.kind)
    if index is not None and header.components > 1:
        if not 0 <= index < header.components:
            raise Refused("no-such-volume", f"{path.name} has {header.components} volumes; there is no volume {index}.")
        array = array[index : index + 1]
    refuse_not_finite(array, path.name)
    source: dict[str, Any] = {"format": "nifti", "is_simulated": header.is_simulated}
    if header.notes:
        source["notes"] = list(header.notes)
    return Image(array, header.grid, header.units, _channel_names(header.kind, array.shape[0]), source)


def write_nifti(path: Path, array: np.ndarray, grid: Grid, *, description: str = "") -> None:
    """Write a volume on its grid, whole or not at all.

    array        (Z, Y, X); bool becomes uint8, 64-bit integers the smallest type that holds them
    description  up to 79 characters; the word PHANTOM marks simulated images

    The grid of an image that came from NIfTI returns bit for bit: NIfTI keeps the affine as float32,
    and turning LPS into RAS changes only signs.
    """
    if array.shape != grid.shape:
        raise OverreadError(f"{Path(path).name}: the array {array.shape} is not on its grid {grid.shape}.")
    affine = RAS_TO_LPS @ grid.affine
    affine[:, :3] = affine[:, 2::-1]
    image = nib.Nifti1Image(np.ascontiguousarray(_storable(array).transpose(2, 1, 0)), affine)
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    image.header.set_xyzt_units("mm" if grid.spacing_known else "unknown")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1 if _is_rigid(affine) else 0, strip_shears=True)
    write_with(Path(path), lambda beside: nib.save(image, beside))


def _load(path: Path) -> Any:
    path = Path(path)
    if not path.is_file():
        raise Refused("missing-file", f"{path} does not exist.", "check the path, or scan the folder again")
    if path.stat().st_size == 0:
        raise Refused("empty-file", f"{path.name} has zero bytes.", "fetch the file again")
    try:
        file = nib.load(path)
    except (nib.filebasedimages.ImageFileError, HeaderDataError, ValueError) as error:
        if path.name.lower().endswith(".gz"):
            _refuse_short(path, _unpack(path, limit=HEADER_BYTES), HEADER_BYTES)
        raise Refused("unreadable", f"{path.name} is not a readable NIfTI file: {error}.", "write it again") from error
    except (EOFError, OSError, zlib.error) as error:
        raise Refused("truncated", f"{path.name} ends before its header does: {error}.", "fetch the file again") from error
    if not isinstance(file, nib.Nifti1Image):  # Nifti2Image is a subclass
        raise Refused("unreadable", f"{path.name} is a {type(file).__name__}, not a NIfTI file.", "convert it to NIfTI")
    return file


def _refuse_cut(path: Path, expected: int) -> None:
    """Compare the file's length, or the length that gzip notes at its end, with what the header asks for."""
    if not path.name.lower().endswith(".gz"):
        size = path.stat().st_size
    else:
        with open(path, "rb") as file:
            file.seek(-4, 2)
            noted = int.from_bytes(file.read(4), "little")
        if noted == expected % (1 << 32):
            return
        size = _unpack(path)  # cut, or written in several parts: only unpacking tells
    _refuse_short(path, size, expected)


def _refuse_short(path: Path, size: int, expected: int) -> None:
    if size < expected:
        raise Refused("truncated", f"{path.name} holds {size} bytes; {expected} are needed.", "fetch the file again")


def _unpack(path: Path, limit: int | None = None) -> int:
    """Bytes that a gzip file holds, up to `limit`; refused where it ends early."""
    count = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                count += len(block)
                if limit and count >= limit:
                    break
    except (EOFError, zlib.error) as error:
        raise Refused("truncated", f"{path.name} is cut short or damaged: {error}.", "fetch the file again") from error
    except gzip.BadGzipFile as error:
        raise Refused("unreadable", f"{path.name} is not a gzip file: {error}.", "fetch the file again") from error
    return count


def _header(path: Path, file: Any, index: int | None = None) -> NiftiHeader:
    shape, dtype = tuple(int(n) for n in file.shape), file.get_data_dtype()
    if any(n <= 0 for n in shape) or len(shape) < 2:
        raise Refused("no-pixels", f"{path.name} has the shape {shape}; expected at least two axes with voxels.")
    if dtype.kind == "c":
        raise Refused("complex", f"{path.name} holds complex numbers.", "save the magnitude as its own file")
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    components, kind = 1, "volume"
    if dtype.fields is not None:
        components, kind = len(dtype.fields), "colour"
    elif len(shape) == 4 and (shape[3] <= MAXIMUM_CHANNELS or index is not None):
        components, kind = shape[3], "modalities"
    if len(shape) > 3 and kind != "modalities":
        raise Refused(
            "four-dimensional",
            f"{path.name} has the shape {shape}; expected one volume, or up to {MAXIMUM_CHANNELS} volumes that are channels.",
            "split the series into volumes, one file each",
        )
    affine, notes = _affine(path, file)
    x, y, z = (*shape[:3], 1)[:3]
    lps = RAS_TO_LPS @ affine
    lps[:, :3] = lps[:, 2::-1]
    grid = Grid((z, y, x), lps, is_planar=z == 1)
    if not grid.is_invertible:
        raise Refused(
            "bad-affine",
            f"{path.name}: its affine {np.round(affine[:3], 4).tolist()} does not map voxels to distinct places.",
            "write the file again with the scanner's geometry (qform or sform)",
        )
    description = bytes(file.header["descrip"]).split(b"\0")[0].decode("latin-1").strip()
    return NiftiHeader(grid, components, kind, description, notes)


def _affine(path: Path, file: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """The (4, 4) map from (x, y, z) to RAS mm, and what had to be assumed."""
    header = file.header
    scale = MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    to_mm = np.diag([scale, scale, scale, 1.0])
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if not has_sform and not has_qform:
        return to_mm @ header.get_base_affine(), ("the file names no orientation (qform and sform codes are 0); spacing only",)
    try:
        qform = to_mm @ header.get_qform() if has_qform else None
    except (HeaderDataError, ValueError) as error:
        if not has_sform:
            raise Refused("bad-affine", f"{path.name}: its quaternion is not a rotation: {error}.", "write it again") from error
        qform = None
    if not has_sform:
        assert qform is not None
        return qform, ()
    sform = to_mm @ header.get_sform()
    return sform, () if qform is None else _conflict(path, file.shape, sform, qform)


def _conflict(path: Path, shape: tuple[int, ...], sform: np.ndarray, qform: np.ndarray) -> tuple[str, ...]:
    """The sform counts. A qform may name another space (scanner, atlas), but not another body side or size."""
    if not (np.isfinite(sform).all() and np.isfinite(qform).all()) or abs(np.linalg.det(sform[:3, :3])) < 1e-9:
        return ()  # refused as bad-affine by the caller
    sizes, other_sizes = voxel_sizes(sform), voxel_sizes(qform)
    corner = np.array([*(n - 1 for n in (*shape, 1)[:3]), 1.0])
    apart = max(np.linalg.norm((sform - qform) @ corner), np.linalg.norm(sform[:3, 3] - qform[:3, 3]))
    if apart <= CONFLICT_VOXELS * sizes.min():
        return ()
    axes, other_axes = aff2axcodes(sform), aff2axcodes(qform)
    if axes != other_axes or not np.allclose(sizes, other_sizes, rtol=0.01):
        raise Refused(
            "qform-sform-conflict",
            f"{path.name}: sform says axes {''.join(map(str, axes))} with {np.round(sizes, 3).tolist()} mm, "
            f"qform says {''.join(map(str, other_axes))} with {np.round(other_sizes, 3).tolist()} mm.",
            "find out which is right and write the file again with both the same",
        )
    return (f"qform and sform name different spaces ({apart:.1f} mm apart); the sform was taken",)


def _voxels(path: Path, file: Any) -> np.ndarray:
    """The stored voxels in file order, scaled where the header says so; native byte order."""
    slope, inter = file.dataobj.slope, file.dataobj.inter
    is_scaled = (slope, inter) != (1.0, 0.0)
    try:
        array = np.asanyarray(file.dataobj, dtype=np.float32) if is_scaled else np.asanyarray(file.dataobj)
    except (EOFError, OSError, zlib.error, gzip.BadGzipFile, ImageDataError, ValueError) as error:
        raise Refused(
            "truncated",
            f"{path.name} has fewer voxels than its shape {file.shape} asks for, or is damaged: {error}.",
            "fetch the file again",
        ) from error
    if array.dtype.fields is None:
        array = array.astype(_working_dtype(array), copy=False)
    return array


def _working_dtype(array: np.ndarray) -> np.dtype[Any]:
    """Integers up to 32 bits stay; wider integers and all real numbers become float32, labels by way of int32."""
    if array.dtype.kind == "f":
        return np.dtype(np.float32)
    if array.dtype.itemsize <= 2 or array.dtype == np.int32:
        return array.dtype.newbyteorder("=")
    limits = np.iinfo(np.int32)
    fits = array.size == 0 or (array.max() <= limits.max and array.min() >= limits.min)
    return np.dtype(np.int32) if fits else np.dtype(np.float32)


def _channels_first(array: np.ndarray, kind: str) -> np.ndarray:
    """(X, Y[, Z][, C][, 1 ...]) as stored -> (C, Z, Y, X)."""
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[:, :, None]
    if kind == "colour":
        assert array.dtype.names is not None
        return np.stack([array[name].transpose(2, 1, 0) for name in array.dtype.names])
    if kind == "modalities" and array.ndim == 4:
        return array.transpose(3, 2, 1, 0)
    return array.transpose(2, 1, 0)[None]


def _channel_names(kind: str, count: int) -> tuple[str, ...]:
    if kind == "colour":
        return ("red", "green", "blue", "alpha")[:count]
    return ("image",) if count == 1 else tuple(f"channel_{k}" for k in range(count))


def _is_rigid(affine: np.ndarray) -> bool:
    """No shear: then a quaternion says the same as the matrix."""
    axes = affine[:3, :3] / voxel_sizes(affine)
    return bool(np.allclose(axes.T @ axes, np.eye(3), atol=1e-4))


def _storable(array: np.ndarray) -> np.ndarray:
    """The nearest type that NIfTI readers know: uint8, int16, uint16, int32 or float32."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.itemsize <= 2 or array.dtype == np.int32:
        return array
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    raise OverreadError(f"Values from {low} to {high} do not fit the 32-bit integers of NIfTI.")
