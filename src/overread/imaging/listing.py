"""From inspected files to `Found`: series assembled, rows counted, reasons given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from overread.core.errors import Refused
from overread.imaging.archive import unpacked
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.series import (
    frames_fault,
    group_series,
    ineligible,
    is_slice,
    plane_name,
    series_name,
    stack_of,
)
from overread.imaging.dicom.stack import Stack, find_fault, repairable
from overread.imaging.found import Found, RefusedFile
from overread.imaging.inspect import Inspection
from overread.imaging.nifti import nifti_stem
from overread.imaging.npz import GIVEN_PARTITIONS, read_npz_labels, read_npz_parts
from overread.imaging.nrrd import nrrd_stem


def one_file(inspection: Inspection) -> Found:
    """A file that holds one image: NIfTI, NRRD, MetaImage or raster."""
    path = Path(inspection.path)
    facts = inspection.facts
    stem = _STEMS.get(inspection.format, _stem)(path)
    attributes: dict[str, Any] = {"synthetic": bool(facts["is_simulated"]), "n_slices": facts["shape"][0]}
    if facts.get("made"):
        attributes["made"] = facts["made"]
    if facts.get("components", 1) > 1:
        attributes["components"] = facts["components"]
    if facts.get("notes"):
        attributes["notes"] = list(facts["notes"])
    if facts.get("is_mask"):
        attributes["is_mask"] = True
    spacing = tuple(facts["spacing"]) if facts.get("spacing") else None
    beside = PurePosixPath(inspection.path).parent
    files = (inspection.path, *((beside / name).as_posix() for name in facts.get("companions", ())))
    return Found(inspection.format, files, stem, attributes=attributes, shape=tuple(facts["shape"]), spacing=spacing)


def _stem(path: Path) -> str:
    return path.stem


_STEMS = {"nifti": nifti_stem, "nrrd": nrrd_stem}


def npz_rows(folder: Path, inspection: Inspection) -> list[Found]:
    """One entry per row; attributes say the split that the file gives and the row's labels."""
    path = Path(folder) / inspection.path
    with unpacked([path]) as (local,):
        labels, parts = read_npz_labels(local), read_npz_parts(local)
    rows = []
    for part in parts:
        for row in range(part.count):
            attributes: dict[str, Any] = {"synthetic": False, "n_slices": part.shape[0]}
            if part.split:
                attributes["partition"] = GIVEN_PARTITIONS[part.split]
            if part.split in labels:
                attributes["labels"] = tuple(labels[part.split][row].tolist())
            name = f"{path.stem}-{part.split}-{row:05d}" if part.split else f"{path.stem}-{row:05d}"
            rows.append(Found("npz", (inspection.path,), name, attributes=attributes, shape=part.shape, index=part.start + row))
    return rows


def copy_of(copy: Inspection, original: Inspection) -> RefusedFile:
    """Why a file is left out that has the SOP Instance UID of another: the same object again, or a UID given twice."""
    name = PurePosixPath(copy.path).name
    if _place(copy.header) == _place(original.header):
        reason = f"{name} is the same object (SOP Instance UID) as {original.path}."
        return RefusedFile(copy.path, "duplicate-file", reason)
    reason = (
        f"{name} has the SOP Instance UID of {original.path}, but is another image: a program gave one UID twice, "
        "and which image it means cannot be known."
    )
    return RefusedFile(copy.path, "shared-uid", reason)


def _place(header: Header | None) -> tuple[Any, ...]:
    """What two copies of one object have in common, however their pixels are coded."""
    return () if header is None else (header.rows, header.columns, header.frames, header.planes, header.instance)


def dicom_series(headers: Sequence[Header], gaps: str, tilt: str) -> list[Found]:
    """The images among the files of one series, or of several: volumes, films, and what is no image, each with its reason.

    headers  with paths relative to the scanned folder
    """
    return [_series(group, gaps, tilt) for group in group_series(headers)]


def _series(headers: list[Header], gaps: str, tilt: str) -> Found:
    first = headers[0]
    attributes = _attributes(first, len(headers))
    shape: tuple[int, int, int] | None = (first.frames, first.rows, first.columns) if first.rows else None
    spacing = (1.0, *first.pixel_spacing) if first.pixel_spacing else None
    reason = ineligible(headers)
    if reason:
        attributes |= {"code": reason[0], "ineligible": reason[1]}
    elif (first.frames > 1 and first.planes) or (first.frames == 1 and is_slice(first)):
        spacing = None
        try:
            stack = stack_of(headers, series_name(headers))
        except Refused as refused:
            attributes |= {"code": refused.code, "ineligible": refused.what, "next": refused.next}
        else:
            headers = _in_order(headers, stack)
            shape, spacing = stack.grid().shape, _rounded(stack.grid().spacing)
            attributes |= _judged(stack, series_name(headers), gaps, tilt)
    elif first.frames > 1:
        frames = frames_fault(first, series_name(headers))
        attributes |= {"code": frames.code, "ineligible": frames.what, "next": frames.next}
    return Found(
        "dicom",
        tuple(header.path for header in headers),
        str(first.about.get("description") or Path(first.path).stem),
        first.patient_id or None,
        first.study_uid or None,
        first.series_uid or None,
        attributes,
        shape,
        spacing,
        first.volume,
    )


def _in_order(headers: list[Header], stack: Stack) -> list[Header]:
    """Files in order along the normal; a multi-frame file stays alone."""
    return headers if len(headers) < len(stack.order) else [headers[k] for k in stack.order]


def _rounded(spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Without the last digits that only arithmetic left."""
    z, y, x = (round(value, 6) for value in spacing)
    return z, y, x


def _judged(stack: Stack, name: str, gaps: str, tilt: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"plane": plane_name(stack.axes[0]), "n_slices": len(stack.depth)}
    fault = find_fault(stack, name, gaps, tilt)
    if fault:
        attributes |= {"code": fault.code, "ineligible": fault.what, "next": fault.next}
    elif repairs := repairable(stack, name):
        attributes["repairs"] = repairs
    return attributes


def _attributes(header: Header, files: int) -> dict[str, Any]:
    """All that is known of a series, identifiers among them; they end in `cohort/private/`."""
    return {
        "modality": header.modality,
        "synthetic": header.is_simulated,
        "n_slices": max(files, header.frames),
        "image_type": "\\".join(header.image_type),
        "is_derived": header.image_type[:1] == ("DERIVED",),
        "frame_of_reference": header.frame_of_reference,
        "sop_uid": header.sop_uid,
        **header.about,
    }
