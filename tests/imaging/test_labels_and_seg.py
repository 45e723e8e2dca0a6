"""Masks in, and DICOM SEG out and back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from imaging.make_dicom import DX, make_series, make_tags, write
from overread.core.errors import Refused
from overread.core.grid import Grid
from overread.core.kinds import LabelMap, Structure
from overread.imaging.dicom.seg import Code, write_seg
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.labels import open_labels, open_seg
from overread.imaging.nifti import write_nifti

DEPTHS = [0.0, 2.5, 5.0, 7.5, 10.0]
LIVER, LESION = Structure("liver", 1, 0), Structure("lesion", 1, 1)


def overlapping(grid: Grid) -> LabelMap:
    layers = np.zeros((2, *grid.shape), np.uint8)
    layers[0, 1:4, 1:5, 1:4] = 1
    layers[1, 2, 2:4, 2:4] = 1
    return LabelMap(layers, (LIVER, LESION), grid)


@pytest.mark.filterwarnings("ignore")
def test_a_segmentation_comes_back_exactly(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", DEPTHS, SyntheticData="YES")
    label_map = overlapping(open_dicom(files).grid)
    code = {"liver": Code("10200004", "SCT", "Liver")}
    write_seg(tmp_path / "seg.dcm", label_map, files, description="liver model", structure_codes=code)
    placed = open_seg(tmp_path / "seg.dcm", label_map.grid)
    assert placed.names == ("liver", "lesion")
    for name in placed.names:
        np.testing.assert_array_equal(placed.mask(name), label_map.mask(name))
    tags = pydicom.dcmread(tmp_path / "seg.dcm")
    assert tags.SeriesDescription == "RESEARCH liver model"
    assert tags.SyntheticData == "YES"
    assert tags.StudyInstanceUID == "1.2.3"
    referenced = {item.ReferencedSOPInstanceUID for item in tags.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referenced <= {str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files}
    layers, grid = open_labels([tmp_path / "seg.dcm"], "dicom-seg")
    assert grid.shape == (3, 6, 5)  # empty slices are left out, and the grid is still in its place
    np.testing.assert_allclose(grid.to_world(np.zeros(3)), label_map.grid.to_world(np.array([1, 0, 0])), atol=1e-4)
    assert layers.shape == (2, 3, 6, 5)


@pytest.mark.filterwarnings("ignore")
def test_the_standard_validator_finds_no_error(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    files = make_series(tmp_path / "ct", DEPTHS)
    write_seg(tmp_path / "seg.dcm", overlapping(open_dicom(files).grid), files)
    result = subprocess.run(["dciodvfy", str(tmp_path / "seg.dcm")], capture_output=True, text=True, check=False)
    assert "Error" not in result.stderr, result.stderr


@pytest.mark.filterwarnings("ignore")
def test_interpolated_slices_have_no_source_and_stay_out(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", [0.0, 2.5, 7.5])
    grid = open_dicom(files, gaps="resample").grid
    label_map = LabelMap(np.ones((1, *grid.shape), np.uint8), (LIVER,), grid)
    write_seg(tmp_path / "seg.dcm", label_map, files)
    placed = open_seg(tmp_path / "seg.dcm", grid).mask("liver")
    assert placed.any(axis=(1, 2)).tolist() == [True, True, False, True]


@pytest.mark.filterwarnings("ignore")
def test_films_carry_segmentations_too(tmp_path: Path) -> None:
    film = write(make_tags(np.zeros((6, 5), np.uint16), DX), tmp_path / "film.dcm")
    image = open_dicom([film])
    layers = np.zeros((1, 1, 6, 5), np.uint8)
    layers[0, 0, 2:4, 1:3] = 1
    write_seg(tmp_path / "seg.dcm", LabelMap(layers, (LIVER,), image.grid), [film])
    np.testing.assert_array_equal(open_seg(tmp_path / "seg.dcm", image.grid).layers, layers)


def test_a_label_map_that_lies_elsewhere_is_refused_with_the_distance(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", DEPTHS)
    grid = open_dicom(files).grid
    moved = np.array(grid.affine)
    moved[2, 3] += 1.25
    other = Grid(grid.shape, moved)
    with pytest.raises(Refused, match=r"1\.25 mm off the voxels") as refusal:
        write_seg(tmp_path / "seg.dcm", overlapping(other), files)
    assert refusal.value.code == "other-grid"
    moved[2, 3] = grid.affine[2, 3] - 5
    with pytest.raises(Refused, match=r"2\.5 mm outside"):
        write_seg(tmp_path / "seg.dcm", overlapping(Grid(grid.shape, moved)), files)
    assert not (tmp_path / "seg.dcm").exists()


def test_an_empty_segmentation_is_refused(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", DEPTHS)
    grid = open_dicom(files).grid
    with pytest.raises(Refused, match="no structure has a voxel"):
        write_seg(tmp_path / "seg.dcm", LabelMap(np.zeros((1, *grid.shape), np.uint8), (LIVER,), grid), files)


@pytest.mark.filterwarnings("ignore")
def test_real_segmentations_lie_on_their_images(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "seg_sr_rt"
    image = open_dicom(sorted((folder / "ct3slice").glob("*.dcm")))
    liver = open_seg(folder / "ct3slice_liver_seg.dcm", image.grid)
    values = image.array[0][liver.mask("Liver")]
    assert 20 < np.median(values) < 160  # enhanced liver, which a flipped or shifted mask would miss
    several = open_seg(folder / "ct3slice_overlapping_segments_seg.dcm", image.grid)
    assert len(several.names) == 5
    assert several.layers.shape[0] > 1
    for name in ("binary_overlap", "binary_single_frame", "true_fractional"):
        assert open_seg(folder / "highdicom" / f"seg_image_ct_{name}.dcm").layers.any()
    with pytest.raises(Refused, match=r"outside the image|off the voxels"):
        open_seg(folder / "pet_tumor_seg.dcm", image.grid)
    with pytest.raises(Refused, match="not a segmentation"):
        open_seg(folder / "rt_phantom" / "rt.dcm")


def test_nifti_masks(tmp_path: Path) -> None:
    grid = Grid.from_spacing((3, 4, 5), (3, 2, 1))
    labels = np.zeros(grid.shape, np.float32)
    labels[1, 1, 1] = 2
    write_nifti(tmp_path / "a.nii.gz", labels, grid)
    layers, own = open_labels([tmp_path / "a.nii.gz"], "nifti")
    assert layers.dtype == np.int32
    assert own.is_same(grid)
    assert layers[0, 1, 1, 1] == 2
    labels[0, 0, 0] = 0.5
    write_nifti(tmp_path / "b.nii.gz", labels, grid)
    with pytest.raises(Refused, match=r"holds the value 0\.5; label values are whole numbers"):
        open_labels([tmp_path / "b.nii.gz"], "nifti")
    write_nifti(tmp_path / "c.nii.gz", np.zeros((3, 4, 5), np.uint8), Grid.from_spacing((3, 4, 5), (3, 2, 2)))
    with pytest.raises(Refused, match="another grid"):
        open_labels([tmp_path / "a.nii.gz", tmp_path / "c.nii.gz"], "nifti")
    layers, _ = open_labels([tmp_path / "a.nii.gz"] * 2, "nifti")
    assert layers.shape == (2, 3, 4, 5)
