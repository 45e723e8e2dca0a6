"""One file, looked at from outside: what it is, and its header. Runs in worker processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from overread.core.errors import Refused
from overread.imaging.dicom.header import Header, looks_like_dicom, read_header
from overread.imaging.dicom.series import DICOMDIR
from overread.imaging.nifti import is_nifti, read_nifti_header
from overread.imaging.npz import read_npz_parts
from overread.imaging.raster import is_raster, read_raster_header

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
OTHER_SUFFIXES_TEXT = (
    ".csv .tsv .json .jsonl .txt .md .xlsx .xls .xml .yaml .yml .toml .pdf .html .htm .py .ipynb .zip .gz .tar .bval .bvec "
    ".parquet .sqlite .db .docx .log .mat .h5 .hdf5 .npy .pkl .pt .safetensors"
)
OTHER_SUFFIXES = frozenset(OTHER_SUFFIXES_TEXT.split())


@dataclass(frozen=True)
class Inspection:
    """What one file turned out to be.

    path    relative to the scanned folder
    format  "dicom", "nifti", "raster", "npz" or "ignored"
    code, reason, next
            where it was refused; "" where not
    header  DICOM only
    facts   other formats: shape, spacing, is_simulated, notes
    """

    path: str
    format: str
    code: str = ""
    reason: str = ""
    next: str = ""
    header: Header | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Inspection:
        """From JSON."""
        header = Header.from_dict(values["header"]) if values["header"] else None
        return cls(**(values | {"header": header}))


def inspect_file(folder: Path, name: str) -> Inspection:
    """Recognise a file by its name or its first bytes and read its header; a refusal is a result, not an error."""
    path = Path(folder) / name
    format = "ignored"
    try:
        format = _recognise(path)
        return _inspect(path, name, format)
    except Refused as refused:
        return Inspection(name, format, refused.code, refused.what, refused.args[0][len(refused.what) :].strip())
    except OSError as error:
        reason = f"{path.name} cannot be opened: {error.strerror or error}."
        return Inspection(name, format, "unreadable", reason, "check the file's permissions")


def _recognise(path: Path) -> str:
    if is_nifti(path):
        return "nifti"
    if is_raster(path):
        return "raster"
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return "npz"
    if suffix in OTHER_SUFFIXES:
        return "ignored"
    if suffix in DICOM_SUFFIXES or looks_like_dicom(path):
        return "dicom"
    return "ignored"


def _inspect(path: Path, name: str, format: str) -> Inspection:
    if format == "dicom":
        header = read_header(path)
        return Inspection(name, "ignored") if header.sop_class == DICOMDIR else Inspection(name, format, header=header)
    if format == "nifti":
        nifti = read_nifti_header(path)
        facts = {"shape": nifti.grid.shape, "spacing": nifti.grid.spacing, "is_simulated": nifti.is_simulated}
        return Inspection(name, format, facts=facts | {"components": nifti.components, "notes": list(nifti.notes)})
    if format == "raster":
        raster = read_raster_header(path)
        if raster.pages > 1:
            raise Refused(
                "several-pages", f"{path.name} has {raster.pages} pages; expected one picture.", "save each page as a file"
            )
        return Inspection(name, format, facts={"shape": raster.shape, "is_simulated": raster.is_simulated})
    if format == "npz":
        return Inspection(name, format, facts={"rows": sum(part.count for part in read_npz_parts(path))})
    return Inspection(name, "ignored")
