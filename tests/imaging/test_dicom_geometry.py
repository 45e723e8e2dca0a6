"""Where voxels lie: against SimpleITK and dcm2niix on real and generated series; each named refusal on a series built for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from imaging.make_dicom import AXIAL, DX, ENHANCED_CT, make_enhanced, make_series, make_tags, make_volumes, write
from overread.core.errors import OverreadError, Refused
from overread.core.image import Image
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.door import open_found, open_image
from overread.imaging.scan import scan

REGULAR = [0.0, 2.5, 5.0, 7.5, 10.0, 12.5]
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
TILTED_ROWS = (0.96, 0.28, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.36, 0.48, -0.6, 0.48, 0.64)  # all three axes turned
PLANES = [AXIAL, CORONAL, SAGITTAL, TILTED_ROWS, OBLIQUE]


def read_with_simpleitk(files: list[Path]) -> sitk.Image:
    if len(files) == 1:
        return sitk.ReadImage(str(files[0]))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(files[0].parent))
    return sitk.ReadImage(names)


def assert_same_places(image: Image, oracle: sitk.Image) -> None:
    """Random points lie at the same voxel for both readers (their slice order may differ), with the same values."""
    index = np.random.default_rng(7).uniform(0, 1, (200, 3)) * (np.array(image.grid.shape) - 1)
    places = [oracle.TransformPhysicalPointToContinuousIndex(tuple(map(float, p))) for p in image.grid.to_world(index)]
    voxels = np.array(places)[:, ::-1]
    values = sitk.GetArrayFromImage(oracle).astype(np.float64)
    if np.abs(voxels - index).max() > 0.5:
        voxels[:, 0] = image.grid.shape[0] - 1 - voxels[:, 0]
        values = values[::-1]
    np.testing.assert_allclose(voxels, index, atol=1e-3)
    if image.units == "HU":
        values = np.maximum(values, LOWEST_HU)
    np.testing.assert_allclose(image.array[0], values, atol=1e-3)


LOWEST_HU = -1024  # what lies outside the scanner's field of view is padding; other readers leave its number in place


def convert_with_dcm2niix(files: list[Path], folder: Path, vendor: str = "") -> list[nibabel.Nifti1Image]:
    """What dcm2niix makes of these files; empty where it makes no volume of them."""
    private = "n" if vendor.startswith("Philips") else "y"  # n: Philips' standard rescale instead of its private one
    program = Path(sys.executable).with_name("dcm2niix")
    if not program.exists():
        pytest.fail("dcm2niix is not installed; pip install -e '.[dev]'")
    (folder / "in").mkdir(parents=True)
    for k, path in enumerate(files):
        shutil.copy(path, folder / "in" / f"{k:04d}.dcm")
    command = [program, "-z", "n", "-b", "n", "-p", private, "-f", "%s_%d_%e", "-o", folder, folder / "in"]
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    return [nibabel.load(path) for path in sorted(folder.glob("*.nii"))]  # type: ignore[misc]


def assert_dcm2niix_agrees(image: Image, oracle: nibabel.Nifti1Image) -> None:
    """200 random voxels lie at the centre of one of its voxels, with the same value (its row axis runs the other way)."""
    index = np.random.default_rng(3).integers(0, image.grid.shape, (200, 3))
    right_anterior = image.grid.to_world(index) * (-1, -1, 1)
    inverse = np.linalg.inv(oracle.affine)
    voxels = right_anterior @ inverse[:3, :3].T + inverse[:3, 3]
    np.testing.assert_allclose(voxels, np.rint(voxels), atol=1e-3)
    values = np.asarray(oracle.get_fdata())
    values = values if values.ndim == 4 else values[..., None]
    values = np.maximum(values, LOWEST_HU) if image.units == "HU" else values
    theirs = values[tuple(np.rint(voxels).astype(int).T)]
    ours = image.array[0][tuple(index.T)].astype(np.float64)
    scale = max(np.abs(ours).max(), 1.0)
    assert any(np.allclose(ours, theirs[:, k], atol=1e-4 * scale) for k in range(theirs.shape[1]))


@pytest.mark.parametrize("orientation", PLANES)
def test_generated_series_lie_where_dcm2niix_says(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    volume = np.random.default_rng(5).integers(0, 2000, (6, 24, 20)).astype(np.int16)
    files = make_series(tmp_path / "dicom", REGULAR, orientation=orientation, volume=volume)
    (oracle,) = convert_with_dcm2niix(files, tmp_path / "nifti")
    assert_dcm2niix_agrees(open_dicom(files), oracle)


def test_every_good_series_of_the_shared_data_lies_where_dcm2niix_says(shared_data: Path, tmp_path: Path) -> None:
    """Colour pictures and films have no counterpart in what dcm2niix writes."""
    folder, compared = shared_data / "dicom", 0
    for number, found in enumerate(scan(folder).eligible):
        image = open_found(folder, found)
        if image.array.shape[0] > 1 or image.grid.is_planar:
            continue
        files = [folder / name for name in found.files]
        for oracle in convert_with_dcm2niix(files, tmp_path / str(number), str(found.attributes.get("vendor", ""))):
            assert_dcm2niix_agrees(image, oracle)
            compared += 1
    assert compared >= 12


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("orientation", PLANES)
def test_generated_series_lie_where_simpleitk_says(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    files = make_series(tmp_path, REGULAR, orientation=orientation)
    image = open_dicom(files)
    assert_same_places(image, read_with_simpleitk(files))
    assert image.grid.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert image.units == "HU"
    assert image.array.dtype == np.int16


@pytest.mark.filterwarnings("ignore")
def test_every_good_series_of_the_shared_data_lies_where_simpleitk_says(shared_data: Path) -> None:
    folder = shared_data / "dicom"
    compared = 0
    for found in scan(folder).eligible:
        image = open_found(folder, found)
        is_part = found.index is not None  # SimpleITK lines all frames of a file up, whatever volume they belong to
        if image.array.shape[0] == 1 and not image.grid.is_planar and not is_part:
            files = [str(folder / name) for name in found.files]
            assert_same_places(image, sitk.ReadImage(files if len(files) > 1 else files[0]))
            compared += 1
    assert compared >= 9


def test_order_of_files_and_instance_numbers_do_not_matter(tmp_path: Path) -> None:
    files = make_series(tmp_path, REGULAR)
    one, other = open_dicom(files), open_dicom(files[::-1])
    assert np.array_equal(one.array, other.array)
    assert one.grid.is_same(other.grid)
    assert np.array_equal(one.grid.affine[:3, 3], (-20, -30, 40))


def test_spacing_comes_from_positions_not_from_thickness(tmp_path: Path) -> None:
    image = open_dicom(make_series(tmp_path, REGULAR, SliceThickness=1.0, SpacingBetweenSlices=9.0))
    assert image.grid.spacing[0] == pytest.approx(2.5)


def test_positions_rounded_to_a_tenth_are_no_fault(tmp_path: Path) -> None:
    image = open_dicom(make_series(tmp_path, [round(k * 1.25, 1) for k in range(12)]))
    assert image.grid.spacing[0] == pytest.approx(1.25, abs=0.02)


@pytest.mark.parametrize(
    ("depths", "changes", "code", "words"),
    [
        ([0, 2.5, 5, 12.5, 15], {}, "missing-slice", "2.50 mm apart, but 7.50 mm between slices 3 and 4 (probably 2 missing"),
        ([0, 2.5, 5, 5, 7.5], {}, "duplicate-position", "5 slices in only 4 places"),
        ([0, 2.5, 5, 6.1, 10], {}, "mixed-spacing", "varies from 1.10 to 3.90 mm"),
        (REGULAR, {"slide": (0.3, 0.0)}, "gantry-tilt", "16.7 degrees"),
        ([0], {}, "one-slice", "has one slice"),
        (REGULAR, {"ImagePositionPatient": None}, "no-geometry", "no usable position"),
        (REGULAR, {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no-geometry", "perpendicular"),
        (REGULAR, {"PixelData": None}, "no-pixels", "has no pixels"),
    ],
)
def test_refusals_name_the_fault(tmp_path: Path, depths: list[float], changes: dict[str, object], code: str, words: str) -> None:
    files = make_series(tmp_path, [float(d) for d in depths], **changes)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="Next:") as refusal:
        open_dicom(files)
    assert refusal.value.code == code
    assert words in str(refusal.value)
    found = scan(tmp_path).found
    assert {f.attributes["code"] for f in found} == {code}
    assert not any(f.is_eligible for f in found)


def test_mixed_series_are_refused_by_name(tmp_path: Path) -> None:
    files = make_series(tmp_path, REGULAR)
    other_size = write(make_tags(np.zeros((4, 4), np.int16), ImagePositionPatient=[-20, -30, 60]), tmp_path / "a.dcm")
    turned = write(
        make_tags(np.zeros((6, 5), np.int16), ImagePositionPatient=[-20, -30, 60], ImageOrientationPatient=list(CORONAL)),
        tmp_path / "b.dcm",
    )
    coarse = write(
        make_tags(np.zeros((6, 5), np.int16), ImagePositionPatient=[-20, -30, 55], PixelSpacing=[2, 2]), tmp_path / "c.dcm"
    )
    for odd, code in ((other_size, "mixed-size"), (turned, "mixed-orientation"), (coarse, "mixed-spacing")):
        with pytest.raises(Refused) as refusal:
            open_dicom([*files, odd])
        assert refusal.value.code == code


def test_a_slice_that_slid_sideways_is_refused(tmp_path: Path) -> None:
    files = make_series(tmp_path, REGULAR[:5])
    files.append(write(make_tags(np.zeros((6, 5), np.int16), ImagePositionPatient=[-17, -30, 52.5]), tmp_path / "odd.dcm"))
    with pytest.raises(Refused) as refusal:
        open_dicom([*files, *make_series(tmp_path / "more", [15.0, 17.5])])
    assert refusal.value.code == "mixed-position"


def test_missing_slices_are_interpolated_and_recorded(tmp_path: Path) -> None:
    depths = [0.0, 2.5, 10.0, 12.5]
    volume = np.stack([np.full((6, 5), 1024 + 10 * d, np.int16) for d in depths])
    files = make_series(tmp_path, depths, volume=volume)
    image = open_dicom(files, gaps="resample")
    assert image.grid.shape == (6, 6, 5)
    assert image.grid.spacing[0] == pytest.approx(2.5)
    assert image.array.dtype == np.int16
    np.testing.assert_array_equal(image.array[0, :, 0, 0], [0, 25, 50, 75, 100, 125])
    assert image.source["interpolated_slices"] == [2, 3]
    assert "2 of 6 slices interpolated" in image.source["repairs"][0]
    (found,) = scan(tmp_path, gaps="resample").found
    assert found.is_eligible
    assert found.attributes["repairs"] == ("gaps",)


def test_more_invented_than_acquired_slices_are_refused(tmp_path: Path) -> None:
    files = make_series(tmp_path, [0.0, 1.0, 2.0, 40.0])
    with pytest.raises(Refused, match="would need 37 interpolated slices"):
        open_dicom(files, gaps="resample")


def test_the_true_shear_of_a_tilted_gantry_is_undone(tmp_path: Path) -> None:
    """A ball seen through a tilted gantry comes back as a ball in its place."""
    centre, radius, shape = np.array([8.0, 12.0, 20.0]), 6.0, (40, 36)
    depths = [float(k) for k in range(41)]
    y, x = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    slices = []
    for depth in depths:
        world = np.stack([-10 + 0.7 * x, -5 + 0.8 * y + 0.3 * depth, np.full(shape, depth)], axis=-1)
        inside = np.clip(radius + 0.5 - np.linalg.norm(world - centre, axis=-1), 0, 1)
        slices.append((inside * 1000).astype(np.int16))
    files = make_series(tmp_path, depths, origin=(-10.0, -5.0, 0.0), slide=(0.3, 0.0), volume=np.stack(slices))
    image = open_dicom(files, tilt="resample")
    columns = image.grid.affine[:3, :3] / np.array(image.grid.spacing)
    np.testing.assert_allclose(columns.T @ columns, np.eye(3), atol=1e-9)  # no shear is left
    weight = np.clip(image.array[0].astype(float) + 1024, 0, None)
    index = np.stack(np.meshgrid(*map(np.arange, weight.shape), indexing="ij"), -1)
    seen = (image.grid.to_world(index) * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    np.testing.assert_allclose(seen, centre, atol=0.1)
    assert weight.sum() == pytest.approx(sum(s.sum() for s in slices), rel=0.01)
    assert "gantry tilt of 16.7 degrees undone" in image.source["repairs"][0]


def test_a_real_tilted_series_is_refused_and_straightened(shared_data: Path) -> None:
    files = sorted((shared_data / "dicom" / "broken" / "ct_gantry_tilt").glob("*.dcm"))
    with pytest.raises(Refused, match=r"14\.0 degrees"):
        open_dicom(files)
    image = open_dicom(files, tilt="resample")
    assert image.grid.spacing == pytest.approx((5.0 * np.cos(np.radians(14)), 0.418, 0.418), abs=1e-3)
    assert image.grid.shape[1] > 512


def test_films_are_planar_and_keep_their_spacing(tmp_path: Path) -> None:
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    calibrated = write(make_tags(pixels, DX, PixelSpacing=[0.2, 0.3]), tmp_path / "a.dcm")
    detector = write(make_tags(pixels, DX, ImagerPixelSpacing=[0.14, 0.14]), tmp_path / "b.dcm")
    bare = write(make_tags(pixels, DX), tmp_path / "c.dcm")
    assert open_dicom([calibrated]).grid.spacing_mm[1:] == pytest.approx((0.2, 0.3))
    assert "detector" in open_dicom([detector]).source["notes"][0]
    image = open_dicom([bare])
    assert image.grid.is_planar
    with pytest.raises(OverreadError, match="no pixel spacing"):
        _ = image.grid.spacing_mm


def test_the_shear_is_undone_exactly_for_what_is_linear(tmp_path: Path) -> None:
    """A field that grows linearly with the place in the patient survives linear interpolation to the last digit."""
    depths, shape, slide = [2.0 * k for k in range(12)], (30, 26), (0.25, -0.1)
    field = np.array([3.0, -2.0, 5.0])
    along_row, along_column = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    normal = np.cross(along_row, along_column)
    y, x = (n[..., None] for n in np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij"))
    slices = []
    for depth in depths:
        world = depth * (normal + slide[0] * along_column + slide[1] * along_row) + 0.8 * y * along_column + 0.7 * x * along_row
        slices.append(np.rint(4000 + 10 * world @ field).astype(np.int16))
    changes = {"origin": (0.0, 0.0, 0.0), "RescaleSlope": 0.1, "RescaleIntercept": 0}
    files = make_series(tmp_path, depths, orientation=OBLIQUE, slide=slide, volume=np.stack(slices), **changes)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="tilted gantry"):
        open_dicom(files)
    image = open_dicom(files, tilt="resample")
    assert image.grid.spacing == pytest.approx((2.0, 0.8, 0.7), abs=1e-5)
    index = np.stack(np.meshgrid(*map(np.arange, image.grid.shape), indexing="ij"), -1)
    expected = 400 + image.grid.to_world(index) @ field
    seen = image.array[0].astype(np.float64)
    near = np.array([depth * np.array(slide) / (0.8, 0.7) for depth in depths])
    low = near - near.min(axis=0)
    for k in range(len(depths)):  # inside what was acquired, away from its edge
        top, left = np.ceil(low[k]).astype(int) + 1
        inside = (k, slice(top, top + shape[0] - 3), slice(left, left + shape[1] - 3))
        np.testing.assert_allclose(seen[inside], expected[inside], atol=0.11)  # the stored values are rounded to a tenth


def test_gaps_in_an_oblique_series_are_filled_in_their_place(tmp_path: Path) -> None:
    depths = [0.0, 2.0, 4.0, 8.0, 10.0, 12.0]
    volume = np.stack([np.full((6, 5), 1024 + 10 * d, np.int16) for d in depths])
    image = open_dicom(make_series(tmp_path, depths, orientation=OBLIQUE, volume=volume), gaps="resample")
    depth = (image.grid.to_world(np.array([[k, 0, 0] for k in range(7)])) - image.grid.affine[:3, 3]) @ np.cross(
        OBLIQUE[:3], OBLIQUE[3:]
    )
    np.testing.assert_allclose(image.array[0, :, 3, 3], 10 * depth, atol=1e-3)
    assert image.source["interpolated_slices"] == [3]
    assert "6.00 mm from the first slice" in image.source["repairs"][0]


def test_a_tilted_series_with_a_gap_needs_both_repairs(tmp_path: Path) -> None:
    files = make_series(tmp_path, [0.0, 2.0, 4.0, 8.0, 10.0], slide=(0.3, 0.0))
    for gaps, tilt, code in (("refuse", "refuse", "missing-slice"), ("resample", "refuse", "gantry-tilt")):
        with pytest.raises(Refused) as refusal:
            open_dicom(files, gaps=gaps, tilt=tilt)
        assert refusal.value.code == code
    image = open_dicom(files, gaps="resample", tilt="resample")
    assert image.grid.shape[0] == 6
    assert len(image.source["repairs"]) == 2


@pytest.mark.filterwarnings("ignore")
def test_enhanced_frames_lie_where_simpleitk_says(tmp_path: Path) -> None:
    """In the order of the file; SimpleITK does not sort frames."""
    pixels = np.random.default_rng(2).integers(0, 900, (6, 8, 7)).astype(np.int16)
    frames = [{"position": (-10.0, -20.0, 5.0 + 2.5 * k)} for k in range(6)]
    path = write(make_enhanced(pixels, frames, ENHANCED_CT), tmp_path / "a.dcm")
    shuffled = [3, 0, 5, 1, 4, 2]
    other = write(make_enhanced(pixels[shuffled], [frames[k] for k in shuffled], ENHANCED_CT), tmp_path / "b.dcm")
    image, sorted_image = open_dicom([path]), open_dicom([other])
    oracle = sitk.ReadImage(str(path))
    for index in np.random.default_rng(4).integers(0, image.grid.shape, (50, 3)):
        place = oracle.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]])
        np.testing.assert_allclose(image.grid.to_world(index), place, atol=1e-3)
    assert np.array_equal(image.array, sorted_image.array)
    assert image.grid.is_same(sorted_image.grid)


def test_volumes_of_a_series_open_one_by_one(tmp_path: Path) -> None:
    volumes = make_volumes(tmp_path, REGULAR, [{"EchoTime": 2.0}, {"EchoTime": 4.0}], Modality="MR", RescaleIntercept=0)
    found = scan(tmp_path).eligible
    assert [f.attributes["volume"] for f in found] == ["echo 1", "echo 2"]
    for one, volume in zip(found, volumes, strict=True):
        assert np.array_equal(open_found(tmp_path, one).array[0], volume)
    with pytest.raises(Refused, match="2 volumes that differ in echo time"):
        open_dicom(sorted(tmp_path.glob("*.dcm")))


def test_volumes_of_one_enhanced_file_open_by_their_number(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "enhanced" / "philips_enhanced_dti_4d"
    found = scan(folder).eligible
    assert [f.index for f in found] == [0, 1, 2, 3]
    images = [open_found(folder, one) for one in found]
    assert {image.array.shape for image in images} == {(1, 8, 128, 128)}
    assert len({image.array.tobytes() for image in images}) == 4


def test_enhanced_files_are_one_volume_or_several_by_name(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "enhanced"
    image = open_image([folder / "siemens_enhanced_mr" / "IM-0001-0001-0001.dcm"], "dicom")
    assert image.array.shape == (1, 8, 256, 256)
    with pytest.raises(Refused, match="4 volumes that differ in b-value"):
        open_image([folder / "philips_enhanced_dti_4d" / "IM-0001-3835-0001.dcm"], "dicom")


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(OverreadError, match='expected "refuse" or "resample"'):
        open_dicom(make_series(tmp_path, REGULAR), gaps="yes")
