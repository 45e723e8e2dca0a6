"""Every way in by which a user's file comes, for `fuzz.py`: each is tried on each file of its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzz_seeds import PICTURE, PICTURE_NAME
from PIL import Image as Pillow

from overread.cohort.ask import Said
from overread.cohort.draft import Draft
from overread.cohort.labels.answered import numbering
from overread.cohort.labels.convert import boxes_of_marks
from overread.cohort.labels.drawn import drawn_format, drawn_label_map, drawn_marks
from overread.cohort.labels.find import find_objects
from overread.cohort.labels.objects import Objects
from overread.cohort.sheet import read_sheet, refuse_rounded_ids
from overread.core.case import ImageReference, TruthReference
from overread.core.errors import OverreadError, Refused
from overread.core.grid import Grid
from overread.imaging.dicom.rtstruct_reading import draw_rois, read_rtstruct
from overread.imaging.dicom.sr_reading import read_sr
from overread.imaging.door import open_found, open_image, open_path
from overread.imaging.found import Found
from overread.imaging.labels import open_labels, open_seg
from overread.imaging.scan import scan, scan_file

Way = Callable[[Path], object]


class Place:
    """A folder with an image of each kind that labels may speak of.

    pictures, series  the image folders
    drafts            the images in them
    """

    def __init__(self, folder: Path, dicom: Path) -> None:
        self.files = folder / "files"
        self.pictures, self.series = folder / "pictures", dicom
        for made in (self.files, self.pictures):
            made.mkdir()
        Pillow.fromarray(np.zeros(PICTURE, np.uint8)).save(self.pictures / PICTURE_NAME)
        self.drawn_on = [_draft(f) for f in scan(self.pictures).found]
        self.imaged = [_draft(f) for f in scan(dicom).eligible]
        self.grids = {d.name: open_image([dicom / f for f in d.images[0].files], "dicom").grid for d in self.imaged}
        self.grids |= {d.name: Grid.from_spacing((1, *PICTURE), spacing_known=False, is_planar=True) for d in self.drawn_on}

    def ways(self, format: str) -> tuple[Way, ...]:
        """What is tried on a file of this format."""
        if format in ("dicom", "zip"):
            return scan_file, open_path, self.in_folder
        if format == "dicom labels":
            return self.in_folder, open_seg, self._placed, self._structures, read_sr, self._joined_dicom
        if format in ("nifti", "nrrd", "mha", "raster", "npz"):
            masks = (lambda path: open_labels([path], format, 0 if format == "npz" else None),)
            return scan_file, open_path, *masks, *((open_seg,) if format == "nrrd" else ())
        if format in ("sheet", "workbook"):
            return (_sheet,)
        return (self._joined_drawn,)

    def in_folder(self, path: Path) -> object:
        """As one file of a folder, whatever else lies in it."""
        result = scan(path.parent, workers=1)
        if result.eligible:
            return [open_found(path.parent, found) for found in result.eligible]
        reasons = [(refused.code, refused.reason) for refused in result.refused]
        reasons += [(str(found.attributes["code"]), str(found.attributes["ineligible"])) for found in result.found]
        raise Refused(*next(iter(reasons), ("unknown-format", "nothing was found")))

    def _placed(self, path: Path) -> object:
        return self._somewhere(lambda grid: open_seg(path, grid))

    def _structures(self, path: Path) -> object:
        structures = read_rtstruct(path)
        return self._somewhere(lambda grid: draw_rois(structures, grid))

    def _somewhere(self, place: Callable[[Grid], object]) -> object:
        """On every grid, most of which are another image's; refused where it fits none."""
        placed, last = [], Refused("", "")
        for grid in self.grids.values():
            try:
                placed.append(place(grid))
            except Refused as refused:
                last = refused
        if not placed:
            raise last
        return placed

    def _joined_dicom(self, path: Path) -> object:
        return [self._drawn(find_objects(path, self.imaged, self.series, task=task)) for task in (None, "regression")]

    def _joined_drawn(self, path: Path) -> object:
        return self._drawn(find_objects(path, self.drawn_on, self.pictures))

    def _drawn(self, objects: Objects | None) -> object:
        """The voxels of everything that was joined, or its boxes."""
        if objects is None:
            raise OverreadError("no labels were found in the file")
        values = {name: float(value) for name, value in numbering(objects.classes, Said()).items()}
        return [
            _voxels(
                name, TruthReference(values, d.files, drawn_format(objects.form, d.places), d.reader), objects, self.grids[name]
            )
            for name, drawings in objects.by_name.items()
            for d in drawings
        ]


def _voxels(name: str, truth: TruthReference, objects: Objects, grid: Grid) -> object:
    try:
        return drawn_label_map(name, truth, objects.root, grid)
    except Refused as refused:
        if refused.code != "boxes-only":
            raise
    form, _, places = truth.format.partition(" ")
    return boxes_of_marks(drawn_marks(name, truth, form, [objects.root / f for f in truth.files], places, grid), grid)


def _draft(found: Found) -> Draft:
    reference = ImageReference("image", found.format, found.files, found.index)
    attributes = dict(found.attributes) | {"series": found.series}
    return Draft(found.files[0], (found.files[0], found.name), (reference,), found.patient, attributes=attributes)


def _sheet(path: Path) -> object:
    """The table, and each column as words, numbers, dates and identifiers."""
    sheet = read_sheet(path)
    for name in sheet.columns:
        for use in (sheet.numbers, sheet.dates, lambda column: refuse_rounded_ids(sheet, column)):
            try:
                use(name)
            except OverreadError:
                continue
    return sheet
