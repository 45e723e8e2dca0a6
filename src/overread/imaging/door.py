"""The one way in: any file that Overread reads becomes an `Image`, or is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from overread.core.errors import OverreadError, Refused
from overread.core.image import Image
from overread.imaging.archive import unpacked
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.found import Found
from overread.imaging.mha import open_mha, read_mha_header
from overread.imaging.nifti import open_nifti, read_nifti_header
from overread.imaging.npz import open_npz
from overread.imaging.nrrd import open_nrrd, read_nrrd_header
from overread.imaging.raster import open_raster
from overread.imaging.scan import scan, scan_file
from overread.imaging.shear import straight

VOLUMES = {"nifti": open_nifti, "nrrd": open_nrrd, "mha": open_mha}
HEADERS = {"nifti": read_nifti_header, "nrrd": read_nrrd_header, "mha": read_mha_header}
PLAIN = {"raster": open_raster, "npz": open_npz}
FORMATS = ("dicom", *VOLUMES, *PLAIN)


def open_image(files: Sequence[Path], format: str, index: int | None = None, gaps: str = "refuse", tilt: str = "refuse") -> Image:
    """Read one image.

    files       every file of a DICOM series, in any order; else the one file, first of all its header where the
                voxels lie in files of their own (.hdr and .img, .nhdr, .mhd)
    format      "dicom", "nifti", "nrrd", "mha", "raster" or "npz"
    index       row of an ``.npz``, volume of a 4D file, page of a TIFF, frame of a multi-frame DICOM file
    gaps        DICOM: "refuse", or "resample" to fill missing slices
    tilt        "refuse", or "resample" to straighten a tilted gantry or axes that are not at right angles
    """
    paths = [Path(path) for path in files]
    if format not in FORMATS:
        raise OverreadError(f"The format '{format}' is not known; expected one of {', '.join(FORMATS)}.")
    if format != "dicom":
        paths = without_companions(paths, format)
        if len(paths) != 1:
            raise OverreadError(f"A {format} image is one file; got {len(paths)}.", "open them one by one")
    with unpacked(paths) as here:
        if format == "dicom":
            return open_dicom(here, index, gaps, tilt)
        if format in PLAIN:
            return PLAIN[format](here[0], index)
        return straight(VOLUMES[format](here[0], index), here[0].name, tilt)


def without_companions(paths: Sequence[Path], format: str) -> list[Path]:
    """Leave out the files in which another of them keeps its voxels."""
    kept: set[Path] = set()
    if len(paths) > 1 and format in VOLUMES:
        for path in paths:
            if path not in kept:
                with unpacked([path]) as (here,):
                    kept |= {path.parent / name for name in HEADERS[format](here).companions}
    return [path for path in paths if path not in kept]


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
        raise Refused(
            "nothing-eligible", what, "give a folder or file with DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF or .npz images"
        )
    return [(open_found(path, found, gaps, tilt), found) for found in result.eligible]
