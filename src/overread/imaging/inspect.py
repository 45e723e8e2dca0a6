"""One file, looked at from outside: what it is, and its header. Runs in worker processes."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from overread.core.errors import Refused
from overread.imaging.archive import MARK, OTHER_ARCHIVES, SUFFIX, archive_of, list_members, unpacked
from overread.imaging.dicom.directory import listed_files
from overread.imaging.dicom.header import Header, looks_like_dicom, read_header
from overread.imaging.dicom.series import DICOMDIR
from overread.imaging.mha import is_mha, read_mha_header
from overread.imaging.nifti import is_nifti, read_nifti_header
from overread.imaging.npz import read_npz_parts
from overread.imaging.nrrd import is_nrrd, read_nrrd_header
from overread.imaging.raster import is_raster, read_raster_header
from overread.imaging.walk import special

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
OTHER_SUFFIXES_TEXT = (
    ".csv .tsv .json .jsonl .txt .md .xlsx .xls .xml .yaml .yml .toml .pdf .html .htm .py .ipynb .gz .bval .bvec "
    ".parquet .sqlite .db .docx .log .mat .h5 .hdf5 .npy .pkl .pt .safetensors"
)
OTHER_SUFFIXES = frozenset(OTHER_SUFFIXES_TEXT.split())
HEAD = 352  # bytes; a NIfTI header and its mark
DICOM_MARK, NIFTI_MARKS = b"DICM", (b"n+1\0", b"ni1\0", b"n+2\0")
RASTER_MARKS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")


@dataclass(frozen=True)
class Inspection:
    """What one file turned out to be.

    path    relative to the scanned folder
    format  "dicom", "nifti", "nrrd", "mha", "raster", "npz", "dicomdir", "archive" or "ignored"
    code, reason, next
            where it was refused; "" where not
    header  DICOM only
    facts   other formats: shape, spacing, is_simulated, notes; an archive's members; the files that a DICOMDIR names
    """

    path: str
    format: str
    code: str = ""
    reason: str = ""
    next: str = ""
    header: Header | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Row(NamedTuple):
    """An inspection as it travels between processes and lies in the cache.

    series, place  what belongs together: UIDs of study and series, and the folder where there is none
    sop            UID of the object
    content        the rest, as packed JSON
    """

    path: str
    stamp: str
    format: str
    series: str
    sop: str
    content: bytes


def inspect_file(folder: Path, name: str) -> Inspection:
    """Recognise a file by its first bytes or its name and read its header; a refusal is a result, not an error.

    name  relative to `folder`; it may lead into an archive
    """
    path = Path(folder) / name
    format = "ignored"
    try:
        inside = archive_of(path)
        if inside is not None:
            return _inspect_member(path, name)
        kind = special(os.stat(path).st_mode)
        if kind:
            return Inspection(name, format, "special-file", f"{path.name} is {kind}, not a file.", "give a file")
        format = _recognise(path)
        return _INSPECT[format](path, name)
    except Refused as refused:
        return Inspection(name, format, refused.code, refused.what, refused.next)
    except FileNotFoundError:
        return Inspection(name, format, "missing-file", f"{path.name} vanished during the scan.", "scan the folder again")
    except OSError as error:
        reason = f"{path.name} cannot be opened: {error.strerror or error}."
        return Inspection(name, format, "unreadable", reason, "check the file's permissions")
    except (ImportError, NameError):  # no file can cause these
        raise
    except Exception as error:  # one hostile file among thousands must not end the scan; what it broke is said
        reason = f"{path.name} is damaged in an unusual way: {type(error).__name__} {error}."
        return Inspection(name, format, "unreadable", reason, "fetch the file again")


def pack(inspection: Inspection, stamp: str) -> Row:
    header = inspection.header
    values = {name: getattr(inspection, name) for name in ("code", "reason", "next", "facts")}
    values |= {"format": inspection.format, "header": _plain_header(header) if header is not None else None}
    content = zlib.compress(json.dumps({k: v for k, v in values.items() if v}, separators=(",", ":")).encode(), 1)
    series, sop = "", ""
    if header is not None:
        place = "" if header.series_uid else str(PurePosixPath(inspection.path).parent)
        series, sop = "\n".join((header.study_uid, header.series_uid, place)), header.sop_uid
    return Row(inspection.path, stamp, inspection.format if not inspection.code else "refused", series, sop, content)


def _plain_header(header: Header) -> dict[str, Any]:
    """For JSON; the path is known from elsewhere. `asdict` would copy every value first."""
    values = {f.name: getattr(header, f.name) for f in fields(header) if f.name != "path"}
    return values | {"planes": [asdict(plane) for plane in header.planes]}


def unpack(path: str, content: bytes) -> Inspection:
    """The inspection again; a header's path is now relative to the scanned folder."""
    values = json.loads(zlib.decompress(content))
    header = values.pop("header", None)
    if header is not None:
        header = Header.from_dict(header | {"path": path})
    return Inspection(path, header=header, **values)


def _inspect_member(path: Path, name: str) -> Inspection:
    """A member of an archive, by a copy that is gone afterwards."""
    plain = path.name.lower()
    if plain.endswith((SUFFIX, *OTHER_ARCHIVES)):
        what = f"{path.name} is an archive inside an archive."
        return Inspection(name, "archive", "nested-archive", what, "unpack the outer one, and give the folder")
    if path.suffix.lower() in OTHER_SUFFIXES and not is_nifti(path):
        return Inspection(name, "ignored")
    with unpacked([path]) as (copy,):
        found = inspect_file(copy.parent, copy.name)
    header = replace(found.header, path=str(path)) if found.header else None
    return replace(found, path=name, header=header)


def _recognise(path: Path) -> str:
    """The marks of DICOM win over any name; else the name, and where it says nothing, marks of other formats."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    suffix = path.suffix.lower()
    if head[128:132] == DICOM_MARK and suffix not in (SUFFIX, ".npz"):
        return "dicom"
    if path.name.lower().endswith(OTHER_ARCHIVES):
        return "archive"
    for format, is_format in _BY_NAME.items():
        if is_format(path):
            return format
    if suffix in OTHER_SUFFIXES:
        return "ignored"
    if suffix in DICOM_SUFFIXES or looks_like_dicom(path):
        return "dicom"
    return _by_marks(path, head)


def _by_marks(path: Path, head: bytes) -> str:
    """What a file without a telling name is."""
    if head.startswith(MARK) and not path.suffix:
        return "archive"
    if head.startswith(RASTER_MARKS):
        return "raster"
    if head[344:348] in NIFTI_MARKS[:2] or head[4:8] in NIFTI_MARKS[2:]:
        raise Refused("wrong-suffix", f"{path.name} is a NIfTI file, but is not called .nii.", f"rename it to {path.name}.nii")
    return "ignored"


def _inspect_dicom(path: Path, name: str) -> Inspection:
    header = read_header(path)
    if header.sop_class == DICOMDIR:
        return Inspection(name, "dicomdir", facts={"lists": listed_files(path)})
    return Inspection(name, "dicom", header=header)


def _inspect_volume(path: Path, name: str) -> Inspection:
    format = next(format for format, is_format in _BY_NAME.items() if is_format(path))
    header = _READ_HEADER[format](path)
    facts: dict[str, Any] = {
        "shape": header.grid.shape,
        "spacing": header.grid.spacing if header.grid.spacing_known else None,
        "is_simulated": header.is_simulated,
        "components": header.components,
        "notes": list(header.notes),
        "companions": list(header.companions),
    }
    if header.made:
        facts["made"] = header.made.kind
    if format == "nrrd" and path.stem.lower().endswith(".seg"):
        facts["is_mask"] = True
    return Inspection(name, format, facts=facts)


def _inspect_raster(path: Path, name: str) -> Inspection:
    raster = read_raster_header(path)
    if raster.pages > 1:
        raise Refused("several-pages", f"{path.name} has {raster.pages} pages; expected one picture.", "save each page as a file")
    facts: dict[str, Any] = {"shape": raster.shape, "spacing": raster.spacing, "is_simulated": raster.is_simulated}
    facts["notes"] = list(raster.notes)
    facts |= {"made": raster.made} if raster.made else {}
    return Inspection(name, "raster", facts=facts)


def _inspect_npz(path: Path, name: str) -> Inspection:
    return Inspection(name, "npz", facts={"rows": sum(part.count for part in read_npz_parts(path))})


def _inspect_archive(path: Path, name: str) -> Inspection:
    if path.name.lower().endswith(OTHER_ARCHIVES):
        what = f"{path.name} is an archive of another kind than .zip."
        raise Refused("other-archive", what, "unpack it, and give the folder")
    contents = list_members(path)
    return Inspection(
        name, "archive", facts={"members": [asdict(m) for m in contents.members], "refused": [list(r) for r in contents.refused]}
    )


def _ignore(path: Path, name: str) -> Inspection:
    return Inspection(name, "ignored")


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX


_BY_NAME: dict[str, Callable[[Path], bool]] = {
    "nifti": is_nifti,
    "nrrd": is_nrrd,
    "mha": is_mha,
    "raster": is_raster,
    "npz": _is_npz,
    "archive": _is_zip,
}
_READ_HEADER: dict[str, Callable[[Path], Any]] = {"nifti": read_nifti_header, "nrrd": read_nrrd_header, "mha": read_mha_header}
_INSPECT: dict[str, Callable[[Path, str], Inspection]] = {
    "dicom": _inspect_dicom,
    "nifti": _inspect_volume,
    "nrrd": _inspect_volume,
    "mha": _inspect_volume,
    "raster": _inspect_raster,
    "npz": _inspect_npz,
    "archive": _inspect_archive,
    "ignored": _ignore,
}
