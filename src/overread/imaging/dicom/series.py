"""Headers to series, and which of them are images to learn from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from overread.core.errors import Refused
from overread.imaging.dicom.geometries import split_by_geometry
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.splitting import Part, as_headers, differing, slots_of, split_by_traits
from overread.imaging.dicom.stack import Stack, stack_planes
from overread.imaging.dicom.stack import plane_name as plane_name

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
LOCALIZER = re.compile(
    r"(?<![a-z])(scouts?|locali[sz]ers?|topograms?|scanogram|surview|survey|locs?|3[- ]?(plane|pl)|pilot)(?![a-z])", re.IGNORECASE
)
DOSE_PAGE = re.compile(r"dose[ _]?(report|info|record|summary|page)|(patient|exam)[ _]?protocol|screen[ _]?save", re.IGNORECASE)
LOCALIZER_SLICES = 30  # a series with such a name and more slices is something else (a survey of the whole body)
PROJECTIONS_TEXT = "MIP,CSA MIP,MAX_IP,MINIP,MIN IP,MIN_IP,PROJECTION IMAGE,VOLREN,VRT,VOLUME_RENDER,SURFACE_RENDER"
PROJECTIONS = frozenset(PROJECTIONS_TEXT.split(","))
MOSAIC = "a mosaic: all slices of a volume tiled into one picture, with one position for all of them"
MOSAIC_NEXT = "export it as single slices or as enhanced MR (on the scanner: mosaic off)"


def group_series(headers: Iterable[Header]) -> list[list[Header]]:
    """Split files into images: by series, frame of reference, geometry, and what varies among frames in one place.

    returns  groups in a fixed order, files of each sorted by path. Films and multi-frame files stand alone. Where a
             series holds several volumes, each group's headers say which (``about["volume"]``), and those of a
             multi-frame file hold the planes of that volume only
    """
    rough: dict[tuple[Any, ...], list[Header]] = defaultdict(list)
    for header in sorted(headers, key=lambda h: h.path):
        folder = "" if header.series_uid else str(Path(header.path).parent)
        key: tuple[Any, ...] = (header.study_uid, header.series_uid, folder)
        if header.concatenation:
            key += ("concatenation", header.concatenation)
        elif is_alone(header):
            key += ("alone", header.path)
        else:
            key += (header.frame_of_reference, header.samples, header.sop_class, bool(header.planes), _type_fault(header))
        rough[key].append(header)
    groups = sorted(rough.values(), key=lambda group: group[0].path)
    return [volume for group in groups for volume in (volumes(group) if _may_split(group) else [group])]


def volumes(headers: Sequence[Header]) -> list[list[Header]]:
    """The volumes that files of one series hold, in a fixed order; one where they belong together or cannot be told apart."""
    parts = _parts(headers)
    if len(parts) < 2:
        return [list(headers)]
    return [as_headers(part, number, name) for number, (name, part) in enumerate(parts)]


def choose_volume(headers: Sequence[Header], index: int | None, name: str) -> tuple[list[Header], int | None]:
    """The files of one volume among those given.

    index    number of the volume where there are several; else it is handed back, for it speaks of a frame
    returns  headers that hold the planes of that volume, and what is left of `index`
    """
    found = volumes(headers) if _may_split(headers) else [list(headers)]
    if len(found) == 1:
        return found[0], index
    if index is None:
        raise _several(headers, name)
    if not 0 <= index < len(found):
        raise Refused("no-such-volume", f"{name} has {len(found)} volumes; there is no volume {index}.", _choices(found))
    return found[index], None


def _parts(headers: Sequence[Header]) -> list[tuple[str, Part]]:
    """(geometry, part) of every volume."""
    return [(name, part) for name, slots in split_by_geometry(slots_of(headers)) for part in split_by_traits(slots)]


def is_alone(header: Header) -> bool:
    """A file that is a whole image: a film, a multi-frame file, or no image at all."""
    if header.frames > 1 or not_an_image(header):
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
    slices = sum(header.frames for header in headers)
    if words & {"LOCALIZER", "SCOUT", "TOPOGRAM"} or (LOCALIZER.search(description) and slices <= LOCALIZER_SLICES):
        return "localizer", "a localizer or scout"
    if DOSE_PAGE.search(description) or words & {"SCREEN SAVE", "DOSE_INFO"}:
        return "dose-page", "a page of text (dose or protocol)"
    if first.tiles:
        return "mosaic", f"{MOSAIC}; {MOSAIC_NEXT}"
    if words & PROJECTIONS and first.modality in VOLUMES:
        return "derived", "a projection or rendering computed from another series"
    is_known = first.modality in FILMS | {"NM"} or "made" in first.about  # NM: planar; made: by a network, of nobody
    if first.sop_class.startswith(SECONDARY_CAPTURE) and not is_known:
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
    """The stack of single-frame files, or of the frames of enhanced files."""
    for header in headers:
        if header.tiles:
            raise Refused("mosaic", f"{name}: {header.name} is {MOSAIC}.", MOSAIC_NEXT)
        if not header.planes:
            what = f"{name}: {header.name} carries no usable position, orientation or pixel spacing."
            raise Refused("no-geometry", what, "fetch the series again from the scanner or archive")
    planes = [plane for header in headers for plane in header.planes]
    shapes = [(header.rows, header.columns) for header in headers for _ in header.planes]
    try:
        return stack_planes(planes, shapes, name)
    except Refused as fault:
        if fault.code == "duplicate-position" and len(_parts(headers)) > 1:
            raise _several(headers, name) from fault
        raise


def series_name(headers: Sequence[Header]) -> str:
    """For messages on the terminal: the description and a file."""
    first = headers[0]
    described = first.about.get("description") or first.modality or "series"
    files = f"{len(headers)} files with {first.name}" if len(headers) > 1 else first.name
    return f"Series '{described}' ({files})"


def _may_split(headers: Sequence[Header]) -> bool:
    """Whether all frames have places and are images; a segmentation or a localizer stays whole."""
    return all(header.planes and not header.tiles for header in headers) and ineligible(headers) is None


def _several(headers: Sequence[Header], name: str) -> Refused:
    """That files hold several volumes, what tells them apart, and how to name one."""
    parts = _parts(headers)
    planes = [plane for header in headers for plane in header.planes]
    choices = _choices(volumes(headers))
    if any(geometry for geometry, _ in parts):
        try:
            stack_planes(planes, [(header.rows, header.columns) for header in headers for _ in header.planes], name)
        except Refused as mixed:
            return Refused(mixed.code, mixed.what, choices)
    what = f"{name} has {len(planes)} slices: {len(parts)} volumes that differ in {differing([part for _, part in parts])}."
    return Refused("several-volumes", what, choices)


def _choices(found: Sequence[Sequence[Header]], most: int = 8) -> str:
    names = [f"{k} ({volume[0].about['volume']})" for k, volume in enumerate(found[:most])]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"name one volume by its number: {', '.join(names)}{more}; a scan of the folder lists each as an image of its own"


def _type_fault(header: Header) -> str:
    """Why this one file is no slice of the series that it is filed under, by its image type; "" where it may be."""
    found = ineligible([header])
    return found[0] if found else ""
