"""DICOM SEG to a label map: binary, fractional (at one half) and labelmap, placed by geometry.

Source: DICOM PS3.3 A.51, C.8.20 (Segmentation). Frames without a voxel are usually left out of the file,
so a frame's place comes from its own position, never from its number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.placing import place_film, place_frame
from overread.imaging.dicom.planes import Plane, frame_planes
from overread.imaging.dicom.stack import DUPLICATE, UNIFORM
from overread.imaging.dicom.values import number, text

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"


def is_seg(sop_class: str) -> bool:
    return sop_class in (SEGMENTATION, LABELMAP)


def read_seg(path: Path, grid: Grid | None = None) -> LabelMap:
    """All segments of a file.

    grid     the image's grid to place the segments on; without it the smallest regular grid of the frames
    returns  values are segment numbers; overlapping segments lie in different layers
    """
    path = Path(path)
    header = read_header(path)
    if not is_seg(header.sop_class):
        raise Refused("not-a-segmentation", f"{path.name} is {header.modality or 'no'} object, not a segmentation.", "give a SEG")
    tags = pydicom.dcmread(path)
    planes = frame_planes(tags, header.frames)
    shape = (header.rows, header.columns)
    names = _segment_names(tags, path.name)
    if grid is None:
        grid = _own_grid(planes, shape, tags, path.name)
    voxels: dict[int, list[np.ndarray]] = defaultdict(list)
    for frame, (segment, pixels) in enumerate(_frames(tags, header.frames, path.name)):
        place = place_frame(planes[frame], shape, grid, path.name) if planes else place_film(shape, grid, path.name)
        for number_, mask in _masks(segment, pixels, names):
            rows, columns = np.nonzero(mask)
            voxels[number_].append(np.ravel_multi_index(place.voxels(rows, columns), grid.shape))
    return _layered(names, voxels, grid)


def _segment_names(tags: Dataset, name: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for item in tags.get("SegmentSequence") or ():
        segment = int(number(item, "SegmentNumber") or 0)
        if segment:
            names[segment] = text(item, "SegmentLabel") or f"segment {segment}"
    if not names:
        raise Refused("no-segments", f"{name} names no segment.", "export the segmentation again")
    return names


def _frames(tags: Dataset, frames: int, name: str) -> Iterator[tuple[int | None, np.ndarray]]:
    """(segment number or None for a labelmap, (Y, X) pixels) of every frame; fractions become 0 or 1."""
    try:
        array = np.asarray(tags.pixel_array)
    except Exception as error:  # decoders raise whatever they like; the user needs the file and the words
        raise Refused("unreadable", f"{name} cannot be decoded: {error}.", "fetch the file again") from error
    array = array.reshape(frames, *array.shape[-2:])
    kind = text(tags, "SegmentationType").upper()
    if kind == "LABELMAP" or text(tags, "SOPClassUID") == LABELMAP:
        yield from ((None, frame) for frame in array)
        return
    half = (number(tags, "MaximumFractionalValue") or 1) / 2 if kind == "FRACTIONAL" else 0.5
    shared = next(iter(tags.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    for own, frame in zip(tags.PerFrameFunctionalGroupsSequence, array, strict=True):
        items = own.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
        if not items:
            raise Refused("no-segments", f"{name}: a frame does not say which segment it shows.", "export it again")
        yield int(items[0].ReferencedSegmentNumber), frame >= half


def _masks(segment: int | None, pixels: np.ndarray, names: dict[int, str]) -> Iterator[tuple[int, np.ndarray]]:
    if segment is not None:
        yield segment, pixels
        return
    for value in np.unique(pixels):
        if int(value) in names and value != 0:
            yield int(value), pixels == value


def _layered(names: dict[int, str], voxels: dict[int, list[np.ndarray]], grid: Grid) -> LabelMap:
    """Put each segment into the first layer where it meets no other."""
    dtype = np.uint8 if max(names) < 256 else np.uint16
    layers = [np.zeros(grid.shape, dtype)]
    structures = []
    for segment, name in sorted(names.items()):
        own = np.concatenate(voxels[segment]) if voxels[segment] else np.empty(0, int)
        chosen = next((k for k, layer in enumerate(layers) if not layer.reshape(-1)[own].any()), None)
        if chosen is None:
            layers.append(np.zeros(grid.shape, dtype))
            chosen = len(layers) - 1
        layers[chosen].reshape(-1)[own] = segment
        structures.append(Structure(name, segment, chosen))
    return LabelMap(np.stack(layers), tuple(structures), grid)


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
    return Grid((int(steps.max()) + 1, *shape), affine)


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
