"""How a series counts its slices goes with the image, whatever the order of files and the direction of acquisition."""

from pathlib import Path

import pydicom
import pytest

from imaging.make_dicom import make_series
from overread.core.slices import numbers_of
from overread.imaging.dicom.volume import open_dicom

OBLIQUE = (1.0, 0.0, 0.0, 0.0, 0.8, 0.6)


def numbered(folder: Path, numbers: list[int | None], depths: list[float], **changes) -> list[Path]:
    """A series whose slices are numbered in the order of their depths."""
    files = make_series(folder, depths, **changes)
    normal_order = sorted(files, key=lambda file: _depth(file))
    for file, number in zip(normal_order, numbers, strict=True):
        tags = pydicom.dcmread(file)
        tags.InstanceNumber = number
        tags.save_as(file)
    return files


def _depth(file: Path) -> float:
    tags = pydicom.dcmread(file, stop_before_pixels=True)
    row, column = tags.ImageOrientationPatient[:3], tags.ImageOrientationPatient[3:]
    normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ]
    return sum(a * b for a, b in zip(normal, tags.ImagePositionPatient, strict=True))


@pytest.mark.parametrize("changes", [{}, {"orientation": OBLIQUE}], ids=["axial", "oblique"])
def test_numbers_follow_the_slices_and_not_the_files(tmp_path, changes):
    """Numbered from the head down, while slices are stacked from the foot up."""
    image = open_dicom(numbered(tmp_path, [6, 5, 4, 3, 2], [0.0, 3.0, 6.0, 9.0, 12.0], **changes))
    assert numbers_of(image) == (6, 5, 4, 3, 2)


def test_a_slice_that_was_interpolated_has_no_number(tmp_path):
    image = open_dicom(numbered(tmp_path, [1, 2, 4, 5, 6], [0.0, 3.0, 9.0, 12.0, 15.0]), gaps="resample")
    assert numbers_of(image) == (1, 2, None, 4, 5, 6)


@pytest.mark.parametrize("numbers", [[1, 1, 2, 3], [None, None, None, None]], ids=["twice", "none"])
def test_a_series_whose_numbers_tell_nothing_apart_has_none(tmp_path, numbers):
    assert numbers_of(open_dicom(numbered(tmp_path, numbers, [0.0, 3.0, 6.0, 9.0]))) is None
