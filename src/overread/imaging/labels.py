"""Mask files: NIfTI, NRRD and 3D Slicer's .seg.nrrd, MetaImage, raster, DICOM SEG and ``.npz`` to integer layers on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.imaging.archive import unpacked
from overread.imaging.dicom.seg_reading import read_seg
from overread.imaging.door import VOLUMES, without_companions
from overread.imaging.npz import open_npz_masks
from overread.imaging.nrrd import is_nrrd
from overread.imaging.raster import open_raster_labels
from overread.imaging.seg_nrrd import is_seg_nrrd, read_seg_nrrd
from overread.imaging.shear import straight_labels

FORMATS = (*VOLUMES, "raster", "dicom-seg", "npz")


def open_labels(
    files: Sequence[Path], format: str, index: int | None = None, *, grid: Grid | None = None, tilt: str = "refuse"
) -> tuple[np.ndarray, Grid]:
    """Read the masks of one case.

    files    one file; several files of one case become layers, on one grid
    format   "nifti", "nrrd", "mha", "raster", "dicom-seg" or "npz"
    index    row of an ``.npz``, volume of a 4D file
    grid     DICOM SEG and .seg.nrrd: the image's grid to place the segments on, since both leave out what is empty
    tilt     "resample" straightens masks whose axes are not at right angles, as it does their image
    returns  (L, Z, Y, X) integers, 0 background, and their grid
    """
    if not files:
        raise OverreadError("There is no mask file to open.", "check the truth folder")
    paths = without_companions([Path(path) for path in files], format)
    with unpacked(paths) as here:
        opened = [_open_one(path, format, index, grid, tilt) for path in here]
    first = opened[0][1]
    for path, (_, other) in zip(paths[1:], opened[1:], strict=True):
        if not first.is_same(other):
            what = f"{path.name} lies on another grid than {paths[0].name}"
            raise Refused("other-grid", f"{what} ({first.distance_mm(other):.1f} mm apart).", "give masks of one grid per case")
    layers = [layers for layers, _ in opened]
    return (layers[0] if len(layers) == 1 else np.concatenate(layers)), first


def open_seg(path: Path, grid: Grid | None = None) -> LabelMap:
    """A segmentation with the names of its segments, from DICOM SEG or 3D Slicer; overlapping segments in layers.

    grid  the image's grid to place the segments on
    """
    with unpacked([Path(path)]) as (here,):
        return read_seg_nrrd(here, grid) if is_nrrd(here) else read_seg(here, grid)


def _open_one(path: Path, format: str, index: int | None, grid: Grid | None, tilt: str) -> tuple[np.ndarray, Grid]:
    if format == "nrrd" and is_seg_nrrd(path):
        segments = read_seg_nrrd(path, grid, tilt)
        return segments.layers, segments.grid
    if format in VOLUMES:
        image = VOLUMES[format](path, index)
        return straight_labels(_as_integers(image.array, path), image.grid, path.name, tilt)
    if format == "raster":
        return open_raster_labels(path, index)
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
