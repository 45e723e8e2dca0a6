"""Every image that a network makes or changes leaves through here, in whichever format, and carries its mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from overread.core.errors import OverreadError, Refused
from overread.core.kinds import Picture
from overread.imaging.dicom.write_picture import write_picture_series
from overread.imaging.made import SyntheticMark as SyntheticMark
from overread.imaging.nifti import is_nifti, read_nifti_header, write_nifti
from overread.imaging.picture_png import write_picture_png

DESCRIPTION = 79  # characters of a NIfTI header
Writer = Callable[[Path, Picture, SyntheticMark, Sequence[Path]], tuple[Path, ...]]


def write_picture(
    path: Path, picture: Picture, *, mark: SyntheticMark, source: Path | Sequence[Path] | None = None
) -> tuple[Path, ...]:
    """Write a picture in the format that the path's ending names (see `WRITERS`); returns the files.

    path    .nii, .nii.gz, .png, .dcm for one frame, or a new folder for a DICOM series
    source  the file or files of the image that it was made from: a DICOM series takes its patient and places from them, a
            PNG its grey levels, and every format whether it is a phantom. Files of another format tell nothing
    """
    path = Path(path)
    suffix = next((ending for ending in WRITERS if ending and path.name.lower().endswith(ending)), path.suffix.lower())
    if suffix not in WRITERS:
        known = ", ".join(ending for ending in WRITERS if ending)
        raise OverreadError(f"{path.name}: pictures are written as {known}, or as a folder of DICOM files.", "change the ending")
    files = [Path(source)] if isinstance(source, str | Path) else [Path(file) for file in source or ()]
    return WRITERS[suffix](path, picture, mark, files)


def write_picture_nifti(path: Path, picture: Picture, mark: SyntheticMark, source_files: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Write a picture with its mark in the description; several channels become the fourth axis.

    source_files  the NIfTI file that it was made from, asked only whether it is a phantom
    """
    if not np.isfinite(picture.array).all():
        raise Refused("not-finite", f"{Path(path).name}: the picture holds NaN or infinity.", "write finite values")
    if any(read_nifti_header(file).is_simulated for file in source_files if is_nifti(file)):
        mark = replace(mark, is_phantom=True)
    array = picture.array[0] if len(picture.array) == 1 else picture.array
    description = mark.short(DESCRIPTION, " HU" if picture.units == "HU" else "")
    write_nifti(path, array, picture.grid, description=description)
    return (Path(path),)


WRITERS: dict[str, Writer] = {
    ".nii.gz": write_picture_nifti,
    ".nii": write_picture_nifti,
    ".png": write_picture_png,
    ".dcm": write_picture_series,
    "": write_picture_series,
}
