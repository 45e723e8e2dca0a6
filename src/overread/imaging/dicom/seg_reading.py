"""DICOM SEG to a label map: binary, fractional (at a stated threshold) and labelmap, placed by geometry.

Source: DICOM PS3.3 A.51, C.8.20 (Segmentation). Frames without a voxel are usually left out of the file,
so a frame's place comes from its own position, never from its number. A fraction, probability or occupancy,
belongs to its segment where it is at least `HALF` of the largest value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels

from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.parse import one_refusal, parse
from overread.imaging.dicom.placing import place_film, place_frame
from overread.imaging.dicom.planes import Plane, frame_planes
from overread.imaging.dicom.stack import DUPLICATE, UNIFORM
from overread.imaging.dicom.values import number, text
from overread.imaging.layering import in_layers

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"
HALF = 0.5
MOST_VOXELS = 1 << 30  # a grid of a damaged or malicious file must not fill the memory


@dataclass(frozen=True)
class SegFacts:
    """What a segmentation says of itself, without its pixels.

    kind       BINARY, FRACTIONAL or LABELMAP; fraction is PROBABILITY or OCCUPANCY, "" for the others
    segments   number -> name
    sources    SOP Instance UIDs of the images that its frames were derived from
    series     Series Instance UIDs that it refers to
    reader     who drew it: the algorithm's name, or the content creator; "" where it does not say
    """

    kind: str
    fraction: str
    segments: dict[int, str]
    frame_of_reference: str
    sources: frozenset[str]
    series: tuple[str, ...]
    reader: str = ""
    method: str = ""
    date: str = ""


def is_seg(sop_class: str) -> bool:
    return sop_class in (SEGMENTATION, LABELMAP)


def read_seg(path: Path, grid: Grid | None = None, *, threshold: float = HALF, frame_of_reference: str = "") -> LabelMap:
    """All segments of a file.

    grid                the image's grid to place the segments on; without it the smallest regular grid of the frames
    threshold           fractional segments: share of the largest value from which a voxel belongs
    frame_of_reference  of the image: a segmentation in another one is refused; "" does not check
    returns             values are segment numbers; overlapping segments lie in different layers
    """
    path = Path(path)
    if not 0 < threshold <= 1:
        raise OverreadError(f"The threshold of fractional segments is {threshold:g}; expected more than 0, at most 1.")
    with one_refusal(path.name, "is a damaged segmentation"):
        header = read_header(path)
        if not is_seg(header.sop_class):
            what = f"{path.name} is {header.modality or 'no'} object, not a segmentation."
            raise Refused("not-a-segmentation", what, "give a SEG")
        refuse_other_frame(path.name, header.frame_of_reference, frame_of_reference)
        return _read(_tags(path), header, grid, threshold, path.name)


def refuse_other_frame(name: str, own: str, image: str) -> None:
    """Millimetres in two frames of reference mean two places."""
    if own and image and own != image:
        raise Refused(
            "other-frame-of-reference",
            f"{name} lies in another frame of reference than the image ({own} against {image}), so its millimetres mean "
            "another place.",
            "give the image that it was drawn on, or register the two and export the segmentation again",
        )


def seg_facts(path: Path) -> SegFacts:
    """Kind, segments, sources and authors of a segmentation; its pixels stay on disk."""
    path = Path(path)
    tags = _tags(path, pixels=False)
    with one_refusal(path.name, "is a damaged segmentation"):
        return _facts(tags, path.name)


def _facts(tags: Dataset, name: str) -> SegFacts:
    if not is_seg(text(tags, "SOPClassUID")):
        raise Refused("not-a-segmentation", f"{name} is no segmentation.", "give a SEG")
    segments = list(tags.get("SegmentSequence") or ())
    makers = dict.fromkeys(text(item, "SegmentAlgorithmName") for item in segments)
    methods = dict.fromkeys(text(item, "SegmentAlgorithmType").lower() for item in segments)
    series = [text(item, "SeriesInstanceUID") for item in tags.get("ReferencedSeriesSequence") or ()]
    is_labelmap = text(tags, "SOPClassUID") == LABELMAP
    return SegFacts(
        "LABELMAP" if is_labelmap else text(tags, "SegmentationType").upper(),
        text(tags, "SegmentationFractionalType").upper(),
        _segment_names(tags, name),
        text(tags, "FrameOfReferenceUID"),
        frozenset(_sources(tags)),
        tuple(uid for uid in series if uid),
        text(tags, "ContentCreatorName") or ", ".join(maker for maker in makers if maker),
        ", ".join(method for method in methods if method),
        text(tags, "ContentDate"),
    )


def _tags(path: Path, pixels: bool = True) -> Dataset:
    with one_refusal(path.name):
        return parse(path, pixels=pixels)


def _sources(tags: Dataset) -> Iterator[str]:
    """Per-frame derivation (PS3.3 C.7.6.16.2.6), the shared one, and the series' list of instances."""
    groups = [*(tags.get("SharedFunctionalGroupsSequence") or ()), *(tags.get("PerFrameFunctionalGroupsSequence") or ())]
    for group in groups:
        for derivation in group.get("DerivationImageSequence") or ():
            yield from (text(item, "ReferencedSOPInstanceUID") for item in derivation.get("SourceImageSequence") or ())
    for series in tags.get("ReferencedSeriesSequence") or ():
        yield from (text(item, "ReferencedSOPInstanceUID") for item in series.get("ReferencedInstanceSequence") or ())


def _read(tags: Dataset, header: Header, grid: Grid | None, threshold: float, name: str) -> LabelMap:
    planes = frame_planes(tags, header.frames)
    shape = (header.rows, header.columns)
    if not min(shape):
        raise Refused("no-pixels", f"{name} has no pixels.", "fetch the file again")
    names = _segment_names(tags, name)
    if grid is None:
        grid = _own_grid(planes, shape, tags, name)
    voxels: dict[int, list[np.ndarray]] = defaultdict(list)
    index_type = np.int32 if np.prod(grid.shape, dtype=np.int64) < 1 << 31 else np.int64
    for frame, (segment, pixels) in enumerate(_frames(tags, header.frames, threshold, name)):
        masks = [(s, mask) for s, mask in _masks(segment, pixels, names, name) if mask.any()]
        if not masks:
            continue  # an empty frame says nothing, wherever it lies
        place = place_frame(planes[frame], shape, grid, name) if planes else place_film(shape, grid, name)
        for number_, mask in masks:
            rows, columns = np.nonzero(mask)
            voxels[number_].append(np.ravel_multi_index(place.voxels(rows, columns), grid.shape).astype(index_type))
    empty = np.empty(0, index_type)
    return in_layers(((names[s], s, np.concatenate([empty, *voxels[s]])) for s in sorted(names)), grid)


def _segment_names(tags: Dataset, name: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for item in tags.get("SegmentSequence") or ():
        segment = int(number(item, "SegmentNumber") or 0)
        if segment:
            label = text(item, "SegmentLabel") or f"segment {segment}"
            names[segment] = label if label not in names.values() else f"{label} ({segment})"
    if not names:
        raise Refused("no-segments", f"{name} names no segment.", "export the segmentation again")
    return names


def _frames(tags: Dataset, frames: int, threshold: float, name: str) -> Iterator[tuple[int | None, np.ndarray]]:
    """(segment number or None for a labelmap, (Y, X) pixels) of every frame; fractions become 0 or 1."""
    kind = text(tags, "SegmentationType").upper()
    is_labelmap = kind == "LABELMAP" or text(tags, "SOPClassUID") == LABELMAP
    largest = number(tags, "MaximumFractionalValue") or 255.0
    shared = next(iter(tags.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    per_frame = list(tags.get("PerFrameFunctionalGroupsSequence") or ())
    if not is_labelmap and len(per_frame) != frames:
        what = f"{name} has {frames} frames and describes {len(per_frame)} of them."
        raise Refused("no-segments", what, "export the segmentation again")
    count = 0
    for count, frame in enumerate(_pixels(tags, name), start=1):
        if is_labelmap:
            yield None, frame
            continue
        if count > frames:
            break
        own = per_frame[count - 1]
        items = own.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
        segment = number(items[0], "ReferencedSegmentNumber") if items else None
        if segment is None:
            raise Refused("no-segments", f"{name}: a frame does not say which segment it shows.", "export it again")
        yield int(segment), frame >= threshold * largest if kind == "FRACTIONAL" else frame != 0
    if count != frames:
        raise Refused("truncated", f"{name} holds {count} frames; {frames} were expected.", "fetch the file again")


def _pixels(tags: Dataset, name: str) -> Iterator[np.ndarray]:
    """(Y, X) of one frame after another, so that a long segmentation is never whole in memory."""
    frames = iter(_bits(tags)) if _is_packed(tags) else iter_pixels(tags, raw=True)
    while True:
        try:
            frame = next(frames)
        except StopIteration:
            return
        except Exception as error:  # decoders raise whatever they like; the user needs the file and the words
            raise Refused("unreadable", f"{name} cannot be decoded: {error}.", "fetch the file again") from error
        yield np.asarray(frame)


def _is_packed(tags: Dataset) -> bool:
    return number(tags, "BitsAllocated") == 1 and not tags.file_meta.TransferSyntaxUID.is_encapsulated


def _bits(tags: Dataset) -> Iterator[np.ndarray]:
    """Uncompressed frames of one bit per pixel, which need not begin at a byte (PS3.5 8.1.1)."""
    packed = np.frombuffer(tags.PixelData, np.uint8)
    size = int(tags.Rows) * int(tags.Columns)
    for frame in range(int(number(tags, "NumberOfFrames") or 1)):
        first, last = frame * size, (frame + 1) * size
        part = np.unpackbits(packed[first // 8 : -(-last // 8)], bitorder="little")[first % 8 :][:size]
        yield part.reshape(int(tags.Rows), int(tags.Columns))


def _masks(segment: int | None, pixels: np.ndarray, names: dict[int, str], name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Masks of the segments that a frame shows; background (0, or a segment called so) is none."""
    if segment is not None:
        if segment not in names:
            raise Refused(
                "no-segments", f"{name}: a frame shows segment {segment}, which the file does not name.", "export it again"
            )
        yield segment, pixels
        return
    for value in np.unique(pixels):
        if value == 0:
            continue
        if int(value) not in names:
            raise Refused(
                "no-segments", f"{name}: pixels hold {value}, a segment that the file does not name.", "export it again"
            )
        yield int(value), pixels == value


def _own_grid(planes: tuple[Plane, ...], shape: tuple[int, int], tags: Dataset, name: str) -> Grid:
    """The smallest regular grid that holds all frames; their spacing as stated, or the smallest distance."""
    if not planes:
        return Grid.from_spacing((1, *shape), spacing_known=False, is_planar=True)
    first = planes[0]
    along_row, along_column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(along_row, along_column)
    positions = np.array([plane.position for plane in planes])
    depth = positions @ normal
    start = positions[int(depth.argmin())]
    depth = depth - depth.min()
    spacing = _slice_spacing(tags, depth)
    steps = np.rint(depth / spacing)
    if (np.abs(depth - steps * spacing) > UNIFORM * spacing).any():
        what = f"{name}: its frames are not a whole number of {spacing:.2f} mm apart."
        raise Refused("mixed-spacing", what, "give the image it was drawn on together with the segmentation")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = normal * spacing, start
    affine[:3, 1], affine[:3, 2] = along_column * first.spacing[0], along_row * first.spacing[1]
    slices = int(steps.max()) + 1
    if slices * shape[0] * shape[1] > MOST_VOXELS:
        what = f"{name}: its frames span {slices} slices of {shape[0]} x {shape[1]}, more than can be held."
        raise Refused("too-large", what, "give the image it was drawn on together with the segmentation")
    return Grid((slices, *shape), affine)


def _slice_spacing(tags: Dataset, depth: np.ndarray) -> float:
    gaps = np.diff(np.unique(depth))
    gaps = gaps[gaps > DUPLICATE]
    stated = _stated_spacing(tags)
    if stated and (not gaps.size or stated <= gaps.min() * (1 + UNIFORM)):
        return stated
    return float(gaps.min()) if gaps.size else stated or 1.0


def _stated_spacing(tags: Dataset) -> float | None:
    groups: list[Any] = [
        *(tags.get("SharedFunctionalGroupsSequence") or ()),
        *(tags.get("PerFrameFunctionalGroupsSequence") or ()),
    ]
    for group in groups[:2]:
        for measures in group.get("PixelMeasuresSequence") or ():
            value = number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness")
            if value and value > 0:
                return value
    return None
