"""Headers to series, and which of them are images to learn from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from overread.core.errors import Refused
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.stack import ORIENTATION, Stack, stack_planes

VOLUMES = frozenset({"CT", "MR", "PT"})  # a single slice of these is a piece of something
FILMS = frozenset({"CR", "DX", "MG", "RG", "XA", "RF", "US", "IO", "PX", "ES", "XC", "OP", "GM", "SM", "BMD"})
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DICOMDIR = "1.2.840.10008.1.3.10"
NOT_IMAGES = (  # beginnings of SOP Class UIDs, DICOM PS3.6 annex A
    ("1.2.840.10008.5.1.4.1.1.66.4", "segmentation", "a segmentation: a truth, not an image"),
    ("1.2.840.10008.5.1.4.1.1.66.7", "segmentation", "a segmentation: a truth, not an image"),
    ("1.2.840.10008.5.1.4.1.1.88", "report", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "contours", "a radiotherapy structure set: contours, not an image"),
    ("1.2.840.10008.5.1.4.1.1.481", "radiotherapy", "a radiotherapy object (dose, plan or record)"),
    ("1.2.840.10008.5.1.4.1.1.11", "presentation", "a presentation state: how to show another image"),
    ("1.2.840.10008.5.1.4.1.1.104", "document", "a document"),
    ("1.2.840.10008.5.1.4.1.1.66", "registration", "a registration or raw data"),
    ("1.2.840.10008.5.1.4.1.1.30", "parametric-map", "a parametric map: derived values, not an image"),
    ("1.2.840.10008.5.1.4.1.1.9", "waveform", "a waveform"),
)
LOCALIZER = re.compile(r"\b(scout|locali[sz]er|topogram|scanogram|surview|survey|loc|3-?plane)\b", re.IGNORECASE)
DOSE_PAGE = re.compile(r"dose (report|info|record|summary)|patient protocol|exam protocol|screen ?save", re.IGNORECASE)


def group_series(headers: Iterable[Header]) -> list[list[Header]]:
    """Split files into images: by series, size, frame of reference and orientation; films and multi-frame files alone.

    returns  groups in a fixed order, files of each sorted by path
    """
    rough: dict[tuple[Any, ...], list[Header]] = defaultdict(list)
    for header in sorted(headers, key=lambda h: h.path):
        folder = "" if header.series_uid else str(Path(header.path).parent)
        key: tuple[Any, ...] = (header.study_uid, header.series_uid, folder)
        if is_alone(header):
            key += ("alone", header.path)
        else:
            key += (header.frame_of_reference, header.rows, header.columns, header.samples, header.sop_class)
        rough[key].append(header)
    groups = [group for found in rough.values() for group in _by_orientation(found)]
    return sorted(groups, key=lambda group: group[0].path)


def is_alone(header: Header) -> bool:
    """A file that is a whole image: a film, a multi-frame file, or no image at all."""
    if header.frames > 1 or not header.has_pixels or not_an_image(header):
        return True
    return not is_slice(header)


def is_slice(header: Header) -> bool:
    """One slice of a volume, not a film."""
    if header.modality in VOLUMES:
        return not (header.sop_class.startswith(SECONDARY_CAPTURE) and not header.planes)
    return header.modality not in FILMS and bool(header.planes)


def not_an_image(header: Header) -> tuple[str, str] | None:
    """(code, reason) for objects that hold no acquired image."""
    for beginning, code, reason in NOT_IMAGES:
        if header.sop_class == beginning or header.sop_class.startswith(beginning + "."):
            return code, reason
    return None


def ineligible(headers: Sequence[Header]) -> tuple[str, str] | None:
    """(code, reason) why a series is nothing to learn from, whatever its geometry; None where it may be."""
    first = headers[0]
    words = set(first.image_type)
    description = " ".join(str(first.about.get(k, "")) for k in ("description", "protocol"))
    other = not_an_image(first)
    if other:
        return other
    if not first.has_pixels:
        return "no-pixels", "it has no pixels"
    if words & {"LOCALIZER", "SCOUT", "TOPOGRAM"} or (LOCALIZER.search(description) and len(headers) <= 30):
        return "localizer", "a localizer or scout"
    if DOSE_PAGE.search(description) or "SCREEN SAVE" in words:
        return "dose-page", "a page of text (dose or protocol)"
    if "MOSAIC" in words:
        return "mosaic", "a mosaic: all slices tiled into one picture; export it as slices or as enhanced MR"
    if words & {"MIP", "CSA MIP", "PROJECTION IMAGE", "VOLREN", "VRT"} and first.modality in VOLUMES:
        return "derived", "a projection or rendering computed from another series"
    if first.sop_class.startswith(SECONDARY_CAPTURE) and first.modality not in FILMS:
        return "secondary-capture", "a secondary capture: a picture of an image"
    if first.modality in VOLUMES and (first.samples > 1 or first.photometric == "PALETTE COLOR"):
        return "derived", "a colour picture computed from another series"
    return None


def frames_fault(header: Header, name: str) -> Refused:
    """Why the frames of a multi-frame file are no volume."""
    if header.modality in VOLUMES:
        what = f"{name} has {header.frames} frames, but not each has a position, an orientation and a pixel spacing."
        return Refused("no-geometry", what, "fetch the file again from the scanner or archive, or name the frame to open")
    what = f"{name} has {header.frames} frames without a place in the patient (a cine loop or a tiled study)."
    return Refused("multi-frame", what, "export one frame, or name the frame to open")


def stack_of(headers: Sequence[Header], name: str) -> Stack:
    """The stack of single-frame files, or of the frames of one enhanced file."""
    for header in headers:
        if not header.planes:
            what = f"{name}: {header.name} carries no usable position, orientation or pixel spacing."
            raise Refused("no-geometry", what, "fetch the series again from the scanner or archive")
    planes = [plane for header in headers for plane in header.planes]
    shapes = [(header.rows, header.columns) for header in headers for _ in header.planes]
    return stack_planes(planes, shapes, name)


def plane_name(normal: np.ndarray) -> str:
    """axial, coronal or sagittal where the normal lies within 25 degrees of that axis, else oblique."""
    strength = np.abs(normal) / np.linalg.norm(normal)
    axis = int(np.argmax(strength))
    return ("sagittal", "coronal", "axial")[axis] if strength[axis] > 0.906 else "oblique"


def series_name(headers: Sequence[Header]) -> str:
    """For messages on the terminal: the description and a file."""
    first = headers[0]
    described = first.about.get("description") or first.modality or "series"
    files = f"{len(headers)} files with {first.name}" if len(headers) > 1 else first.name
    return f"Series '{described}' ({files})"


def _by_orientation(headers: list[Header]) -> list[list[Header]]:
    """Split a group whose slices face different ways; files without a plane stay together."""
    groups: list[tuple[np.ndarray | None, list[Header]]] = []
    for header in headers:
        faces = np.array(header.planes[0].orientation) if len(header.planes) == 1 else None
        for reference, members in groups:
            if (reference is None) == (faces is None) and (
                reference is None or faces is None or np.abs(reference - faces).max() <= ORIENTATION
            ):
                members.append(header)
                break
        else:
            groups.append((faces, [header]))
    return [members for _, members in groups]
