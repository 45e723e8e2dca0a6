"""Mask files: NIfTI, raster, DICOM SEG and ``.npz`` to integer layers on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.imaging.dicom.seg_reading import read_seg
from overread.imaging.nifti import open_nifti
from overread.imaging.npz import open_npz_masks
from overread.imaging.raster import open_raster

FORMATS = ("nifti", "raster", "dicom-seg", "npz")


def open_labels(
    files: Sequence[Path], format: str, index: int | None = None, *, grid: Grid | None = None
) -> tuple[np.ndarray, Grid]:
    """Read the masks of one case.

    files    one file; several files of one case become layers, on one grid
    format   "nifti", "raster", "dicom-seg" or "npz"
    index    row of an ``.npz``, volume of a 4D NIfTI
    grid     DICOM SEG: the image's grid to place the segments on, since a SEG leaves out empty slices
    returns  (L, Z, Y, X) integers, 0 background, and their grid
    """
    if not files:
        raise OverreadError("There is no mask file to open.", "check the truth folder")
    opened = [_open_one(Path(path), format, index, grid) for path in files]
    first = opened[0][1]
    for path, (_, other) in zip(files[1:], opened[1:], strict=True):
        if not first.is_same(other):
            what = f"{Path(path).name} lies on another grid than {Path(files[0]).name}"
            raise Refused("other-grid", f"{what} ({first.distance_mm(other):.1f} mm apart).", "give masks of one grid per case")
    layers = [layers for layers, _ in opened]
    return (layers[0] if len(layers) == 1 else np.concatenate(layers)), first


def open_seg(path: Path, grid: Grid | None = None) -> LabelMap:
    """A DICOM SEG with the names of its segments; values are segment numbers, overlapping segments in layers."""
    return read_seg(path, grid)


def _open_one(path: Path, format: str, index: int | None, grid: Grid | None) -> tuple[np.ndarray, Grid]:
    if format == "nifti":
        image = open_nifti(path, index)
        return _as_integers(image.array, path), image.grid
    if format == "raster":
        image = open_raster(path, index)
        if image.array.shape[0] != 1:
            what = f"{path.name} is a colour picture; a mask holds one label value per pixel."
            raise Refused("colour-mask", what, "save the label values as grey (8 or 16 bit)")
        return _as_integers(image.array, path), image.grid
    if format == "dicom-seg":
        placed = read_seg(path, grid)
        return placed.layers, placed.grid
    if format == "npz":
        layers, own = open_npz_masks(path, index)
        return _as_integers(layers, path), own
    raise OverreadError(f"The mask format '{format}' is not known; expected one of {', '.join(FORMATS)}.")


def _as_integers(array: np.ndarray, path: Path) -> np.ndarray:
    """Labels stored as real numbers come back as integers; a fraction is no label."""
    if array.dtype.kind in "iub":
        return array.astype(np.uint8) if array.dtype == bool else array
    whole = np.rint(array)
    if np.abs(array - whole).max(initial=0) > 1e-3:
        odd = float(array.flat[int(np.abs(array - whole).argmax())])
        what = f"{path.name} holds the value {odd:g}; label values are whole numbers."
        raise Refused("not-labels", what, "save the mask without interpolation, or threshold the probabilities")
    return whole.astype(np.int32)
