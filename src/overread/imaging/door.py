"""The one way in: any file that Overread reads becomes an `Image`, or is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from overread.core.errors import OverreadError, Refused
from overread.core.image import Image
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.found import Found
from overread.imaging.nifti import open_nifti
from overread.imaging.npz import open_npz
from overread.imaging.raster import open_raster
from overread.imaging.scan import scan, scan_file

FORMATS = ("dicom", "nifti", "raster", "npz")


def open_image(files: Sequence[Path], format: str, index: int | None = None, gaps: str = "refuse", tilt: str = "refuse") -> Image:
    """Read one image.

    files       every file of a DICOM series, in any order; else the one file
    format      "dicom", "nifti", "raster" or "npz"
    index       row of an ``.npz``, volume of a 4D NIfTI, page of a TIFF, frame of a multi-frame DICOM file
    gaps, tilt  DICOM: "refuse", or "resample" to repair missing slices or a tilted gantry
    """
    paths = [Path(path) for path in files]
    if format == "dicom":
        return open_dicom(paths, index, gaps, tilt)
    if format not in FORMATS:
        raise OverreadError(f"The format '{format}' is not known; expected one of {', '.join(FORMATS)}.")
    if len(paths) != 1:
        raise OverreadError(f"A {format} image is one file; got {len(paths)}.", "open them one by one")
    openers = {"nifti": open_nifti, "raster": open_raster, "npz": open_npz}
    return openers[format](paths[0], index)


def open_found(folder: Path, found: Found, gaps: str = "refuse", tilt: str = "refuse") -> Image:
    """Read what a scan of `folder` found."""
    return open_image([Path(folder) / name for name in found.files], found.format, found.index, gaps, tilt)


def open_path(path: Path, gaps: str = "refuse", tilt: str = "refuse") -> list[tuple[Image, Found]]:
    """Read a file, or every eligible image in a folder; refused where nothing in it can be read."""
    path = Path(path)
    if not path.exists():
        raise Refused("missing-file", f"{path} does not exist.", "check the path")
    if path.is_file():
        return [(open_found(path.parent, found, gaps, tilt), found) for found in scan_file(path, gaps=gaps, tilt=tilt)]
    result = scan(path, gaps=gaps, tilt=tilt)
    if not result.eligible:
        reasons = [f"{f.name}: {f.attributes['ineligible']}" for f in result.found]
        reasons += [f"{refused.path}: {refused.reason}" for refused in result.refused]
        what = f"{path} holds no image that can be read" + (f": {'; '.join(reasons[:5])}" if reasons else "") + "."
        raise Refused("nothing-eligible", what, "give a folder or file with DICOM, NIfTI, PNG, JPEG, TIFF or .npz images")
    return [(open_found(path, found, gaps, tilt), found) for found in result.eligible]
