"""Every readable DICOM file that is at hand, against two independent readers: SimpleITK and pydicom's own handlers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from overread.core.errors import OverreadError
from overread.imaging.dicom.header import Header, read_header
from overread.imaging.dicom.pixels import PixelFile
from overread.imaging.dicom.volume import open_dicom

PACKAGED = Path(pydicom.data.__file__).parent / "test_files"
NOT_BY_SIMPLEITK = {  # read wrongly there, and as pydicom reads them here
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_rle_32bit.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "rtdose_expb.dcm",
    "rtdose_rle_1frame.dcm",
    "rtdose_1frame.dcm",
    "rtdose_expb_1frame.dcm",
}
REFUSED = {"JPEG2000-embedded-sequence-delimiter.dcm"}  # two bytes of its stream were overwritten; nobody decodes it


def images(folder: Path) -> list[tuple[Path, Header]]:
    """Files of a folder that hold pixels."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                header = read_header(path)
        except OverreadError:
            continue
        if header.has_pixels and path.name not in REFUSED:
            found.append((path, header))
    return found


def ours(header: Header) -> np.ndarray:
    """Every frame as stored, (N, Y, X) or (N, Y, X, 3)."""
    with PixelFile(header) as file:
        return np.stack([file.frame(k) for k in range(header.frames)])


def by_pydicom(path: Path) -> np.ndarray | None:
    tags = pydicom.dcmread(path, force=True)
    try:
        array = tags.pixel_array
    except (RuntimeError, NotImplementedError, AttributeError, ValueError):
        return None
    return pydicom.pixels.apply_color_lut(array, tags) if tags.PhotometricInterpretation == "PALETTE COLOR" else array


def by_simpleitk(path: Path) -> Any:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError:
        return None


def check(path: Path, header: Header) -> tuple[bool, bool]:
    """Compare one file; (checked by pydicom, checked by SimpleITK)."""
    stored = ours(header)
    other = by_pydicom(path)
    if other is not None:
        other = other.reshape(stored.shape)
        if header.photometric == "PALETTE COLOR" and stored.dtype != other.dtype:
            other = other >> 8  # a palette of 8 bits written as 16
        np.testing.assert_array_equal(stored, other, err_msg=path.name)
    image = None if path.name in NOT_BY_SIMPLEITK or header.bits_allocated == 1 else by_simpleitk(path)
    if image is None or (header.frames > 1 and header.planes):  # SimpleITK knows no rescale per frame
        return other is not None, False
    expected = sitk.GetArrayFromImage(image).reshape(stored.shape).astype(np.float64)
    real = stored.astype(np.float64)
    if header.samples == 1 and header.photometric != "PALETTE COLOR" and not header.has_modality_lut:
        if header.photometric == "MONOCHROME1":  # SimpleITK turns it, as a film is turned here
            real = (-1 if header.is_signed else (1 << header.bits_stored) - 1) - real
        real = real * (header.slope or 1) + (header.intercept or 0)
    np.testing.assert_allclose(real, expected, rtol=0, atol=1e-6 * max(1.0, np.abs(expected).max()), err_msg=path.name)
    return other is not None, True


@pytest.mark.filterwarnings("ignore")
def test_pixels_equal_those_of_pydicom_and_simpleitk_on_the_packaged_files() -> None:
    checked = [check(path, header) for path, header in images(PACKAGED)]
    assert sum(one for one, _ in checked) >= 85
    assert sum(other for _, other in checked) >= 75


@pytest.mark.filterwarnings("ignore")
def test_pixels_equal_those_of_pydicom_and_simpleitk_on_the_shared_files(shared_data: Path) -> None:
    checked = [check(path, header) for path, header in images(shared_data / "dicom")]
    assert sum(one for one, _ in checked) >= 115
    assert sum(other for _, other in checked) >= 100


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ct_abdomen_C3L-00189", "mr_liver_coronal_TCGA-BC-4073", "compressed/mr_rle"])
def test_a_volume_equals_that_of_simpleitk_voxel_by_voxel(shared_data: Path, name: str) -> None:
    folder = shared_data / "dicom" / name
    image = open_dicom(sorted(folder.glob("*.dcm")))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    expected = sitk.GetArrayFromImage(reader.Execute())
    if image.units == "HU":  # padding outside the scanner's circle is air here
        expected = np.maximum(expected, -1024)
    np.testing.assert_array_equal(image.array[0], expected)
    assert image.array.dtype.itemsize == 2


@pytest.mark.filterwarnings("ignore")
def test_frames_of_an_enhanced_object_have_their_own_slope(shared_data: Path) -> None:
    (path,) = (shared_data / "dicom" / "enhanced" / "philips_enhanced_mr").glob("*.dcm")
    tags = pydicom.dcmread(path)
    groups = tags.PerFrameFunctionalGroupsSequence
    depth = [g.PlanePositionSequence[0].ImagePositionPatient for g in groups]
    normal = np.cross(*np.array(groups[0].PlaneOrientationSequence[0].ImageOrientationPatient).reshape(2, 3))
    order = np.argsort(np.array(depth, float) @ normal)
    expected = []
    for k in order:
        rescale = groups[k].PixelValueTransformationSequence[0]
        expected.append(tags.pixel_array[k] * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept))
    np.testing.assert_allclose(open_dicom([path]).array[0], expected, rtol=1e-6)
