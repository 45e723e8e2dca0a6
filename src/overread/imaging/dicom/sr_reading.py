"""A structured report of measurements (TID 1500): groups with their numbers, regions and referenced segments.

Sources: DICOM PS3.16 TID 1500, 1410, 1411, 1420, 1501, 300; PS3.3 C.18.6 (SCOORD), C.18.9 (SCOORD3D).
Image coordinates count from the upper left corner of the first pixel, so its centre is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.imaging.dicom.header import Header
from overread.imaging.dicom.parse import one_refusal, parse
from overread.imaging.dicom.values import floats, number, text, words
from overread.imaging.outlines import ellipse

REPORTS = "1.2.840.10008.5.1.4.1.1.88"
GROUP = "125007"
TRACKING_ID, TRACKING_UID = "112039", "112040"
FINDING = "121071"
SITES = ("363698007", "G-C0E3")
OBSERVER = "121008"
DERIVATION = "121401"  # mean, maximum ... of TID 1419
SEGMENTS = ("121191", "121214")  # referenced segment, referenced segmentation frame
DEPTH = 60  # content items nest this deep at most; a report that goes on is damaged


@dataclass(frozen=True)
class Region:
    """A drawn region.

    kind    POLYLINE, CIRCLE, ELLIPSE, POINT, MULTIPOINT, POLYGON ... as the file has it
    points  (N, 2) column, row from the corner of the image `image`; or (N, 3) LPS mm where `image` is ""
    frame   of a multi-frame image, from 1; None for the only one
    """

    kind: str
    points: np.ndarray
    image: str = ""
    frame: int | None = None
    frame_of_reference: str = ""


@dataclass(frozen=True)
class Measured:
    """One number with the name and unit that the report gives it."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Segment:
    """A segment of a DICOM SEG that a group is about."""

    image: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """One measurement group: a lesion, an organ, a region."""

    tracking_id: str = ""
    tracking_uid: str = ""
    finding: str = ""
    site: str = ""
    measurements: tuple[Measured, ...] = ()
    qualities: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    segments: tuple[Segment, ...] = ()

    @property
    def name(self) -> str:
        return self.finding or self.site or self.tracking_id or "region"


@dataclass(frozen=True)
class Report:
    """What one file says.

    series, images   UIDs of the evidence: everything that the report speaks of
    """

    name: str
    groups: tuple[Group, ...]
    series: tuple[str, ...] = ()
    images: frozenset[str] = frozenset()
    reader: str = ""
    date: str = ""
    is_complete: bool = True


def read_sr(path: Path) -> Report:
    """All measurement groups of a report; one without any is refused."""
    path = Path(path)
    with one_refusal(path.name):
        tags = parse(path)
        sop_class = text(tags, "SOPClassUID")
        modality = text(tags, "Modality")
    if not sop_class.startswith(REPORTS):
        what = f"{path.name} is a {modality or 'different'} object, not a structured report."
        raise Refused("not-a-report", what, "give a measurement report (DICOM SR, TID 1500)")
    with one_refusal(path.name, "is a damaged report", "export it again"):
        return _report(tags, path.name)


def _report(tags: Dataset, name: str) -> Report:
    items = list(_walk(tags, 0, name))
    groups = tuple(_group(item, name) for item in items if _type(item) == "CONTAINER" and _code(item) == GROUP)
    if not groups:
        raise Refused(
            "no-measurements",
            f"{name} is a structured report without a measurement group (TID 1500); its free text is not read.",
            "export the measurements as a TID 1500 report, or give a table",
        )
    series, images = _evidence(tags)
    images |= {region.image for group in groups for region in group.regions if region.image}
    observers = [text(item, "PersonName") for item in items if _type(item) == "PNAME" and _code(item) == OBSERVER]
    complete = text(tags, "CompletionFlag").upper() != "PARTIAL"
    return Report(name, groups, series, frozenset(images), next(iter(observers), ""), text(tags, "ContentDate"), complete)


def _walk(item: Dataset, depth: int, name: str) -> Iterator[Dataset]:
    if depth > DEPTH:
        raise Refused("unreadable", f"{name} nests its content more than {DEPTH} deep.", "export it again")
    for child in item.get("ContentSequence") or ():
        yield child
        yield from _walk(child, depth + 1, name)


def _type(item: Dataset) -> str:
    return text(item, "ValueType").upper()


def _concept(item: Dataset) -> Dataset:
    return _first(item, "ConceptNameCodeSequence")


def _first(item: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; an empty one where there is none."""
    return next(iter(item.get(keyword) or ()), Dataset())


def _code(item: Dataset) -> str:
    return text(_concept(item), "CodeValue")


def _meaning(item: Dataset) -> str:
    """The meaning of a code item's value."""
    return text(_first(item, "ConceptCodeSequence"), "CodeMeaning")


def _group(container: Dataset, name: str) -> Group:
    about: dict[str, str] = {}
    qualities: dict[str, str] = {}
    measurements: list[Measured] = []
    regions: list[Region] = []
    segments: list[Segment] = []
    for item in container.get("ContentSequence") or ():
        kind, code = _type(item), _code(item)
        if kind == "TEXT" and code == TRACKING_ID:
            about["tracking_id"] = text(item, "TextValue")
        elif kind == "UIDREF" and code == TRACKING_UID:
            about["tracking_uid"] = text(item, "UID")
        elif kind == "CODE" and code == FINDING:
            about["finding"] = _meaning(item)
        elif kind == "CODE" and code in SITES:
            about["site"] = _meaning(item)
        elif kind == "CODE":
            qualities[text(_concept(item), "CodeMeaning")] = _meaning(item)
        elif kind == "NUM":
            measurements += _measured(item)
            regions += _regions(item, name)
        elif kind in ("SCOORD", "SCOORD3D"):
            regions.append(_region(item, name))
        elif kind == "IMAGE" and code in SEGMENTS:
            segments += _segments(item)
    return Group(**about, measurements=tuple(measurements), qualities=qualities, regions=tuple(regions), segments=tuple(segments))


def _regions(item: Dataset, name: str) -> list[Region]:
    """Regions that a single number was inferred from."""
    return [_region(child, name) for child in item.get("ContentSequence") or () if _type(child) in ("SCOORD", "SCOORD3D")]


def _measured(item: Dataset) -> list[Measured]:
    found = []
    for value in item.get("MeasuredValueSequence") or ():
        amount = number(value, "FloatingPointValue")
        amount = number(value, "NumericValue") if amount is None else amount
        if amount is not None:
            unit = text(_first(value, "MeasurementUnitsCodeSequence"), "CodeValue")
            found.append(Measured(_quantity(item), amount, unit))
    return found


def _quantity(item: Dataset) -> str:
    """What was measured, with its derivation: 'SUVbw (Maximum)'."""
    derived = [_meaning(child) for child in item.get("ContentSequence") or () if _code(child) == DERIVATION]
    name = text(_concept(item), "CodeMeaning")
    return f"{name} ({derived[0]})" if derived and derived[0] else name


def _region(item: Dataset, name: str) -> Region:
    size = 3 if _type(item) == "SCOORD3D" else 2
    kind, values = text(item, "GraphicType").upper(), floats(item, "GraphicData")
    if values is None or len(values) % size:
        what = (
            f"{name}: a region ({kind or 'of no kind'}) holds {0 if values is None else len(values)} numbers; a point is {size}."
        )
        raise Refused("damaged-region", what, "export the report again")
    points = np.array(values).reshape(-1, size)
    if size == 3:
        return Region(kind, points, frame_of_reference=text(item, "ReferencedFrameOfReferenceUID"))
    for child in item.get("ContentSequence") or ():
        for reference in child.get("ReferencedSOPSequence") or ():
            frame = number(reference, "ReferencedFrameNumber")
            return Region(kind, points, text(reference, "ReferencedSOPInstanceUID"), None if frame is None else int(frame))
    raise Refused(
        "region-without-image", f"{name}: a region does not say which image it was drawn on.", "export the report again"
    )


def _segments(item: Dataset) -> list[Segment]:
    return [
        Segment(
            text(reference, "ReferencedSOPInstanceUID"),
            tuple(int(n) for n in words(reference, "ReferencedSegmentNumber") if n.isdecimal()),
        )
        for reference in item.get("ReferencedSOPSequence") or ()
    ]


def _evidence(tags: Dataset) -> tuple[tuple[str, ...], set[str]]:
    series: list[str] = []
    images: set[str] = set()
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in tags.get(keyword) or ():
            for item in study.get("ReferencedSeriesSequence") or ():
                series.append(text(item, "SeriesInstanceUID"))
                images |= {text(i, "ReferencedSOPInstanceUID") for i in item.get("ReferencedSOPSequence") or ()}
    return tuple(uid for uid in dict.fromkeys(series) if uid), images - {""}


# ---- regions on a grid ------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlacedRegion:
    """A closed region in one plane of a grid: slice number, and its (N, 2) outline as fractional indices (x, y)."""

    slice: int
    outline: np.ndarray


def place_region(region: Region, headers: Mapping[str, Header], grid: Grid, name: str) -> PlacedRegion | None:
    """Where a region lies on a grid; None for points and open lines, which enclose nothing.

    headers  SOP Instance UID -> header of the images that regions were drawn on
    """
    points = _outline(region)
    if points is None:
        return None
    index = grid.to_index(points) if points.shape[1] == 3 else _on_image(points, region, headers, grid, name)
    depth = index[:, 0]
    if np.ptp(depth) > 0.5:
        what = f"{name}: a region leaves the slices of the image by {np.ptp(depth) * grid.spacing[0]:.1f} mm."
        raise Refused("contours-not-parallel", what, "give the image that it was drawn on")
    k = int(np.rint(depth.mean()))
    low, high = index.min(axis=0), index.max(axis=0)
    outside = np.maximum(np.maximum(-0.5 - high, low - (np.array(grid.shape) - 0.5)), 0)
    if outside.any() or not 0 <= k < grid.shape[0]:
        far = float(np.linalg.norm(outside * np.array(grid.spacing)))
        unit = "mm" if grid.spacing_known else "pixels"
        raise Refused("contours-elsewhere", f"{name}: a region lies {far:.1f} {unit} outside the image.", "give its own image")
    return PlacedRegion(k, index[:, [2, 1]])


def _outline(region: Region) -> np.ndarray | None:
    """The border of a closed region; None where it encloses nothing."""
    points = region.points
    if region.kind == "CIRCLE" and len(points) == 2 and points.shape[1] == 2:
        radius = float(np.linalg.norm(points[1] - points[0]))
        return ellipse(points[0], (radius, 0.0), (0.0, radius))
    if region.kind == "ELLIPSE" and len(points) == 4:
        return ellipse(points.mean(axis=0), (points[1] - points[0]) / 2, (points[3] - points[2]) / 2)
    if region.kind in ("POLYLINE", "POLYGON") and len(points) > 2:
        is_closed = len(points) > 3 and bool((points[0] == points[-1]).all())
        return points if region.kind == "POLYGON" or is_closed else None
    return None


def _on_image(points: np.ndarray, region: Region, headers: Mapping[str, Header], grid: Grid, name: str) -> np.ndarray:
    """(N, 3) fractional indices of image coordinates."""
    header = headers.get(region.image)
    if header is None:
        what = f"{name}: a region was drawn on the image {region.image}, which is not there."
        raise Refused("image-missing", what, "give the images of that series")
    across, down = points[:, 0] - 0.5, points[:, 1] - 0.5
    frame = (region.frame or 1) - 1
    if not header.planes or grid.is_planar:
        return np.stack([np.zeros(len(points)), down, across], axis=1)
    if not 0 <= frame < len(header.planes):
        what = f"{name}: a region was drawn on frame {frame + 1} of {header.name}, which has {len(header.planes)}."
        raise Refused("image-missing", what, "export the report again")
    plane = header.planes[frame]
    row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    world = np.array(plane.position) + np.outer(across * plane.spacing[1], row) + np.outer(down * plane.spacing[0], column)
    return grid.to_index(world)
