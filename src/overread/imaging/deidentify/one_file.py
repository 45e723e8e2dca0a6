"""Any file: to the part that knows its format, or left out with a reason. Runs in worker processes."""

from __future__ import annotations

import errno
from pathlib import Path

from overread.core.errors import OverreadError, Refused
from overread.imaging.deidentify.dicom_file import deidentify_dicom
from overread.imaging.deidentify.plain_file import deidentify_plain, suffix_of
from overread.imaging.deidentify.settings import Done, NotWritten, Settings
from overread.imaging.dicom.header import looks_like_dicom

NOT_TAKEN_TEXT = (
    ".csv .tsv .json .txt .md .xlsx .xls .xml .yaml .yml .toml .pdf .html .htm .py .zip .tar .gz .bval .bvec .docx .log .mat .h5 "
    ".npy .npz .tif .tiff .bmp .hdr .img .mhd .nhdr .raw"
)
NOT_TAKEN = frozenset(NOT_TAKEN_TEXT.split())

DICOMDIR = "DICOMDIR"


def deidentify_file(folder: Path, source: str, out: Path, settings: Settings) -> Done | NotWritten:
    """Never raises for what a file holds: what cannot be de-identified is not written, and the reason says why."""
    path = folder / source
    try:
        if suffix_of(path.name):
            return deidentify_plain(path, source, out, settings)
        if path.suffix.lower() not in NOT_TAKEN and looks_like_dicom(path):
            if path.name.upper() == DICOMDIR:
                return NotWritten(
                    source, "directory", f"{path.name} lists the original names; make a new one where one is needed."
                )
            return deidentify_dicom(path, source, out, settings)
    except Refused as refused:
        return NotWritten(source, refused.code, refused.what)
    except (OSError, MemoryError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise OverreadError("The disk is full; nothing was kept.", f"free space for {out.parent}, then run again") from error
        return NotWritten(source, "unreadable", f"{path.name} cannot be read or written: {error}.")
    return NotWritten(
        source, "not-taken", f"{path.name}: files of this kind are not de-identified ({path.suffix or 'no suffix'})."
    )
