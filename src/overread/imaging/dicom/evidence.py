"""The images that an answer was drawn on: which source frame shows which voxels, and which slices no scanner acquired.

Whatever is written back to DICOM is put onto the source's own frames here, by geometry, once for all kinds of object.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from pydicom import charset as encodings
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import Piece
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.parse import parse
from overread.imaging.dicom.placing import TOLERANCE_VOXELS, FramePlace, place_film, place_frame
from overread.imaging.dicom.planes import Plane
from overread.imaging.dicom.series import choose_volume, series_name
from overread.imaging.dicom.values import number, text
from overread.imaging.dicom.write_ct import uid_of

REPEATED = (  # type 2 attributes of patient and study, DICOM PS3.3 C.7.1.1 and C.7.2.1
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
UTF_8 = "ISO_IR 192"
AGE = re.compile(r"\d{3}[DWMY]")  # value representation AS; some write 63Y


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a source file, and where its pixels lie on the answer's grid.

    number  of the frame in a multi-frame file, from 1; None in a single-frame file
    plane   where it lies in the patient; None for a film
    start   (3,) float, index (z, y, x) of the frame's first pixel
    place   the same in whole voxels, with the steps per row and per column
    """

    header: Header
    number: int | None
    plane: Plane | None
    start: np.ndarray
    place: FramePlace

    @property
    def shape(self) -> tuple[int, int]:
        return self.header.rows, self.header.columns

    def take(self, array: np.ndarray) -> np.ndarray:
        """(..., Z, Y, X) on the grid -> (..., rows, columns) as the frame shows it."""
        through = self.axes[0]
        return self._turned(np.moveaxis(array, through - 3, 0)[self.place.start[through]])

    def take_piece(self, piece: Piece, shape: tuple[int, int, int]) -> np.ndarray | None:
        """What the frame shows of one object, (rows, columns) bool; None where nothing. shape (Z, Y, X) of the grid"""
        through = self.axes[0]
        at = int(self.place.start[through]) - piece.start[through]
        if not 0 <= at < piece.mask.shape[through]:
            return None
        others = [axis for axis in range(3) if axis != through]
        plane = np.zeros([shape[axis] for axis in others], bool)
        plane[tuple(piece.place[axis] for axis in others)] = piece.mask.take(at, axis=through)
        shown = self._turned(plane)
        return shown if shown.any() else None

    def _turned(self, plane: np.ndarray) -> np.ndarray:
        """(..., two axes of the grid) -> (..., rows, columns)."""
        _, down, across = self.axes
        if down > across:
            plane = plane.swapaxes(-1, -2)
        rows = self.place.start[down] + self.place.down[down] * np.arange(self.shape[0])
        columns = self.place.start[across] + self.place.across[across] * np.arange(self.shape[1])
        return plane[..., rows[:, None], columns]

    @property
    def axes(self) -> tuple[int, int, int]:
        """Axes of the grid: across the frame, down its columns, along its rows."""
        down, across = (int(np.abs(step).argmax()) for step in (self.place.down, self.place.across))
        return 3 - down - across, down, across

    def rectangle(self, corners: np.ndarray) -> tuple[float, float, float, float] | None:
        """(top, left, bottom, right) in pixel indices where a box (2, 3) on the grid meets this frame, else None."""
        through, down, across = self.axes
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        if not low[through] - 1e-6 <= self.place.start[through] <= high[through] + 1e-6:
            return None
        rows = sorted((np.array([low[down], high[down]]) - self.start[down]) / self.place.down[down])
        columns = sorted((np.array([low[across], high[across]]) - self.start[across]) / self.place.across[across])
        return float(rows[0]), float(columns[0]), float(rows[1]), float(columns[1])


@dataclass(frozen=True)
class Evidence:
    """The sources of an answer.

    tags        each source file without pixels, made fit to be repeated in a new object
    frames      one per place, in order along the normal
    unassessed  slices of the grid that no frame shows: they were interpolated, and no one looked at them
    """

    headers: tuple[Header, ...]
    tags: tuple[Dataset, ...]
    frames: tuple[SourceFrame, ...]
    grid: Grid
    unassessed: tuple[int, ...]

    @property
    def first(self) -> Header:
        return self.headers[0]

    @property
    def is_multiframe(self) -> bool:
        return self.first.frames > 1

    @property
    def is_synthetic(self) -> bool:
        return any(header.is_synthetic for header in self.headers)

    @cached_property
    def uids(self) -> tuple[str, ...]:
        """SOP instances, and frames of a multi-frame one, in a fixed order: what the answer rests on."""
        return tuple(sorted(f"{frame.header.sop_uid}#{frame.number or 0}" for frame in self.frames))

    @property
    def through(self) -> int:
        """Axis of the grid that runs from frame to frame."""
        return self.frames[0].axes[0]

    def unassessed_text(self) -> str:
        """One sentence on the slices that were interpolated; empty where none was."""
        if not self.unassessed:
            return ""
        total = self.grid.shape[self.through]
        index = np.zeros((len(self.unassessed), 3))
        index[:, self.through] = self.unassessed
        orientation = np.array(self.frames[0].plane.orientation) if self.frames[0].plane else np.array([1.0, 0, 0, 0, 1, 0])
        depths = self.grid.to_world(index) @ np.cross(orientation[:3], orientation[3:])
        listed = ", ".join(f"{depth:.1f}" for depth in depths)
        return (
            f"NOT ASSESSED: {len(self.unassessed)} of {total} slices were interpolated where the series has none, "
            f"at {listed} mm along the slice normal."
        )


def read_evidence(files: Sequence[Path], grid: Grid, *, index: int | None = None, is_straightened: bool = False) -> Evidence:
    """Find for each source frame its voxels on the grid of an answer.

    files            every file that the image was read from, in any order
    index            volume or frame of files that hold several, as it was opened
    is_straightened  a gantry tilt was undone: frames lie between pixels of the grid, and the nearest is taken
    Refused where a frame is not on the grid.
    """
    headers = [read_header(Path(file)) for file in files]
    if not headers:
        raise OverreadError("A DICOM result needs the files it was drawn on; got none.", "give the source series")
    if len(headers) > 1 and any(header.frames > 1 for header in headers):
        what = f"{headers[0].name} and {len(headers) - 1} more are several multi-frame files; a result refers to one of them."
        raise Refused("several-multiframe", what, "write the answer as NIfTI instead")
    headers, frame = choose_volume(headers, index, series_name(headers))
    headers = _along_normal(list(headers))
    frames: dict[tuple[int, ...], SourceFrame] = {}
    for header in headers:
        for shown in _frames(header, grid, frame, is_straightened):
            frames.setdefault(tuple(int(n) for n in shown.place.start), shown)
    ordered = tuple(frames.values())
    if ordered[0].plane is not None:
        normal = _normal(ordered[0].header)
        ordered = tuple(sorted(ordered, key=lambda f: float(np.array(f.plane.position) @ normal) if f.plane else 0.0))
    through = ordered[0].axes[0]
    covered = {int(frame.place.start[through]) for frame in ordered}
    tags = tuple(_repeatable(header, ordered[0].plane, grid.spacing[through]) for header in headers)
    return Evidence(tuple(headers), tags, ordered, grid, tuple(k for k in range(grid.shape[through]) if k not in covered))


def _frames(header: Header, grid: Grid, index: int | None, is_straightened: bool) -> list[SourceFrame]:
    shape = (header.rows, header.columns)
    if grid.is_planar or not header.planes:
        plane = next((p for p in header.planes if p.frame == (index or 0)), None)
        place = place_film(shape, grid, header.name)
        number = (index or 0) + 1 if header.frames > 1 else None
        return [SourceFrame(header, number, plane, place.start.astype(float), place)]
    frames = []
    for plane in header.planes:
        start, place = _slid(plane, grid, header.name) if is_straightened else _placed(plane, shape, grid, header.name)
        frames.append(SourceFrame(header, plane.frame + 1 if header.frames > 1 else None, plane, start, place))
    return frames


def _placed(plane: Plane, shape: tuple[int, int], grid: Grid, name: str) -> tuple[np.ndarray, FramePlace]:
    place = place_frame(plane, shape, grid, name)
    return place.start.astype(float), place


def _slid(plane: Plane, grid: Grid, name: str) -> tuple[np.ndarray, FramePlace]:
    """A slice of a tilted series on the straightened grid: on its plane, but not on its pixels."""
    to_index = np.linalg.inv(grid.affine)[:3, :3]
    start = grid.to_index(np.array(plane.position))
    down = to_index @ (np.array(plane.orientation[3:]) * plane.spacing[0])
    across = to_index @ (np.array(plane.orientation[:3]) * plane.spacing[1])
    whole = FramePlace(*(np.rint(v).astype(int) for v in (start, down, across)))
    through = 3 - int(np.abs(whole.down).argmax()) - int(np.abs(whole.across).argmax())
    if abs(start[through] - whole.start[through]) > TOLERANCE_VOXELS:
        off = abs(start[through] - whole.start[through]) * grid.spacing[through]
        raise Refused("other-grid", f"{name} lies {off:.2f} mm off the slices of the answer.", "give the image it was drawn on")
    return start, whole


def _repeatable(header: Header, first: Plane | None, spacing: float) -> Dataset:
    """A source's tags made fit to be repeated.

    Attributes of patient and study that the source lacks become empty; the slice spacing is the one from
    positions, since some scanners write a negative one; the orientation is the first slice's, which differs by
    rounding. Where positions come without a frame of reference, results get one of their own, the same for all.
    """
    tags = parse(Path(header.path), pixels=False)
    _make_readable(tags)
    age = text(tags, "PatientAge")
    if age and not AGE.fullmatch(age):
        tags.PatientAge = age.zfill(4) if AGE.fullmatch(age.zfill(4)) else None
    for keyword in REPEATED:
        if keyword not in tags:
            setattr(tags, keyword, None)
    if first is None:  # a frame of reference without a position refers to nothing, and needs a slice thickness
        tags.pop("FrameOfReferenceUID", None)
    elif not header.frame_of_reference:
        tags.FrameOfReferenceUID = uid_of(header.study_uid, header.series_uid, "frame of reference")
    if first is not None and header.frames == 1:
        tags.SpacingBetweenSlices = DSfloat(spacing, auto_format=True)
        if number(tags, "SliceThickness") is None:
            tags.SliceThickness = tags.SpacingBetweenSlices  # the frames of a result must have one
        tags.ImageOrientationPatient = [DSfloat(v, auto_format=True) for v in first.orientation]
    return tags


def _make_readable(tags: Dataset) -> None:
    """One plain character set is kept; of any other, what was read is written as UTF-8."""
    stated = tags.get("SpecificCharacterSet")
    if stated is None or (isinstance(stated, str) and stated in encodings.python_encoding and stated.startswith("ISO_IR 1")):
        return
    with contextlib.suppress(ValueError, LookupError):
        tags.decode()  # while the old character set still stands
    tags.SpecificCharacterSet = UTF_8


def _along_normal(headers: list[Header]) -> list[Header]:
    """In order of position; files without one by path."""
    if not headers or not all(header.planes for header in headers):
        return sorted(headers, key=lambda header: header.path)
    normal = _normal(headers[0])
    return sorted(headers, key=lambda header: float(np.array(header.planes[0].position) @ normal))


def _normal(header: Header) -> np.ndarray:
    orientation = np.array(header.planes[0].orientation)
    return np.cross(orientation[:3], orientation[3:])
