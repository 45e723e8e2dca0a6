"""NIfTI files: RAS and (X, Y, Z) outside, LPS and (Z, Y, X) inside.

Rules where a file says two things or none:

- sform and qform: the sform counts. A qform that names another space (scanner, atlas) is noted with the distance in mm;
  one that names another body side or other voxel sizes is refused.
- neither: voxel sizes are taken, the orientation is unknown and said to be; with no unit and sizes of 1 the file says nothing.
- axes that are not at right angles: kept here; the door refuses or straightens them (`overread.imaging.shear`).
- lengths in metres or microns are converted; no unit means mm, as every writer means it.
- scl_slope 0 or NaN means values as stored.

Source: https://nifti.nimh.nih.gov/nifti-1 (header fields are named as there).
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import ImageDataError

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.image import Image
from overread.imaging.finite import refuse_not_finite
from overread.imaging.nifti_file import (
    end_of_voxels,
    is_pair,
    load_nifti,
    quiet_nibabel,
    refuse_cut,
    refuse_impossible,
    voxel_path,
)
from overread.imaging.nifti_space import LPS_FROM_RAS, affine_of
from overread.imaging.volumes import (
    VolumeHeader,
    as_working,
    check_index,
    count_channels,
    grid_of,
)
from overread.record.files import write_with

DISPLACEMENTS = 1006  # intent code of a field of displacements


def is_nifti(path: Path) -> bool:
    """A .nii, or the header of a .hdr and .img pair; any of them may be packed (.gz)."""
    name = path.name.lower()
    return name.endswith((".nii", ".nii.gz")) or (name.endswith((".hdr", ".hdr.gz")) and is_pair(path))


def nifti_stem(path: Path) -> str:
    """The name without .nii, .hdr or .img, and .gz."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name[:-4] if name.lower().endswith((".nii", ".hdr", ".img")) else name


def read_nifti_header(path: Path) -> VolumeHeader:
    """Shape and geometry without decoding voxels; refused where they cannot be trusted or the file was cut."""
    path = Path(path)
    with quiet_nibabel():
        file = load_nifti(path)
        header = _header(path, file)
        refuse_cut(voxel_path(path), end_of_voxels(file))
    return header


def open_nifti(path: Path, index: int | None = None) -> Image:
    """One NIfTI file as an image.

    index    takes one volume of a 4D file; without it up to 8 volumes become channels
    returns  array (C, Z, Y, X): integers as stored where nothing scales them, else float32
    """
    path = Path(path)
    with quiet_nibabel():
        file = load_nifti(path)
        header = _header(path, file, index)
        refuse_impossible(path, file, index)
        array = _channels_first(_voxels(path, file, index if header.components > 1 else None), header.kind)
    channels = header.channels if index is None or header.components == 1 else ("image",)
    refuse_not_finite(array, path.name)
    return Image(array, header.grid, header.units, channels, header.source("nifti"))


def write_nifti(path: Path, array: np.ndarray, grid: Grid, *, description: str = "") -> None:
    """Write a volume on its grid, whole or not at all.

    array        (Z, Y, X), or (C, Z, Y, X) channels; bool becomes uint8, 64-bit integers the smallest type that holds them
    description  up to 79 characters; the word PHANTOM marks simulated images

    The grid of an image that came from NIfTI returns bit for bit: NIfTI keeps the affine as float32,
    and turning LPS into RAS changes only signs.
    """
    if array.ndim not in (3, 4) or array.shape[-3:] != grid.shape:
        raise OverreadError(f"{Path(path).name}: the array {array.shape} is not on its grid {grid.shape}.")
    affine = LPS_FROM_RAS @ grid.affine
    affine[:, :3] = affine[:, 2::-1]
    image = nib.Nifti1Image(_storable(array).T, affine)  # a view: in the file X runs fastest, as in memory
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    image.header.set_xyzt_units("mm" if grid.spacing_known else "unknown")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1 if _is_rigid(affine) else 0, strip_shears=True)
    write_with(Path(path), lambda beside: nib.save(image, beside))


def _header(path: Path, file: Any, index: int | None = None) -> VolumeHeader:
    shape, dtype = tuple(int(n) for n in file.shape), file.get_data_dtype()
    if any(n <= 0 for n in shape) or len(shape) < 2:
        raise Refused("no-pixels", f"{path.name} has the shape {shape}; expected at least two axes with voxels.")
    if dtype.kind == "c":
        raise Refused("complex", f"{path.name} holds complex numbers.", "save the magnitude as its own file")
    long = [n for n in shape[3:] if n > 1]
    if len(long) > 1 or (long and dtype.fields is not None):
        raise Refused(
            "several-axes",
            f"{path.name} has the shape {shape}; expected space and at most one axis beside it.",
            "split it into volumes, one file each",
        )
    if int(file.header["intent_code"]) == DISPLACEMENTS:
        raise Refused("vector-field", f"{path.name} is a field of displacements, not an image.", "give the image itself")
    if dtype.fields is not None:
        components, kind = count_channels(path.name, len(dtype.fields), index, is_colour=True)
    else:
        components, kind = count_channels(path.name, long[0] if long else 1, index)
        if index is not None and components > 1:
            check_index(index, components, path.name)
    affine, notes, spacing_known = affine_of(path.name, file)
    grid = grid_of(shape[:3], affine, path.name, spacing_known=spacing_known)
    description = bytes(file.header["descrip"]).split(b"\0")[0].decode("latin-1").strip()
    companions = (voxel_path(path).name,) if voxel_path(path) != path else ()
    return VolumeHeader(grid, components, kind, description, (*notes, *_spare(path, file)), companions)


def _spare(path: Path, file: Any) -> tuple[str, ...]:
    """Bytes behind the last voxel, which a wrong vox_offset or shape leaves over."""
    voxels = voxel_path(path)
    if voxels.name.lower().endswith(".gz"):
        return ()
    left = voxels.stat().st_size - end_of_voxels(file)
    return (f"{left} bytes after the voxels were left unread",) if left > 0 else ()


def _voxels(path: Path, file: Any, index: int | None) -> np.ndarray:
    """The stored voxels in file order, scaled where the header says so; native byte order.

    index    the one volume to read along the axis beside space
    """
    slope, inter = file.dataobj.slope, file.dataobj.inter
    is_scaled = (slope, inter) != (1.0, 0.0) and file.get_data_dtype().fields is None
    wanted: tuple[Any, ...] = (...,)
    if index is not None:
        beside = next(axis for axis, n in enumerate(file.shape) if axis > 2 and n > 1)
        wanted = tuple(index if axis == beside else slice(None) for axis in range(len(file.shape)))
    try:
        if is_scaled:
            array = np.asanyarray(file.dataobj[wanted] if index is not None else file.dataobj, dtype=np.float32)
        else:
            array = np.asanyarray(file.dataobj.get_unscaled() if index is None else file.dataobj[wanted])
    except (EOFError, OSError, zlib.error, gzip.BadGzipFile, ImageDataError, ValueError) as error:
        raise Refused(
            "truncated",
            f"{path.name} has fewer voxels than its shape {file.shape} asks for, or is damaged: {error}.",
            "fetch the file again",
        ) from error
    return array if array.dtype.fields is not None else as_working(array)


def _channels_first(array: np.ndarray, kind: str) -> np.ndarray:
    """(X, Y[, Z][, ...]) as stored, one axis beside space at most -> (C, Z, Y, X)."""
    space = (*array.shape, 1)[:3]
    if kind == "colour":
        assert array.dtype.names is not None
        return np.stack([array[name].reshape(space, order="F").transpose(2, 1, 0) for name in array.dtype.names])
    return array.reshape(*space, -1, order="F").transpose(3, 2, 1, 0)


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
