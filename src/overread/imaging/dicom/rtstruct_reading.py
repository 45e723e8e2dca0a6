"""A radiotherapy structure set: contours in millimetres, drawn on an image's grid.

Source: DICOM PS3.3 C.8.8.5 (Structure Set) and C.8.8.6 (ROI Contour).

    which pixels   a voxel belongs where its centre lies inside (see `overread.imaging.outlines`)
    holes          a contour wholly inside another of its ROI and plane is a hole, one inside that hole an island,
                   and so on; a keyhole works by itself; CLOSEDPLANAR_XOR contours are combined by exclusive or;
                   contours that cross are united
    which slices   a plane of contours stands for the slab up to half way to where the next plane is expected: half
                   the usual distance between the planes of its ROI, at least half a slice. Each slice takes the
                   nearest plane whose slab holds it, so a plane between two slices goes to one of them, and nothing
                   is invented in a real gap
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.imaging.dicom.parse import one_refusal, parse
from overread.imaging.dicom.values import floats, number, text
from overread.imaging.layering import in_layers
from overread.imaging.outlines import area, fill

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
AREAS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR")
FLAT = 0.35  # index: a contour may leave its plane by so much (rounding of oblique coordinates)
SAME_PLANE = 0.02  # index: contours this near lie in one plane


@dataclass(frozen=True)
class Contour:
    """points (N, 3) LPS mm; image: SOP Instance UID of the slice that it was drawn on, "" where not said."""

    kind: str
    points: np.ndarray
    image: str = ""


@dataclass(frozen=True)
class Roi:
    """One region of interest; drawn_by and kind as the file has them ("GTV", "ORGAN" ...)."""

    number: int
    name: str
    frame_of_reference: str
    contours: tuple[Contour, ...]
    drawn_by: str = ""
    kind: str = ""


@dataclass(frozen=True)
class StructureSet:
    """What one file holds.

    frames_of_reference, series, images   UIDs of what it was drawn on
    """

    name: str
    rois: tuple[Roi, ...]
    frames_of_reference: frozenset[str] = frozenset()
    series: tuple[str, ...] = ()
    images: frozenset[str] = frozenset()
    reader: str = ""
    date: str = ""
    label: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(roi.name for roi in self.rois)


@dataclass(frozen=True)
class Drawn:
    """A label map, and what was decided while drawing it, in plain words."""

    label_map: LabelMap
    notes: tuple[str, ...] = field(default=())


def read_rtstruct(path: Path) -> StructureSet:
    """All regions of a structure set; those without a contour are kept by name."""
    path = Path(path)
    with one_refusal(path.name):
        tags = parse(path)
        sop_class = text(tags, "SOPClassUID")
        modality = text(tags, "Modality")
    if sop_class != STRUCTURE_SET:
        what = f"{path.name} is a {modality or 'different'} object, not a radiotherapy structure set."
        raise Refused("not-a-structure-set", what, "give an RTSTRUCT")
    with one_refusal(path.name, "is a damaged structure set", "export it again"):
        return _structure_set(tags, path.name)


def draw_rois(
    structures: StructureSet,
    grid: Grid,
    values: dict[str, int] | None = None,
    *,
    frame_of_reference: str = "",
) -> Drawn:
    """The regions as a label map on an image's grid; overlapping ones lie in different layers.

    values              region -> label value; only these are drawn, and regions of one value become one structure.
                        Without it all are drawn, numbered 1, 2 ... as in the file
    frame_of_reference  of the image: another one than the structure set's is refused; "" does not check
    """
    if frame_of_reference and structures.frames_of_reference and frame_of_reference not in structures.frames_of_reference:
        raise Refused(
            "other-frame-of-reference",
            f"{structures.name} was drawn in another frame of reference than the image, so its millimetres mean another place.",
            "give the image that it was drawn on, or register the two and export the structure set again",
        )
    if not grid.spacing_known or grid.is_planar:
        raise Refused("no-geometry", f"{structures.name} is in millimetres; the image has no place in the patient.", "use DICOM")
    wanted = values or {name: k for k, name in enumerate(structures.names, 1)}
    notes: list[str] = []
    drawn: dict[int, tuple[str, np.ndarray]] = {}
    for roi in structures.rois:
        if roi.name in wanted:
            value = wanted[roi.name]
            own = np.flatnonzero(_draw(roi, grid, structures.name, notes))
            name, before = drawn.get(value, (roi.name, own))
            drawn[value] = name, np.union1d(before, own)
    return Drawn(in_layers([(name, value, own) for value, (name, own) in drawn.items()], grid), tuple(notes))


# ---- reading ----------------------------------------------------------------------------------------


def _structure_set(tags: Dataset, name: str) -> StructureSet:
    contours = {int(number(item, "ReferencedROINumber") or 0): item for item in tags.get("ROIContourSequence") or ()}
    observed = {int(number(item, "ReferencedROINumber") or 0): item for item in tags.get("RTROIObservationsSequence") or ()}
    rois, seen = [], set()
    for item in tags.get("StructureSetROISequence") or ():
        k = int(number(item, "ROINumber") or 0)
        label = text(item, "ROIName") or f"ROI {k}"
        if label in seen:
            label = f"{label} ({k})"
        seen.add(label)
        observation = observed.get(k, Dataset())
        rois.append(
            Roi(
                k,
                label,
                text(item, "ReferencedFrameOfReferenceUID"),
                _contours(contours.get(k, Dataset()), label, name),
                text(observation, "ROIInterpreter"),
                text(observation, "RTROIInterpretedType"),
            )
        )
    if not rois:
        raise Refused("no-structures", f"{name} names no region of interest.", "export the structure set again")
    series, images = _references(tags)
    images |= {c.image for roi in rois for c in roi.contours if c.image}
    frames = {text(item, "FrameOfReferenceUID") for item in tags.get("ReferencedFrameOfReferenceSequence") or ()}
    frames |= {roi.frame_of_reference for roi in rois} | {text(tags, "FrameOfReferenceUID")}
    return StructureSet(
        name,
        tuple(rois),
        frozenset(frames - {""}),
        tuple(dict.fromkeys(series)),
        frozenset(images),
        text(tags, "OperatorsName") or next((roi.drawn_by for roi in rois if roi.drawn_by), ""),
        text(tags, "StructureSetDate"),
        text(tags, "StructureSetLabel"),
    )


def _references(tags: Dataset) -> tuple[list[str], set[str]]:
    series: list[str] = []
    images: set[str] = set()
    for frame in tags.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for item in study.get("RTReferencedSeriesSequence") or ():
                series.append(text(item, "SeriesInstanceUID"))
                images |= {text(i, "ReferencedSOPInstanceUID") for i in item.get("ContourImageSequence") or ()}
    return [uid for uid in series if uid], images - {""}


def _contours(item: Dataset, roi: str, name: str) -> tuple[Contour, ...]:
    found = []
    for contour in item.get("ContourSequence") or ():
        kind = text(contour, "ContourGeometricType").upper()
        values = floats(contour, "ContourData")
        if values is None or len(values) % 3:
            count = "no numbers" if values is None else f"{len(values)} numbers"
            what = f"{name}: a contour of '{roi}' holds {count}; a point is three."
            raise Refused("damaged-contour", what, "export the structure set again")
        images = contour.get("ContourImageSequence") or ()
        uid = text(images[0], "ReferencedSOPInstanceUID") if images else ""
        found.append(Contour(kind, np.array(values).reshape(-1, 3), uid))
    return tuple(found)


# ---- drawing ----------------------------------------------------------------------------------------


def _draw(roi: Roi, grid: Grid, name: str, notes: list[str]) -> np.ndarray:
    """(Z, Y, X) bool."""
    mask = np.zeros(grid.shape, bool)
    closed = [c for c in roi.contours if c.kind in AREAS and len(c.points) > 2]
    if len(closed) < len(roi.contours):
        notes.append(f"'{roi.name}': {len(roi.contours) - len(closed)} points or open lines enclose nothing and were left out")
    if not closed:
        return mask
    indices = [grid.to_index(c.points) for c in closed]
    axis = _axis(indices, roi, grid, name)
    _refuse_elsewhere(indices, axis, roi, grid, name, notes)
    planes = _planes(closed, indices, axis)
    depths = np.array(sorted(planes))
    reach = _reach(depths)
    moved = np.moveaxis(mask, axis, 0)
    used = set()
    for k in range(moved.shape[0]):
        nearest = _nearest(depths, k)
        if -reach <= k - depths[nearest] < reach or abs(k - depths[nearest]) < SAME_PLANE:
            used.add(nearest)
            moved[k] = _region(planes[float(depths[nearest])], moved.shape[1:], roi, notes)
    _tell(depths, used, reach, roi, notes)
    return mask


def _axis(indices: Sequence[np.ndarray], roi: Roi, grid: Grid, name: str) -> int:
    """The array axis along which every contour stands still; slices first."""
    spread = np.array([np.ptp(points, axis=0) for points in indices]).max(axis=0)
    flat = [axis for axis in range(3) if spread[axis] <= FLAT]
    if not flat:
        off = float(spread.min() * grid.spacing[int(spread.argmin())])
        raise Refused(
            "contours-not-parallel",
            f"{name}: the contours of '{roi.name}' do not lie in planes of the image; they leave them by up to {off:.1f} mm.",
            "give the image that they were drawn on, or export the regions as a DICOM SEG",
        )
    return flat[0]


def _refuse_elsewhere(indices: Sequence[np.ndarray], axis: int, roi: Roi, grid: Grid, name: str, notes: list[str]) -> None:
    points = np.concatenate(indices)
    last = np.array(grid.shape) - 1
    outside = np.maximum(np.maximum(-0.5 - points, points - last - 0.5), 0)
    off = np.linalg.norm(outside * np.array(grid.spacing), axis=1)
    planes_off = outside[:, axis].max() * grid.spacing[axis]
    if off.min() > 0 or planes_off > 1e-3 * grid.spacing[axis]:
        far = off.min() if off.min() > 0 else planes_off
        raise Refused(
            "contours-elsewhere",
            f"{name}: contours of '{roi.name}' lie {far:.1f} mm outside the image.",
            "give the image that they were drawn on",
        )
    if off.max() > max(grid.spacing):
        notes.append(f"'{roi.name}' reaches up to {off.max():.1f} mm beyond the picture and was cut at its border")


def _planes(closed: Sequence[Contour], indices: Sequence[np.ndarray], axis: int) -> dict[float, list[tuple[str, np.ndarray]]]:
    """Depth -> contours (kind, (N, 2) x, y in the plane); one depth for planes that rounding set apart."""
    rest = [k for k in range(3) if k != axis]
    planes: dict[float, list[tuple[str, np.ndarray]]] = {}
    order = sorted(range(len(closed)), key=lambda k: float(indices[k][:, axis].mean()))
    last: float | None = None
    for k in order:
        depth = round(float(indices[k][:, axis].mean()), 4)
        if last is None or depth - last > SAME_PLANE:
            last = float(round(depth)) if abs(depth - round(depth)) < SAME_PLANE else depth
        planes.setdefault(last, []).append((closed[k].kind, indices[k][:, [rest[1], rest[0]]]))
    return planes


def _reach(depths: np.ndarray) -> float:
    """Half of what lies between the planes as a rule, in slices."""
    gaps = np.diff(depths)
    return max(float(np.median(gaps)) / 2 if gaps.size else 0.5, 0.5)


def _nearest(depths: np.ndarray, k: int) -> int:
    """The nearest plane; of two equally near the later one, as slabs are open at their end."""
    return len(depths) - 1 - int(np.argmin(np.abs(depths - k)[::-1]))


def _region(contours: Sequence[tuple[str, np.ndarray]], shape: tuple[int, ...], roi: Roi, notes: list[str]) -> np.ndarray:
    plane = (int(shape[0]), int(shape[1]))
    if any("XOR" in kind for kind, _ in contours):
        return fill([points for _, points in contours], plane)
    region = np.zeros(plane, bool)
    told: set[bytes] = set()
    for _, points in sorted(contours, key=lambda c: -abs(area(c[1]))):
        if points.tobytes() in told:
            continue  # the same contour twice is no hole
        told.add(points.tobytes())
        own = fill([points], plane)
        inside = region & own
        if own.any() and (inside == own).all():
            region &= ~own
        else:
            if inside.any():
                _note_once(notes, f"'{roi.name}': contours of one plane cross each other and were united")
            region |= own
    return region


def _note_once(notes: list[str], line: str) -> None:
    if line not in notes:
        notes.append(line)


def _tell(depths: np.ndarray, used: set[int], reach: float, roi: Roi, notes: list[str]) -> None:
    if len(used) < len(depths):
        notes.append(f"'{roi.name}': {len(depths) - len(used)} of {len(depths)} planes lie nearer to each other than the slices")
    if reach > 0.75:
        notes.append(f"'{roi.name}': contours lie {2 * reach:.2g} slices apart; each fills the slices up to half way to the next")
    gaps = np.diff(depths)
    wide = int((gaps > 3 * reach).sum())
    if wide:
        notes.append(f"'{roi.name}': {wide} gaps between planes of contours were left empty")
