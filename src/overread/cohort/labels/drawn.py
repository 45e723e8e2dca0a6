"""A truth that was drawn as boxes, outlines or contours: where it stands in its label file, and its voxels on a grid.

The format of such a truth is the name of its label format and, where one file is about many images, the places in it:
``coco [[0, "17", null]]`` is image 17 of the first label file, a picture of its own; the third number is the slice of
a volume. `values` of the reference say which label value each class has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overread.cohort.labels.convert import HALF_PIXEL, label_map_of_marks
from overread.cohort.labels.marks import Mark, MarkedImage, fit
from overread.cohort.labels.recognise import FORMS, read_labels
from overread.cohort.place import place_layers
from overread.core.case import TruthReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap
from overread.imaging.dicom.header import read_header
from overread.imaging.dicom.rtstruct_reading import draw_rois, read_rtstruct
from overread.imaging.dicom.sr_reading import place_region, read_sr
from overread.imaging.labels import open_seg
from overread.imaging.layering import in_layers
from overread.imaging.outlines import fill

CONTOURS, REPORT = "rtstruct", "sr"
NAMED = ("dicom-seg", "nrrd")  # masks that name their segments; by name where files number them differently
NAMES_SUFFIXES = (".yaml", ".yml", ".names")


@dataclass(frozen=True)
class Address:
    """One picture in a label file: position of the file, key in it, slice of the volume (None for a picture)."""

    file: int
    key: str
    slice: int | None = None


def is_drawn(truth: TruthReference) -> bool:
    """Not a plain mask: its voxels are drawn here, with the label values that the reference gives to each name."""
    form = truth.format.partition(" ")[0]
    return form in (*FORMS, CONTOURS, REPORT) or (form in NAMED and bool(truth.values))


def drawn_format(form: str, addresses: Sequence[Address] = ()) -> str:
    if not addresses:
        return form
    return f"{form} {json.dumps([[a.file, a.key, a.slice] for a in addresses])}"


def drawn_layers(what: str, truth: TruthReference, folder: Path, grid: Grid) -> np.ndarray:
    """(L, Z, Y, X) integers of a drawn truth on its image's grid."""
    return drawn_label_map(what, truth, folder, grid).layers


def drawn_label_map(what: str, truth: TruthReference, folder: Path, grid: Grid) -> LabelMap:
    """A drawn truth with the names of its classes.

    what    how messages call the case
    folder  the folder of labels, or the one label file
    """
    form, _, places = truth.format.partition(" ")
    values = {name: int(value) for name, value in truth.values.items() if value is not None}
    files = [folder / name for name in truth.files]
    if form == CONTOURS:
        return draw_rois(read_rtstruct(files[0]), grid, values).label_map
    if form in NAMED:
        return _renumbered(what, files[0], values, grid)
    if form == REPORT:
        return _regions(files, values, grid)
    slices = drawn_marks(what, truth, form, files, places, grid)
    return label_map_of_marks(slices, grid, values, what).kind


def named_segments(what: str, file: Path, values: Mapping[str, int], grid: Grid) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (Z, Y, X) bool of each segment of a segmentation, on its image's grid."""
    own = open_seg(file, grid)
    placed = place_layers(own.layers, own.grid, grid, what=what)
    unknown = [s.name for s in own.structures if s.name not in values]
    if unknown:
        raise Refused(
            "undeclared-value",
            f"{what}: the segmentation holds '{unknown[0]}', which nobody declared.",
            "take the change in as a new version with `overread update`",
        )
    return ((s.name, placed[s.layer] == s.value) for s in own.structures)


def _renumbered(what: str, file: Path, values: dict[str, int], grid: Grid) -> LabelMap:
    """A segmentation whose segments get their label values by name."""
    voxels = {name: np.flatnonzero(mask) for name, mask in named_segments(what, file, values, grid)}
    united: dict[int, tuple[str, np.ndarray]] = {}
    for name, found in voxels.items():
        first, before = united.get(values[name], (name, found))
        united[values[name]] = first, np.union1d(before, found)
    return in_layers([(name, value, found) for value, (name, found) in united.items()], grid)


def drawn_marks(
    what: str, truth: TruthReference, form: str, files: Sequence[Path], places: str, grid: Grid
) -> dict[int, list[Mark]]:
    """slice -> marks in pixels of the grid's slices."""
    extra = files[-1] if len(files) > 1 and (files[-1].suffix in NAMES_SUFFIXES or files[-1].name == "classes.txt") else None
    slices: dict[int, list[Mark]] = {}
    for item in json.loads(places):
        address = Address(*item)
        image = _picture(form, files[address.file], extra, address.key)
        if address.slice is None and grid.shape[0] != 1:
            raise Refused(
                "slice-unknown",
                f"{what}: the labels are for one picture, the image has {grid.shape[0]} slices, and no slice is named.",
                "label the slices under their own file names, or give pictures as images",
            )
        marks = fit(image, (grid.shape[1], grid.shape[2]), what)
        named = {mark.reader for mark in marks} - {""}
        own = [mark for mark in marks if mark.reader in ("", truth.reader)] if truth.reader in named else list(marks)
        slices.setdefault(address.slice or 0, []).extend(own)
    return slices


def _picture(form: str, file: Path, extra: Path | None, key: str) -> MarkedImage:
    for image in read_labels(form, file, extra).images:
        if image.key == key:
            return image
    raise OverreadError(
        f"The label file {file.name} has no image {key} any more.", "take the change in as a new version with `overread update`"
    )


def _regions(files: Sequence[Path], values: dict[str, int], grid: Grid) -> LabelMap:
    """Closed regions of a report as a label map."""
    mask = {value: np.zeros(grid.shape, bool) for value in dict.fromkeys(values.values())}
    for k, mark in regions_of(files, values, grid):
        for outline in mark.outlines:
            mask[values[mark.class_name]][k] |= fill([outline - HALF_PIXEL], (grid.shape[1], grid.shape[2]))
    names = {value: name for name, value in reversed(list(values.items()))}
    return in_layers([(names[value], value, np.flatnonzero(m)) for value, m in mask.items()], grid)


def regions_of(files: Sequence[Path], values: Mapping[str, int], grid: Grid) -> Iterator[tuple[int, Mark]]:
    """(slice, mark) of the closed regions of a report; those on images that are not of this case are others' truth.

    Regions of one measurement group carry one number.
    """
    report = read_sr(files[0])
    headers = {header.sop_uid: header for header in map(read_header, files[1:])}
    for number, group in enumerate(report.groups, start=1):
        for region in group.regions:
            if group.name not in values or (region.image and region.image not in headers):
                continue
            placed = place_region(region, headers, grid, report.name)
            if placed is not None:
                yield placed.slice, Mark(group.name, outlines=(placed.outline + HALF_PIXEL,), number=str(number))
