"""Masks and probabilities to DICOM SEG and back, voxel for voxel."""

from __future__ import annotations

import itertools
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from imaging.answers import ALGORITHM, ct, film, heat, instances, structures
from imaging.make_dicom import make_series
from overread.core.errors import OverreadError, Refused
from overread.core.image import reorient
from overread.core.kinds import LabelMap, Map, Structure
from overread.imaging.dicom.outputs import Answered, write_objects
from overread.imaging.dicom.seg import write_fractional_seg, write_seg
from overread.imaging.dicom.volume import open_dicom
from overread.imaging.dicom.write_common import Algorithm
from overread.imaging.door import open_found
from overread.imaging.labels import open_seg
from overread.imaging.scan import scan

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("overlap", [False, True])
def test_structures_come_back_voxel_for_voxel(tmp_path: Path, overlap: bool) -> None:
    files, image = ct(tmp_path / "ct")
    answer = structures(image.grid, overlap=overlap)
    write_seg(tmp_path / "seg.dcm", answer, files, algorithm=ALGORITHM)
    back = open_seg(tmp_path / "seg.dcm", image.grid)
    assert back.names == answer.names
    for name in answer.names:
        np.testing.assert_array_equal(back.mask(name), answer.mask(name))


def test_an_independent_reader_finds_each_structure_on_its_slice(tmp_path: Path) -> None:
    """Oracle: highdicom by SOP instance, which knows nothing of our geometry."""
    files, image = ct(tmp_path / "ct")
    answer = structures(image.grid)
    write_seg(tmp_path / "seg.dcm", answer, files)
    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    uids = [str(tags.SOPInstanceUID) for tags in headers]
    pixels = hd.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_instance(
        uids, assert_missing_frames_are_empty=True, ignore_spatial_locations=True
    )
    for uid_place, file in enumerate(files):
        position = np.array(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient, float)
        z = int(np.rint(image.grid.to_index(position)[0]))
        for k, name in enumerate(answer.names):
            np.testing.assert_array_equal(pixels[uid_place, :, :, k] > 0, answer.mask(name)[z])


def test_what_the_object_says_of_itself(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    written = write_seg(tmp_path / "seg.dcm", structures(image.grid), files, description="liver", algorithm=ALGORITHM)
    tags = pydicom.dcmread(tmp_path / "seg.dcm")
    assert tags.SeriesDescription == "RESEARCH liver"
    assert tags.SyntheticData == "YES"
    assert tags.FrameOfReferenceUID == "1.2.3.5"
    assert len(tags.ContentDate) == 8
    assert "not reviewed by a physician" in tags.ImageComments
    liver, kidney = tags.SegmentSequence
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    assert kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert liver.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = liver.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("liver-first", "1.2")
    assert algorithm.AlgorithmParameters == f"model={ALGORITHM.model}"
    assert written.written.notes == ()


def test_writing_again_replaces_and_does_not_duplicate(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    answer = structures(image.grid)

    def identity(algorithm: Algorithm, label_map: LabelMap) -> tuple[str, ...]:
        write_seg(tmp_path / "seg.dcm", label_map, files[::-1], algorithm=algorithm)
        tags = pydicom.dcmread(tmp_path / "seg.dcm")
        return (
            tags.SOPInstanceUID,
            tags.SeriesInstanceUID,
            tags.DimensionOrganizationSequence[0].DimensionOrganizationUID,
            tags.SegmentSequence[0].TrackingUID,
        )

    first = identity(ALGORITHM, answer)
    assert identity(ALGORITHM, answer) == first
    assert len(set(first)) == 4
    other_model = identity(Algorithm("liver-first", "1.2", "sha256:" + "cd" * 32), answer)
    assert not set(first) & set(other_model)
    layers = answer.layers.copy()
    layers[0, 0, 0, 0] = 3
    changed = identity(ALGORITHM, LabelMap(layers, answer.structures, image.grid))
    assert changed[0] != first[0]
    assert changed[1] == first[1]  # the series stays: one model, one source, one series


def test_each_instance_is_a_segment_with_its_tracking_identifier(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    answer = instances(image.grid)
    write_seg(tmp_path / "seg.dcm", answer, files, algorithm=ALGORITHM)
    back = open_seg(tmp_path / "seg.dcm", image.grid)
    assert back.names == ("nodule 1", "nodule 2")
    for k, name in enumerate(back.names):
        np.testing.assert_array_equal(back.mask(name), answer.mask(k))
    tags = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [s.TrackingID for s in tags.SegmentSequence] == ["nodule 1", "nodule 2"]
    assert len({s.TrackingUID for s in tags.SegmentSequence}) == 2
    assert {s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in tags.SegmentSequence} == {"27925004"}


def test_probabilities_come_back_to_a_255th_and_are_packed_where_that_is_smaller(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct", shape=(64, 64))
    noise = heat(image.grid)
    smooth = Map(np.zeros(image.grid.shape, np.float32), image.grid, "probability", "liver")
    smooth.array[1:3, 10:50, 10:50] = 0.625
    for name, values, syntax in (("noise", noise, "1.2.840.10008.1.2.1"), ("smooth", smooth, "1.2.840.10008.1.2.5")):
        write_fractional_seg(tmp_path / f"{name}.dcm", [values], files, algorithm=ALGORITHM)
        tags = pydicom.dcmread(tmp_path / f"{name}.dcm")
        assert tags.file_meta.TransferSyntaxUID == syntax
        assert tags.SegmentationFractionalType == "PROBABILITY"
        seg = hd.seg.segread(tmp_path / f"{name}.dcm")
        uids = [str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files]
        back = seg.get_pixels_by_source_instance(
            uids, assert_missing_frames_are_empty=True, ignore_spatial_locations=True, rescale_fractional=True
        )
        depths = [pydicom.dcmread(f, stop_before_pixels=True).ImagePositionPatient for f in files]
        order = [int(np.rint(image.grid.to_index(np.array(p, float))[0])) for p in depths]
        np.testing.assert_allclose(back[..., 0], values.array[order], atol=0.5 / 255 + 1e-6)
    with pytest.raises(Refused, match="values outside 0 to 1"):
        write_fractional_seg(tmp_path / "x.dcm", [Map(noise.array * 2, image.grid, "heat", "liver")], files)
    with pytest.raises(OverreadError, match="at least one probability map"):
        write_fractional_seg(tmp_path / "x.dcm", [], files)


def test_interpolated_slices_are_marked_as_not_assessed(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", [0.0, 2.5, 7.5, 10.0])
    image = open_dicom(files, gaps="resample")
    answer = LabelMap(np.ones((1, *image.grid.shape), np.uint8), (Structure("liver", 1),), image.grid)
    write_seg(tmp_path / "seg.dcm", answer, files)
    tags = pydicom.dcmread(tmp_path / "seg.dcm")
    assert "NOT ASSESSED: 1 of 5 slices were interpolated" in tags.ImageComments
    assert "at 45.0 mm" in tags.ImageComments  # 40 mm is the first slice
    assert "NOT ASSESSED" in tags.SegmentSequence[0].SegmentDescription
    assert open_seg(tmp_path / "seg.dcm", image.grid).mask("liver").any(axis=(1, 2)).tolist() == [True, True, False, True, True]


def test_a_straightened_tilt_goes_back_to_the_tilted_slices(tmp_path: Path) -> None:
    files = make_series(tmp_path / "ct", [0.0, 2.5, 5.0, 7.5], slide=(0.32, 0.0))  # one row per slice
    image = open_dicom(files, tilt="resample")
    layers = np.zeros((1, *image.grid.shape), np.uint8)
    layers[0, :, 4, 2] = 1  # a straight line in the patient
    answer = LabelMap(layers, (Structure("aorta", 1),), image.grid)
    answered = Answered("a", answer, image, files, ALGORITHM)
    (written,), _ = write_objects(tmp_path, answered, ["seg"])
    seg = hd.seg.segread(written.path)
    by_place = sorted(files, key=lambda f: float(pydicom.dcmread(f, stop_before_pixels=True).ImagePositionPatient[2]))
    uids = [str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in by_place]
    pixels = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True, ignore_spatial_locations=True)
    rows = [int(np.argwhere(frame[..., 0])[0][0]) for frame in pixels]
    assert rows == [4, 3, 2, 1]
    assert all(int(np.argwhere(frame[..., 0])[0][1]) == 2 for frame in pixels)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_answer_whose_axes_run_another_way_than_the_slices(tmp_path: Path, order: tuple[int, int, int]) -> None:
    files, image = ct(tmp_path / "ct")
    answer = structures(image.grid)
    flips = (True, False, True)
    turned = LabelMap(reorient(answer.layers, order, flips), answer.structures, image.grid.reoriented(order, flips))
    write_seg(tmp_path / "seg.dcm", turned, files)
    for name in answer.names:
        np.testing.assert_array_equal(open_seg(tmp_path / "seg.dcm", image.grid).mask(name), answer.mask(name))


def test_a_film_carries_a_segmentation(tmp_path: Path) -> None:
    files, image = film(tmp_path)
    answer = structures(image.grid)
    write_seg(tmp_path / "seg.dcm", answer, files)
    for name in answer.names:
        np.testing.assert_array_equal(open_seg(tmp_path / "seg.dcm", image.grid).mask(name), answer.mask(name))


def test_names_beyond_the_character_set_of_the_source(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    answer = structures(image.grid)
    named = LabelMap(answer.layers, (Structure("肝臓", 3), Structure("Läsion", 7)), image.grid)
    write_seg(tmp_path / "seg.dcm", named, files)
    tags = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [s.SegmentLabel for s in tags.SegmentSequence] == ["肝臓", "Läsion"]
    assert str(tags.PatientName) == "Müller^Jörg"


def test_enhanced_multi_frame_sources(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "dicom" / "enhanced"
    found = [f for f in scan(folder).eligible if f.format == "dicom"]
    assert found
    for k, each in enumerate(found):
        image = open_found(folder, each)
        answer = structures(image.grid)
        files = [folder / name for name in each.files]
        answered = Answered(str(k), answer, image, files, ALGORITHM, index=each.index)
        (written,), notes = write_objects(tmp_path, answered, ["seg"])
        assert notes == ()
        back = open_seg(written.path, image.grid)
        for name in answer.names:
            np.testing.assert_array_equal(back.mask(name), answer.mask(name))
        tags = pydicom.dcmread(written.path)
        source = pydicom.dcmread(files[0], stop_before_pixels=True)
        for group in tags.PerFrameFunctionalGroupsSequence:
            reference = group.DerivationImageSequence[0].SourceImageSequence[0]
            assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
            own = source.PerFrameFunctionalGroupsSequence[int(reference.ReferencedFrameNumber) - 1]
            assert own.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(
                [float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient], abs=1e-3
            )


def test_refusals(tmp_path: Path) -> None:
    files, image = ct(tmp_path / "ct")
    with pytest.raises(OverreadError, match="needs the files it was drawn on"):
        write_seg(tmp_path / "x.dcm", structures(image.grid), [])
    with pytest.raises(OverreadError, match="no structures to write"):
        write_seg(tmp_path / "x.dcm", LabelMap(np.ones((1, *image.grid.shape), np.uint8), (), image.grid), files)
    assert not (tmp_path / "x.dcm").exists()
